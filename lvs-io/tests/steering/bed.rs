//! What a test stands on: a namespace with a veth pair and a socket.
//!
//! ```text
//!   far ===== near        the program is on near, and so are the addresses
//! ```

#[path = "../../af-xdp/tests/skip/mod.rs"]
mod skip;

use std::os::fd::AsFd;
use std::{slice, thread};

use af_xdp::{HugePages, Socket, SocketConfig, Umem, UmemConfig, ZeroCopy};
use lvs_io::Nic;
use lvs_io::netlink::{Network, Prefix, VethEnd};
use lvs_io::program::{Steer, Steering, XdpMode};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use crate::frames::{FAR_MAC, NEAR_MAC};

/// Both ends are up, in this thread's namespace.
pub(crate) struct Bed {
    pub(crate) near: Nic,
    pub(crate) far: Nic,
}

impl Bed {
    /// Whether this kernel can attach in `mode`; says so if it cannot.
    pub(crate) fn can(&self, mode: XdpMode) -> bool {
        match Steering::attach(slice::from_ref(&self.near), mode) {
            Err(error) if error.to_string().contains("no TCX") => {
                skip::say(format_args!("at tc: {error}"));
                false
            }
            result => result.map(drop).is_ok(),
        }
    }

    /// Attaches to near.
    pub(crate) fn attach(&self, mode: XdpMode) -> Steering {
        Steering::attach(slice::from_ref(&self.near), mode).unwrap()
    }

    /// Attaches to near with `rules` in force and a socket on queue 0.
    pub(crate) fn steer(&self, mode: XdpMode, rules: &[Steer]) -> (Steering, Option<Wire>) {
        let mut steering = self.attach(mode);
        let wire = (mode != XdpMode::Tc).then(|| Wire::open(&self.near));
        if let Some(wire) = &wire {
            steering.set_socket(0, 0, wire.socket.as_fd()).unwrap();
        }
        steering.update(rules).unwrap();
        (steering, wire)
    }
}

/// Runs `test` on a thread in a new namespace; nothing of it outlives the thread.
pub(crate) fn in_namespace(test: impl FnOnce(Bed) + Send) {
    if !geteuid().is_root() {
        skip::say("loading a BPF program and making a network namespace need root");
        return;
    }
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test(pair());
    };
    thread::scope(|scope| {
        if let Err(panic) = scope.spawn(run).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn pair() -> Bed {
    let mut network = Network::open().unwrap();
    let near = VethEnd::new("near").mac(NEAR_MAC);
    let far = VethEnd::new("far").mac(FAR_MAC);
    network.add_veth(&near, &far).unwrap();
    let address = Prefix::new("192.0.2.1".parse().unwrap(), 24).unwrap();
    network.add_address("near", address).unwrap();
    network.set_up("near").unwrap();
    network.set_up("far").unwrap();
    Bed {
        near: Nic::named("near").unwrap(),
        far: Nic::named("far").unwrap(),
    }
}

/// An AF_XDP socket on queue 0 of a link, with its memory.
pub(crate) struct Wire {
    umem: Umem,
    pub(crate) socket: Socket,
}

impl Wire {
    pub(crate) fn open(nic: &Nic) -> Self {
        let mut umem = Umem::new(UmemConfig {
            chunks: 256,
            huge_pages: HugePages::Avoid,
            ..UmemConfig::default()
        })
        .unwrap();
        let mut config = SocketConfig::new(nic.index, 0);
        config.zero_copy = ZeroCopy::Off;
        // Not known before Linux 6.6, and no frame here is that long.
        config.multi_buffer = false;
        // Leaves chunks to send from.
        config.fill_ring = 64;
        let mut socket = Socket::open(&config, &mut umem).unwrap();
        socket.refill(&mut umem);
        Self { umem, socket }
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let mut frame = self.umem.allocate().unwrap();
        let parts = self.umem.parts_mut(&mut frame);
        parts.range.end = parts.range.start + bytes.len();
        parts.chunk[parts.range.clone()].copy_from_slice(bytes);
        let mut frames = vec![frame];
        assert_eq!(self.socket.transmit(&mut self.umem, &mut frames), 1);
        while self.socket.in_flight() > 0 {
            self.socket.kick();
            self.socket.reclaim(&mut self.umem);
        }
    }

    /// The frames that wait.
    pub(crate) fn received(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::with_capacity(64);
        self.socket.receive(&mut self.umem, &mut frames, 64);
        let copies = frames.iter().map(|frame| self.umem.bytes(frame).to_vec());
        let copies = copies.collect();
        for frame in frames {
            self.umem.release(frame);
        }
        self.socket.refill(&mut self.umem);
        copies
    }
}
