//! All queues of all NICs, ready for the workers: [`Queues`], [`Lane`].

mod memory;
mod options;
mod owner;
mod packet;
mod plan;
mod xdp;

use af_xdp::{Umem, ZeroCopy};

use crate::error::Error;
use crate::nic::Nic;
use crate::program::{Steering, XdpMode};
use crate::queue::Queue;

pub use options::{Options, WantedMode};
pub use owner::Owner;

/// Everything a director receives from and sends by.
///
/// ```no_run
/// use lvs_io::{Options, Queues};
///
/// let queues = Queues::open(&Options::new(["eth0", "eth1"]))?;
/// for queue in queues.lanes.iter().flat_map(|lane| &lane.queues) {
///     println!("{:?}", queue.capabilities());
/// }
/// # Ok::<(), lvs_io::Error>(())
/// ```
pub struct Queues {
    /// What decides in the kernel which frames come. Nothing comes before its
    /// first rules; none of it is there for queues without a kernel. First of
    /// the fields, so that it is detached before the queues close.
    pub steering: Option<Steering>,
    /// The NICs, in the order they were asked for: a frame's port is a position
    /// in it.
    pub nics: Vec<Nic>,
    /// One lane for each worker.
    pub lanes: Vec<Lane>,
}

/// What one worker serves: a queue of every NIC, and memory they share, so that
/// a frame received by one leaves by another without a copy.
pub struct Lane {
    /// The memory of all its frames.
    pub umem: Umem,
    /// The queues. `queues[n]` is of NIC `n`, for every NIC: it sends by that.
    /// Those that follow are further receive queues of NICs which have more
    /// queues than there are lanes.
    pub queues: Vec<Box<dyn Queue>>,
    /// The NIC of each queue: `nics[n] == n` for every NIC, then those of the
    /// further ones.
    pub nics: Vec<usize>,
}

impl Queues {
    /// Opens all queues of the interfaces of `options`, attaches the steering
    /// program and gives it the queues. The interfaces are those of the calling
    /// thread's network namespace.
    ///
    /// Some drivers reset the link when XDP is attached or a queue gets packet
    /// memory; it is back after seconds.
    ///
    /// # Errors
    ///
    /// What could not be done, on which NIC and queue; for
    /// [`WantedMode::Auto`], in every mode, or that another program has the NIC
    /// (XDP, AF_XDP), beside which a slower mode would direct the same packets
    /// once more. Everything is as before then.
    pub fn open(options: &Options) -> Result<Self, Error> {
        let nics = options.nics()?;
        let lanes = options.lanes(&nics)?;
        let opening = Opening {
            options,
            nics: &nics,
            lanes,
        };
        let (steering, lanes) = opening.open()?;
        Ok(Self {
            steering,
            nics,
            lanes,
        })
    }
}

impl Nic {
    /// Opens all queues of this NIC, in the fastest mode there is. See
    /// [`Queues::open`].
    ///
    /// # Errors
    ///
    /// As [`Queues::open`].
    pub fn open_queues(&self) -> Result<Queues, Error> {
        Queues::open(&Options::new([self.name.as_str()]))
    }
}

/// Options and what was found out about them.
struct Opening<'a> {
    options: &'a Options,
    nics: &'a [Nic],
    lanes: usize,
}

type Opened = (Option<Steering>, Vec<Lane>);

impl Opening<'_> {
    fn open(&self) -> Result<Opened, Error> {
        match self.options.mode {
            WantedMode::Auto if self.options.zero_copy == ZeroCopy::Require => {
                self.xdp(XdpMode::Native, "")
            }
            WantedMode::Auto => self.fastest(),
            WantedMode::Native => self.xdp(XdpMode::Native, ""),
            WantedMode::Generic => self.xdp(XdpMode::Generic, "as asked"),
            WantedMode::Packet => self.packet("as asked"),
        }
    }

    fn fastest(&self) -> Result<Opened, Error> {
        let native = match self.xdp(XdpMode::Native, "") {
            Ok(opened) => return Ok(opened),
            Err(error) if owner::is_taken(&error) => {
                return Err(owner::refuse(self.nics, &error));
            }
            Err(error) => error,
        };
        let because = format!("because of native XDP: {native}");
        let generic = match self.xdp(XdpMode::Generic, &because) {
            Ok(opened) => return Ok(opened),
            Err(error) if owner::is_taken(&error) => {
                return Err(owner::refuse(self.nics, &error));
            }
            Err(error) => error,
        };
        let because = format!("{because}; of generic XDP: {generic}");
        self.packet(&because).map_err(|packet| {
            let all = format!("{because}; of AF_PACKET: {packet}");
            Error::new("open queues in any mode", std::io::Error::other(all))
        })
    }
}
