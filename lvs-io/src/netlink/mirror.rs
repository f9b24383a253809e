//! A view of the kernel's routing that follows its changes.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NetlinkBuffer, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::apply::Effect;
use super::error::Error;
use super::request::{Conversation, Messages, decode, open_socket, receive, receive_buffer};
use super::view::{Resolution, View};
use super::warm::WarmSet;

/// A [`View`] of a network namespace, kept in step with the kernel.
///
/// The namespace is the one the opening thread was in. Changes are announced
/// by the kernel and taken in by [`Mirror::poll`], which never blocks; the
/// descriptor ([`AsFd`]) is readable when there is something to take in.
/// Announcements that were lost are made good by reading everything anew.
///
/// A change that the kernel makes without announcing it is inferred: it takes
/// routes silently when their link goes down, their source address is removed
/// or their next-hop object changes, and on any of these the routes are read
/// again.
///
/// Dropping it releases the neighbours it kept warm.
pub struct Mirror {
    pub(super) kernel: Conversation,
    pub(super) view: View,
    pub(super) warm: WarmSet,
    events: Socket,
    buffer: Vec<u8>,
    stale: Stale,
    changed: bool,
    counters: MirrorCounters,
}

/// What a [`Mirror`] went through since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorCounters {
    /// Messages the kernel announced.
    pub announcements: u64,
    /// Times the kernel dropped announcements because too many waited.
    pub overruns: u64,
    /// Times everything was read anew.
    pub resyncs: u64,
    /// Times the routes were read again after a silent change.
    pub route_reloads: u64,
    /// Messages that could not be decoded, and were passed over.
    pub undecoded: u64,
}

/// What of the view is known not to be the kernel's any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stale {
    Nothing,
    Routes,
    Everything,
}

impl Mirror {
    /// Subscribes to changes in the calling thread's network namespace, then
    /// reads what there is.
    pub fn open() -> Result<Self, Error> {
        Self::with_receive_buffer(RECEIVE_BUFFER)
    }

    /// Like [`Mirror::open`], with room for `bytes` of waiting announcements
    /// (the kernel allows `net.core.rmem_max` at most, and doubles it for its
    /// own bookkeeping). Less room means more overruns, each of which costs a
    /// complete reading; nothing else.
    pub fn with_receive_buffer(bytes: u32) -> Result<Self, Error> {
        let events = subscribe(bytes)
            .map_err(|cause| Error::new("subscribe to", &"network changes", cause))?;
        let mut mirror = Self {
            kernel: Conversation::open()?,
            view: View::default(),
            warm: WarmSet::default(),
            events,
            buffer: receive_buffer(),
            stale: Stale::Nothing,
            changed: false,
            counters: MirrorCounters::default(),
        };
        mirror.view = View::read(&mut mirror.kernel)?;
        Ok(mirror)
    }

    /// Takes in what the kernel has announced, and returns whether anything
    /// may now resolve differently. Does not wait.
    ///
    /// At most some thousand announcements are taken in; more leave the
    /// descriptor readable.
    ///
    /// Errors: the kernel could not be read, or changed faster than it could
    /// be read. What was taken in before stays; call again soon, even if the
    /// descriptor is not readable: what is missing is fetched then.
    pub fn poll(&mut self) -> Result<bool, Error> {
        self.take_in()?;
        self.keep_up_warmth()?;
        Ok(std::mem::take(&mut self.changed))
    }

    /// Reads everything anew, without waiting for a reason to; the next
    /// [`Mirror::poll`] tells whether it differed. With very many
    /// announcements waiting it is left to the following polls.
    ///
    /// Errors: as [`Mirror::poll`]; the view is then unchanged.
    pub fn resync(&mut self) -> Result<(), Error> {
        self.stale = Stale::Everything;
        self.take_in()
    }

    /// The current view, to look into or to clone.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Finds where packets to `to` go; see [`View::resolve`].
    pub fn resolve(&self, to: IpAddr) -> Resolution {
        self.view.resolve(to)
    }

    /// What happened so far.
    pub fn counters(&self) -> MirrorCounters {
        MirrorCounters {
            undecoded: self.counters.undecoded + self.kernel.undecoded(),
            ..self.counters
        }
    }

