#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod config;
mod error;
mod frame;
mod kick;
mod open;
#[allow(unsafe_code)]
mod region;
#[allow(unsafe_code)]
mod ring;
mod socket;
mod statistics;
#[allow(unsafe_code)]
mod sys;
#[allow(unsafe_code)]
mod umem;

pub use config::{BusyPoll, SocketConfig, ZeroCopy};
pub use error::{OpenError, Step};
pub use frame::Frame;
pub use kick::{BusyPolling, Kicks};
pub use region::{HugePages, Pages, Region};
pub use socket::{MAX_PACKET_FRAMES, Socket};
pub use statistics::Statistics;
pub use umem::{Parts, Umem, UmemConfig};
