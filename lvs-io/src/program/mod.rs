//! Which frames reach the director: [`Steering`].
//!
//! A small program in the kernel, attached to each NIC, looks at every frame.
//! What the rules claim goes to the AF_XDP socket of the receive queue it came
//! in by; everything else goes on to the kernel's stack as if nothing were
//! there. Where AF_PACKET stands in for XDP, the same decision is made at tc
//! ingress instead, and keeps from the stack what the packet socket has got.
//!
//! ```text
//!           NIC ──▶ steer (XDP) ──▶ AF_XDP socket of the queue ──▶ worker
//!                     │  └─ rules say: not ours
//!                     ▼
//!                kernel stack
//! ```
//!
//! Nothing is pinned: when the process ends, by whatever means, programs, maps
//! and links are gone and the host's network is as before. The kernel side is
//! `bpf/steer.bpf.c`, described in `bpf/README.md`.

mod elf;
mod error;
mod object;
mod rules;
mod stats;
mod trial;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use crate::nic::Nic;
use crate::sys::bpf::{self, Hook, Map, Program, ProgramKind};
pub use error::{Error, Step};
use object::Object;
pub use rules::{End, Steer};
use rules::{Rules, Steps};
pub use stats::SteeringStats;
pub use trial::{Trial, Yardstick};

/// How the steering program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XdpMode {
    /// In the driver, before the kernel makes an skb of the frame.
    Native,
    /// Behind the driver, on the skb: works with every driver.
    Generic,
    /// At tc ingress, behind the packet sockets: what the rules claim is
    /// dropped there, for a packet socket has its copy already.
    Tc,
}

/// The steering program at work on some NICs. Dropping it detaches it.
#[derive(Debug)]
pub struct Steering {
    nics: Vec<Attached>,
    mode: XdpMode,
    shared: Shared,
    in_force: Rules,
    /// What these were made of, if of nothing else.
    asked: Option<Vec<Steer>>,
}

/// The program on one NIC. The fields drop in this order: detach, then unload.
#[derive(Debug)]
struct Attached {
    name: String,
    _link: OwnedFd,
    program: Program,
    /// The sockets by receive queue; none at tc.
    sockets: Option<Map>,
    /// Its MAC.
    own: Map,
}

/// The maps that the programs of all NICs have in common.
#[derive(Debug)]
struct Shared {
    rules: Map,
    present: Map,
    reasons: Map,
}

impl Steering {
    /// Loads the program once for each NIC and attaches it. There are no rules
    /// yet: every frame passes.
    ///
    /// The NICs are those of the calling thread's network namespace. Give
    /// sockets next, rules last.
    ///
    /// *Errors*: [`Error::Refused`]; nothing stays attached then.
    pub fn attach(nics: &[Nic], mode: XdpMode) -> Result<Self, Error> {
        let object = Object::parse(OBJECT)?;
        let shared = Shared {
            rules: make_map(&object, "rules")?,
            present: make_map(&object, "present")?,
            reasons: make_map(&object, "reasons")?,
        };
        let nics = nics
            .iter()
            .map(|nic| {
                Attached::new(&object, &shared, nic, mode).map_err(|error| error.on(&nic.name))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            nics,
            mode,
            shared,
            in_force: Rules::default(),
            asked: None,
        })
    }

    /// How it is attached.
    pub fn mode(&self) -> XdpMode {
        self.mode
    }

