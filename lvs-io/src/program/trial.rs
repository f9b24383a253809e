//! Trying the program on a frame, without a NIC: [`Trial`], [`Yardstick`].

use std::os::fd::AsRawFd;
use std::time::Duration;

use super::object::{LOAD_WIDE, MAP_DESCRIPTOR};
use super::{Error, Steering, Step, XdpMode};
use crate::sys::bpf::{Program, ProgramKind, TestRun};

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Whether it was taken from the kernel's stack: sent to a socket by XDP,
    /// or dropped at tc.
    pub taken: bool,
    /// Mean time of one run, in whole nanoseconds, as the kernel measured it;
    /// its test loop costs some of them.
    pub each: Duration,
}

impl Steering {
    /// Runs the program of a NIC over `frame`, as if received on queue 0,
    /// `repeat` times. The frame goes nowhere but is counted.
    ///
    /// *Errors*: [`Error::NoSuchNic`]; [`Error::Refused`], with EINVAL for a
    /// frame that is shorter than an Ethernet header.
    pub fn trial(&self, nic: usize, frame: &[u8], repeat: u32) -> Result<Trial, Error> {
        let nic = self.nics.get(nic).ok_or(Error::NoSuchNic { nic })?;
        let taken = match self.mode {
            XdpMode::Native | XdpMode::Generic => XDP_REDIRECT,
            XdpMode::Tc => TCX_DROP,
        };
        run(&nic.program, frame, repeat, taken).map_err(|error| error.on(&nic.name))
    }

    /// The least that any XDP program which feeds AF_XDP must do, feeding the
    /// same sockets: what this one is measured against.
    ///
    /// *Errors*: [`Error::NoSockets`] at tc, [`Error::NoSuchNic`],
    /// [`Error::Refused`].
    pub fn yardstick(&self, nic: usize) -> Result<Yardstick, Error> {
        let nic = self.nics.get(nic).ok_or(Error::NoSuchNic { nic })?;
        let sockets = nic.sockets.as_ref().ok_or(Error::NoSockets)?;
        let words = [
            // r2 = frame->rx_queue_index
            0x0000_0000_0010_1261,
            // r1 = sockets
            LOAD_WIDE | 1 << 8 | MAP_DESCRIPTOR | (sockets.as_raw_fd() as u64) << 32,
            0,
            // r3 = XDP_PASS, for want of a socket
            0x0000_0002_0000_03b7,
            // return redirect_map(r1, r2, r3)
            0x0000_0033_0000_0085,
            0x0000_0000_0000_0095,
        ];
        Program::load(ProgramKind::XdpFrags, "bare", b"Dual MIT/GPL\0", &words)
            .map(Yardstick)
            .map_err(|rejected| Error::rejected(rejected).on(&nic.name))
    }
}

/// A program that sends every frame to the socket of its queue, unseen.
#[derive(Debug)]
pub struct Yardstick(Program);

impl Yardstick {
    /// As [`Steering::trial`].
    ///
    /// *Errors*: [`Error::Refused`].
    pub fn trial(&self, frame: &[u8], repeat: u32) -> Result<Trial, Error> {
        run(&self.0, frame, repeat, XDP_REDIRECT)
    }
}

fn run(program: &Program, frame: &[u8], repeat: u32, taken: i32) -> Result<Trial, Error> {
    let TestRun { returned, each } = program
        .test_run(frame, repeat)
        .map_err(|error| Error::refused(Step::Trial, error))?;
    Ok(Trial {
        taken: returned == taken,
        each,
    })
}

const XDP_REDIRECT: i32 = 4;
const TCX_DROP: i32 = 2;