    /// Applies waiting announcements, then fetches what they cannot tell.
    pub(super) fn take_in(&mut self) -> Result<(), Error> {
        for _ in 0..MOST_DATAGRAMS {
            match receive(&self.events, &mut self.buffer) {
                Ok(()) if self.stale == Stale::Everything => {}
                Ok(()) => self.apply_datagram(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.freshen();
                }
                // The kernel takes no more announcements until all that wait
                // are taken out; they tell of a past with gaps and are passed
                // over. What comes after is whole again.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.counters.overruns += 1;
                    self.stale = Stale::Everything;
                }
                Err(error) => {
                    self.stale = Stale::Everything;
                    return Err(Error::new("receive", &"network changes", error));
                }
            }
        }
        match self.stale {
            Stale::Everything => Ok(()),
            _ => self.freshen(),
        }
    }

    fn apply_datagram(&mut self) {
        for bytes in Messages::new(&self.buffer) {
            self.counters.announcements += 1;
            if is_about_next_hop_object(bytes) {
                self.stale = self.stale.max(Stale::Routes);
                continue;
            }
            let Some(message) = decode(bytes, &mut self.counters.undecoded) else {
                continue;
            };
            if let NetlinkPayload::InnerMessage(inner) = message.payload {
                let effect = self.view.apply(inner, message.header.flags);
                note(effect, &mut self.changed, &mut self.stale, &mut self.warm);
            }
        }
    }

    fn freshen(&mut self) -> Result<(), Error> {
        match self.stale {
            Stale::Nothing => return Ok(()),
            Stale::Routes => {
                self.await_kernel();
                self.changed |= self.view.read_routes(&mut self.kernel)?;
                self.counters.route_reloads += 1;
            }
            Stale::Everything => {
                self.await_kernel();
                let view = View::read(&mut self.kernel)?;
                self.changed |= view != self.view;
                self.view = view;
                self.warm.check();
                self.counters.resyncs += 1;
            }
        }
        self.stale = Stale::Nothing;
        Ok(())
    }

    /// Waits until the kernel is done with the change it just announced.
    ///
    /// It announces a link's fall before it removes the routes by it, and
    /// lists of routes are read without its lock (since Linux 6.9), so they
    /// may still hold them. Asking for one link takes the lock, which is free
    /// only when the change is complete.
    fn await_kernel(&mut self) {
        let mut message = LinkMessage::default();
        message.attributes = vec![LinkAttribute::IfName("lo".into())];
        let request = RouteNetlinkMessage::GetLink(message);
        // Only the waiting matters; there may be no such link.
        let _ = self.kernel.ask("find link", &"lo", request);
    }
}

impl AsFd for Mirror {
    /// Readable when [`Mirror::poll`] has something to take in.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

fn note(effect: Effect, changed: &mut bool, stale: &mut Stale, warm: &mut WarmSet) {
    *changed |= effect.changed;
    if effect.routes_stale {
        *stale = (*stale).max(Stale::Routes);
    }
    if effect.neighbours_moved {
        warm.check();
    }
}

fn is_about_next_hop_object(message: &[u8]) -> bool {
    let kind = NetlinkBuffer::new(message).message_type();
    [RTM_NEWNEXTHOP, RTM_DELNEXTHOP].contains(&kind)
}

fn subscribe(bytes: u32) -> io::Result<Socket> {
    let socket = open_socket(NETLINK_ROUTE)?;
    socket.set_rx_buf_sz(i32::try_from(bytes).unwrap_or(i32::MAX))?;
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    // Unknown before Linux 5.3, which has no such objects either.
    let _ = socket.add_membership(libc::RTNLGRP_NEXTHOP);
    Ok(socket)
}

const GROUPS: [u32; 8] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_NEIGH,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV6_RULE,
];

/// Room for some ten thousand announcements between two polls.
const RECEIVE_BUFFER: u32 = 4 << 20;

/// How many datagrams one poll takes in, so that it ends under a storm.
const MOST_DATAGRAMS: usize = 4096;

/// linux/rtnetlink.h
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;
