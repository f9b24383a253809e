//! Keeping chosen neighbours resolved, without traffic of one's own.

use std::collections::HashSet;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;

use super::error::Error;
use super::mirror::Mirror;
use super::neighbour::{self, Neighbour};

/// How the neighbours that [`Mirror::keep_warm`] was given stay resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmth {
    /// The kernel probes them by itself, for as long as the mirror lives.
    Managed,
    /// The kernel (before Linux 5.16) was asked to resolve them once. The
    /// caller must call again every few seconds, or they go stale.
    Once,
}

/// Which neighbours are to be kept warm, and which of them the mirror manages.
#[derive(Debug, Default)]
pub(super) struct WarmSet {
    wanted: HashSet<(u32, IpAddr)>,
    /// Those on which the mirror set the managed flag.
    ours: HashSet<(u32, IpAddr)>,
    /// What the kernel can do; none until it was first asked.
    warmth: Option<Warmth>,
    check_due: bool,
    /// Whether what a killed process left was looked for.
    inherited: bool,
}

impl WarmSet {
    /// Has the next poll look whether any was lost.
    pub(super) fn check(&mut self) {
        self.check_due = true;
    }
}

impl Mirror {
    /// Has the kernel keep exactly these neighbours resolved: each is a link's
    /// index and an address on it. Those kept so far and no longer named
    /// become ordinary neighbours again.
    ///
    /// The first call also takes over what a process that was killed had kept:
    /// its neighbours bear a mark, and would be probed for ever. Should another
    /// process that lives keep some, it sets them up again at its next poll.
    ///
    /// Entries made to stay are left alone, as are those someone else has the
    /// kernel manage. [`Mirror::poll`] sets up again what was lost to a link's
    /// fall or a flush.
    ///
    /// Errors: the first neighbour that the kernel refused; all others were
    /// asked for all the same, and the refused is asked for again by the next
    /// call. A link that is gone or down is no error.
    ///
    /// Cost: two requests to the kernel for each neighbour that is new, was
    /// lost or is released; with [`Warmth::Once`], for each.
    pub fn keep_warm(&mut self, neighbours: &[(u32, IpAddr)]) -> Result<Warmth, Error> {
        self.take_in()?;
        self.warm.wanted = neighbours.iter().copied().collect();
        self.inherit();
        let released = self.release_unwanted();
        self.warm_all().and(released)?;
        Ok(self.warm.warmth.unwrap_or(Warmth::Managed))
    }

    /// Sets up again what was lost, if something may have been.
    pub(super) fn keep_up_warmth(&mut self) -> Result<(), Error> {
        let due = std::mem::take(&mut self.warm.check_due);
        if due && self.warm.warmth == Some(Warmth::Managed) {
            self.warm_all()
        } else {
            Ok(())
        }
    }

    fn inherit(&mut self) {
        if !std::mem::replace(&mut self.warm.inherited, true) {
            let all = self.view.neighbours.iter();
            let left = all.filter(|(_, neighbour)| neighbour.is_kept_warm());
            self.warm.ours.extend(left.map(|(key, _)| *key));
        }
    }

    fn warm_all(&mut self) -> Result<(), Error> {
        let cold: Vec<_> = self
            .warm
            .wanted
            .iter()
            .copied()
            .filter(|key| self.is_cold(key))
            .collect();
        first_error(cold.into_iter().map(|key| self.warm_one(key)))
    }

    /// Whether the kernel should be asked for it, as far as the view knows.
    fn is_cold(&self, key: &(u32, IpAddr)) -> bool {
        let link = self.view.link(key.0);
        let known = self.view.neighbours.get(key);
        link.is_some_and(|link| link.up && link.asks_neighbours)
            && known.is_none_or(|neighbour| !neighbour.permanent && !neighbour.managed)
    }

    fn warm_one(&mut self, key: (u32, IpAddr)) -> Result<(), Error> {
        // The kernel does not announce an entry that is created as managed, and
        // one made to stay a moment ago may not have been taken in.
        let known = self.look_up(key)?;
        if known.is_some_and(|neighbour| neighbour.permanent || neighbour.managed) {
            return Ok(());
        }
        let learned = known.is_some_and(|neighbour| neighbour.learned);
        let asked = self.kernel.change(
            "keep warm",
            &format_args!("neighbour {} on link {}", key.1, key.0),
            RouteNetlinkMessage::NewNeighbour(neighbour::kept_warm(key.0, key.1, learned)),
            NLM_F_CREATE | NLM_F_REPLACE,
        );
        match asked {
            Err(error) if is_gone(&error) => return Ok(()),
            other => other?,
        }
        if self.warm.warmth.is_none() {
            let found = self.look_up(key)?;
            self.warm.warmth = found.map(|neighbour| match neighbour.managed {
                true => Warmth::Managed,
                false => Warmth::Once,
            });
        }
        if self.warm.warmth == Some(Warmth::Managed) {
            self.warm.ours.insert(key);
        }
        Ok(())
    }

    /// What the kernel knows of a neighbour now; what the view knows, where
    /// the kernel (before Linux 5.0) cannot be asked for one.
    fn look_up(&mut self, key: (u32, IpAddr)) -> Result<Option<Neighbour>, Error> {
        let message = neighbour::message(key.0, key.1);
        let request = RouteNetlinkMessage::GetNeighbour(message);
        match self.kernel.ask("find neighbour", &key.1, request) {
            Ok(RouteNetlinkMessage::NewNeighbour(message)) => Ok(Neighbour::from_message(&message)),
            Ok(_) => Ok(None),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                Ok(self.view.neighbours.get(&key).copied())
            }
            Err(error) => Err(error),
        }
    }

    fn release_unwanted(&mut self) -> Result<(), Error> {
        let unwanted: Vec<_> = self
            .warm
            .ours
            .difference(&self.warm.wanted)
            .copied()
            .collect();
        first_error(unwanted.into_iter().map(|key| self.release(key)))
    }

    fn release(&mut self, key: (u32, IpAddr)) -> Result<(), Error> {
        let known = self.look_up(key)?;
        if let Some(neighbour) = known.filter(|neighbour| neighbour.managed) {
            let message = neighbour::used(key.0, key.1, neighbour.learned);
            let asked = self.kernel.change(
                "release",
                &format_args!("neighbour {} on link {}", key.1, key.0),
                RouteNetlinkMessage::NewNeighbour(message),
                NLM_F_REPLACE,
            );
            match asked {
                Err(error) if is_gone(&error) => {}
                other => other?,
            }
        }
        self.warm.ours.remove(&key);
        Ok(())
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.warm.wanted.clear();
        // Nobody is left to hear of a failure.
        let _ = self.release_unwanted();
    }
}

fn first_error(results: impl Iterator<Item = Result<(), Error>>) -> Result<(), Error> {
    let mut first = Ok(());
    for result in results {
        first = first.and(result);
    }
    first
}

/// Whether a refusal is because the neighbour or its link is gone: no failure,
/// as then nothing is to be kept warm, or released.
fn is_gone(error: &Error) -> bool {
    let gone = [libc::ENODEV, libc::ENOENT, libc::ENXIO, libc::ENETDOWN];
    error
        .raw_os_error()
        .is_some_and(|number| gone.contains(&number))
}