    /// Lets frames of receive queue `queue` go to `socket`, in place of the one
    /// before. `nic` is a position in the slice given to [`attach`](Self::attach).
    ///
    /// The kernel forgets the socket when it is closed; frames of that queue
    /// pass from then on.
    ///
    /// *Errors*: [`Error::NoSockets`] at tc, [`Error::NoSuchNic`],
    /// [`Error::Refused`]; nothing has changed then.
    pub fn set_socket(&self, nic: usize, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Error> {
        let nic = self.nics.get(nic).ok_or(Error::NoSuchNic { nic })?;
        let sockets = nic.sockets.as_ref().ok_or(Error::NoSockets)?;
        sockets
            .insert(&queue.to_ne_bytes(), &bpf::descriptor_value(socket))
            .map_err(|error| Error::refused(Step::SetSocket, error).on(&nic.name))
    }

    /// Takes `mac` for that of a NIC from now on: frames to another one, a
    /// group's aside, pass. It is the one the NIC had, until this is called.
    ///
    /// *Errors*: [`Error::NoSuchNic`], [`Error::Refused`]; nothing has changed
    /// then.
    pub fn set_mac(&self, nic: usize, mac: [u8; 6]) -> Result<(), Error> {
        let nic = self.nics.get(nic).ok_or(Error::NoSuchNic { nic })?;
        let set = set_mac(&nic.own, mac);
        set.map_err(|error| error.on(&nic.name))
    }

    /// Makes `steers` what is steered, on all NICs, in place of what was.
    ///
    /// Additions come first and deletions last: what is in both is steered
    /// throughout, and what is in neither never is.
    ///
    /// *Errors*: [`Error::Full`], [`Error::Protocol`], [`Error::Refused`]; what
    /// was in force is in force again then.
    ///
    /// *Cost*: some tenths of a microsecond for each of `steers` and each entry that
    /// differs; tens of milliseconds of waiting when there are both additions and
    /// deletions. Nothing but a comparison for what was asked last.
    pub fn update(&mut self, steers: &[Steer]) -> Result<(), Error> {
        if self.asked.as_deref() == Some(steers) {
            return Ok(());
        }
        self.enforce(Rules::of(steers)?)?;
        self.asked = Some(steers.to_vec());
        Ok(())
    }

    /// Steers `steers`, too, on all NICs.
    ///
    /// *Errors* and *cost*: as of [`update`](Self::update), without the waiting.
    pub fn admit(&mut self, steers: &[Steer]) -> Result<(), Error> {
        if self.asked.as_deref() == Some(steers) {
            return Ok(());
        }
        let both = self.in_force.and(&Rules::of(steers)?);
        self.enforce(both)?;
        self.asked = None;
        Ok(())
    }

    /// Puts other rules in force, or leaves those that are.
    fn enforce(&mut self, wanted: Rules) -> Result<(), Error> {
        let steps = rules::steps(&self.in_force.entries, &wanted.entries);
        let added = |step: &&rules::Step| step.before.is_none();
        let most = self.in_force.entries.len() + steps.grow.iter().filter(added).count();
        let capacity = self.shared.rules.capacity();
        if most > capacity {
            return Err(Error::Full {
                wanted: most,
                capacity,
            });
        }
        if let Err(error) = self.change(&steps, wanted.present) {
            // Should this fail as well, frames are steered in vain at worst.
            drop(self.announce(self.in_force.present));
            return Err(error);
        }
        self.in_force = wanted;
        Ok(())
    }

    /// What has been counted so far, on all NICs together.
    ///
    /// *Errors*: [`Error::Refused`].
    pub fn stats(&self) -> Result<SteeringStats, Error> {
        let mut stats = SteeringStats::default();
        for (reason, counter) in stats.by_reason().into_iter().enumerate() {
            let by_cpu = self
                .shared
                .reasons
                .lookup(&(reason as u32).to_ne_bytes())
                .map_err(|error| Error::refused(Step::ReadCounters, error))?;
            let (by_cpu, _) = by_cpu.as_chunks::<8>();
            *counter = by_cpu.iter().map(|count| u64::from_ne_bytes(*count)).sum();
        }
        Ok(stats)
    }

    /// Takes all steps, or none: a failure takes back those before it.
    fn change(&self, steps: &Steps, present: u32) -> Result<(), Error> {
        // While both are in, the program must look for the kinds of both.
        self.announce(present | self.in_force.present)?;
        let mut taken = Vec::new();
        let result = self
            .take(&steps.grow, &mut taken)
            .and_then(|()| {
                // A frame may be between the lookup that missed an addition and
                // the one that would miss a deletion: let it finish.
                if !steps.grow.is_empty() && !steps.shrink.is_empty() {
                    bpf::wait_for_running_programs();
                }
                self.take(&steps.shrink, &mut taken)
            })
            .and_then(|()| self.announce(present));
        if result.is_err() {
            for step in taken.iter().rev() {
                drop(self.write(&step.key, step.before));
            }
        }
        result
    }

    fn take(&self, steps: &[rules::Step], taken: &mut Vec<rules::Step>) -> Result<(), Error> {
        let is_alike =
            |one: &rules::Step, next: &rules::Step| one.after.is_some() == next.after.is_some();
        for steps in steps.chunk_by(is_alike) {
            for steps in steps.chunks(AT_ONCE) {
                let (done, result) = self.write_all(steps);
                taken.extend(&steps[..done]);
                result.map_err(|error| Error::refused(Step::WriteRules, error))?;
            }
        }
        Ok(())
    }

    /// Takes steps that either all write a value or all remove one; how many are
    /// taken, all if there was no error.
    fn write_all(&self, steps: &[rules::Step]) -> (usize, io::Result<()>) {
        let keys: Vec<rules::Key> = steps.iter().map(|step| step.key).collect();
        let values = steps.iter().filter_map(|step| step.after);
        let values: Vec<[u8; 4]> = values.map(u32::to_ne_bytes).collect();
        let (mut done, mut patience) = (0, PATIENCE);
        loop {
            let (keys, rules) = (keys[done..].as_flattened(), &self.shared.rules);
            let (more, result) = match values.get(done..) {
                Some(values) if !values.is_empty() => rules.insert_all(keys, values.as_flattened()),
                _ => rules.remove_all(keys),
            };
            done += more;
            let Err(error) = result else {
                return (steps.len(), Ok(()));
            };
            match error.raw_os_error() {
                // Gone already is as good.
                Some(libc::ENOENT) => done += 1,
                // The kernel keeps some memory for new entries at hand and gets more
                // while we wait.
                Some(libc::ENOMEM | libc::EBUSY) if patience > 0 => {
                    patience -= u32::from(more == 0);
                    thread::sleep(Duration::from_micros(100));
                }
                _ => return (done, Err(error)),
            }
        }
    }

    fn write(&self, key: &rules::Key, value: Option<u32>) -> io::Result<()> {
        match value {
            Some(value) => self.shared.rules.insert(key, &value.to_ne_bytes()),
            None => self.shared.rules.remove(key),
        }
    }

    fn announce(&self, present: u32) -> Result<(), Error> {
        self.shared
            .present
            .insert(&0_u32.to_ne_bytes(), &present.to_ne_bytes())
            .map_err(|error| Error::refused(Step::WriteRules, error))
    }
}

impl Attached {
    fn new(object: &Object<'_>, shared: &Shared, nic: &Nic, mode: XdpMode) -> Result<Self, Error> {
        let (kind, section, hook, step) = match mode {
            XdpMode::Native => (XDP, "xdp.frags", Hook::XdpNative, Step::AttachNative),
            XdpMode::Generic => (XDP, "xdp.frags", Hook::XdpGeneric, Step::AttachGeneric),
            XdpMode::Tc => (
                ProgramKind::Classifier,
                "tc",
                Hook::TcxIngress,
                Step::AttachTc,
            ),
        };
        let sockets = match mode {
            XdpMode::Tc => None,
            _ => Some(make_map(object, "xsks")?),
        };
        let own = make_map(object, "own")?;
        set_mac(&own, nic.mac)?;
        let words = object.program(section, |map| {
            Some(match map {
                "rules" => shared.rules.as_raw_fd(),
                "present" => shared.present.as_raw_fd(),
                "reasons" => shared.reasons.as_raw_fd(),
                "own" => own.as_raw_fd(),
                "xsks" => sockets.as_ref()?.as_raw_fd(),
                _ => return None,
            })
        })?;
        let program = Program::load(kind, "steer", object.licence(), &words);
        let program = program.map_err(Error::rejected)?;
        let link =
            bpf::link(&program, nic.index, hook).map_err(|error| Error::refused(step, error))?;
        Ok(Self {
            name: nic.name.clone(),
            _link: link,
            program,
            sockets,
            own,
        })
    }
}

fn make_map(object: &Object<'_>, name: &str) -> Result<Map, Error> {
    Map::create(name, object.map(name)?).map_err(|error| Error::refused(Step::MakeMap, error))
}

fn set_mac(own: &Map, mac: [u8; 6]) -> Result<(), Error> {
    own.insert(&0_u32.to_ne_bytes(), &mac)
        .map_err(|error| Error::refused(Step::WriteRules, error))
}

const XDP: ProgramKind = ProgramKind::XdpFrags;

/// Entries that are written with one system call.
const AT_ONCE: usize = 4096;
/// How often the kernel is waited for in vain while these are written.
const PATIENCE: u32 = 100;

/// What clang made of `bpf/steer.bpf.c`.
static OBJECT: &[u8] = include_bytes!("../../bpf/steer.bpf.o");

#[cfg(test)]
#[path = "../../af-xdp/tests/skip/mod.rs"]
mod skip;

#[cfg(test)]
mod tests {
    use super::*;

    /// The verifier gives up at a million; what it counts differs by version.
    const EFFORT: u32 = 50_000;

    #[test]
    fn the_verifier_has_little_to_do() {
        let object = Object::parse(OBJECT).unwrap();
        let made = ["rules", "present", "reasons", "xsks", "own"].map(|name| {
            let map = Map::create(name, object.map(name).unwrap());
            (name, map)
        });
        for (section, kind) in [("xdp.frags", XDP), ("tc", ProgramKind::Classifier)] {
            let words = object.program(section, |wanted| {
                let (_, map) = made.iter().find(|(name, _)| *name == wanted)?;
                map.as_ref().ok().map(AsRawFd::as_raw_fd)
            });
            if made.iter().any(|(_, map)| map.is_err()) {
                skip::say(format_args!(
                    "{:?}; loading a BPF program needs root",
                    made[0].1
                ));
                return;
            }
            let text = Program::effort(kind, object.licence(), &words.unwrap()).unwrap();
            // "processed 6345 insns (limit 1000000) ..."
            let (_, rest) = text.split_once("processed ").unwrap();
            let effort: u32 = rest.split(' ').next().unwrap().parse().unwrap();
            assert!(effort < EFFORT, "{section}: {text}");
        }
    }
}
