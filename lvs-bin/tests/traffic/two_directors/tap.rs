//! What crosses between the two directors, seen from the switch between them.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lvs::world::Namespace;
use socket2::{Domain, Protocol, Socket, Type};

use super::place::MACS;

/// A client's packet on its way from one director to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Crossing {
    /// The client's port.
    pub(super) port: u16,
    /// TTL or hop limit.
    pub(super) ttl: u8,
    /// Who sent it: 0 for `a`.
    pub(super) from: usize,
}

/// Listens at every port of a switch until it is stopped.
pub(super) struct Tap {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<Crossing>>,
}

impl Tap {
    /// Begins to listen in the namespace of a switch.
    pub(super) fn start(switch: &Namespace) -> Self {
        // Bound to no link, it hears all of them: each frame as it comes and as
        // it goes, which the set of crossings makes one.
        let all = Protocol::from(i32::from(ALL_PROTOCOLS.to_be()));
        let mut socket = switch
            .run(|| Socket::new(Domain::PACKET, Type::RAW, Some(all)))
            .unwrap();
        socket.set_read_timeout(Some(GLANCE)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            let mut frame = [0; 2048];
            // What is on its way when it is told to stop is still looked at.
            let mut end = None;
            while end.is_none_or(|end| Instant::now() < end) {
                if end.is_none() && stopped.load(Ordering::Relaxed) {
                    end = Some(Instant::now() + GRACE);
                }
                if let Ok(length) = socket.read(&mut frame) {
                    seen.extend(crossing(&frame[..length]));
                }
            }
            seen
        });
        Self { stop, thread }
    }

    /// What has crossed since it was started, in order of port and TTL.
    pub(super) fn stop(self) -> Vec<Crossing> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().into_iter().collect()
    }
}

/// What a frame is, if it is a TCP or UDP packet from one director to the other.
fn crossing(frame: &[u8]) -> Option<Crossing> {
    let (to, from) = (&frame.get(..6)?, &frame.get(6..12)?);
    let from = MACS.iter().position(|mac| mac == from)?;
    if *to != MACS[1 - from] {
        return None;
    }
    let (ttl, protocol, ports) = match frame.get(12..14)? {
        [0x08, 0x00] => {
            let header = usize::from(frame.get(14)? & 0x0f) * 4;
            (22, 23, 14 + header)
        }
        [0x86, 0xdd] => (21, 20, 54),
        _ => return None,
    };
    if !matches!(frame.get(protocol)?, 6 | 17) {
        return None;
    }
    let port = frame.get(ports..ports + 2)?.try_into().ok()?;
    Some(Crossing {
        port: u16::from_be_bytes(port),
        ttl: *frame.get(ttl)?,
        from,
    })
}

/// `ETH_P_ALL`.
const ALL_PROTOCOLS: u16 = 3;
/// How long it waits before it looks whether to stop.
const GLANCE: Duration = Duration::from_millis(20);
/// How long it goes on then.
const GRACE: Duration = Duration::from_millis(150);
