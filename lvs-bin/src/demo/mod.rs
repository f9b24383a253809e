//! `lvs demo`: a director at work in networks that it builds by itself.
//!
//! For each forwarding method a [world](crate::world) is built, a director put
//! into it, and real HTTP and UDP sent through, in IPv4 and IPv6. It knows the
//! director only as any embedder does.

mod command;
mod drawing;
mod show;
mod trial;

pub use command::{DemoOptions, demo};
pub use drawing::Drawing;
pub use show::show;
pub use trial::{Tally, Trial};
