//! The socket against the running kernel, without an XDP program: opening,
//! sharing, sending, closing.
//!
//! Each test works in a network namespace of its own, held by its thread:
//!
//! ```text
//!   near (two queues) ===== far        both up, nobody listens
//! ```
//!
//! Needs root and iproute2; says so and passes where they lack.

mod skip;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use af_xdp::{
    Frame, HugePages, MAX_PACKET_FRAMES, Socket, SocketConfig, Step, Umem, UmemConfig, ZeroCopy,
};
use nix::sched::{CloneFlags, unshare};

const CHUNKS: u32 = 512;

/// Runs `test` with the index of `near` on a thread in a new namespace.
fn in_namespace(test: impl FnOnce(u32) + Send + 'static) {
    let run = move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            skip::say(format_args!("a network namespace needs root ({error})"));
            return;
        }
        if Command::new("ip").arg("-V").output().is_err() {
            skip::say("needs the ip command (iproute2)");
            return;
        }
        ip(
            "link add near numrxqueues 2 numtxqueues 2 type veth peer name far \
            numrxqueues 2 numtxqueues 2",
        );
        ip("link set near up");
        ip("link set far up");
        test(nix::net::if_::if_nametoindex("near").unwrap());
    };
    thread::spawn(run).join().unwrap();
}

fn ip(arguments: &str) {
    let status = Command::new("ip")
        .args(arguments.split_whitespace())
        .status();
    assert!(status.unwrap().success(), "ip {arguments}");
}

fn umem() -> Umem {
    Umem::new(UmemConfig {
        chunks: CHUNKS,
        huge_pages: HugePages::Avoid,
        ..UmemConfig::default()
    })
    .unwrap()
}

fn config(near: u32, queue: u32) -> SocketConfig {
    let mut config = SocketConfig::new(near, queue);
    config.fill_ring = 64;
    config.receive_ring = 64;
    config.transmit_ring = 128;
    config.completion_ring = 128;
    config.multi_buffer = true;
    config
}

/// A broadcast frame of `length` bytes of an experimental protocol.
fn frame(umem: &mut Umem, length: usize) -> Frame {
    let mut frame = umem.allocate().expect("a free chunk");
    let parts = umem.parts_mut(&mut frame);
    parts.range.end = parts.range.start + length;
    let bytes = &mut parts.chunk[parts.range.clone()];
    bytes.fill(0);
    bytes[..length.min(6)].fill(0xff);
    if let Some(kind) = bytes.get_mut(12..14) {
        kind.copy_from_slice(&[0x88, 0xb5]);
    }
    frame
}

fn accounted(umem: &Umem, sockets: &[&Socket], held: usize) -> usize {
    let with_kernel = |socket: &&Socket| socket.filled() + socket.in_flight();
    umem.free() + held + sockets.iter().map(with_kernel).sum::<usize>()
}

/// Turns until nothing is in flight; a hang is a failure.
fn drain(socket: &mut Socket, umem: &mut Umem) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while socket.in_flight() > 0 {
        assert!(Instant::now() < give_up, "{} left", socket.in_flight());
        socket.kick();
        socket.reclaim(umem);
        assert_eq!(accounted(umem, &[socket], 0), CHUNKS as usize);
    }
}

#[test]
fn more_frames_than_one_call_sends_all_leave() {
    in_namespace(|near| {
        for transmit_budget in [32, 128] {
            let mut umem = umem();
            let mut config = config(near, 0);
            config.transmit_budget = transmit_budget;
            let mut socket = Socket::open(&config, &mut umem).unwrap();
            assert_eq!(socket.filled(), 64);

            let mut frames: Vec<Frame> = (0..300).map(|_| frame(&mut umem, 60)).collect();
            assert_eq!(
                socket.transmit(&mut umem, &mut frames),
                128,
                "the ring's size"
            );
            assert_eq!(accounted(&umem, &[&socket], frames.len()), CHUNKS as usize);
            let give_up = Instant::now() + Duration::from_secs(10);
            while !frames.is_empty() && Instant::now() < give_up {
                socket.kick();
                socket.reclaim(&mut umem);
                socket.transmit(&mut umem, &mut frames);
            }
            drain(&mut socket, &mut umem);
            assert_eq!(umem.free() + socket.filled(), CHUNKS as usize);
            let statistics = socket.statistics();
            assert_eq!(
                (statistics.transmit_invalid, statistics.kicks.failed),
                (0, 0)
            );
        }
    });
}

#[test]
fn without_zero_copy_it_copies_and_says_why_or_fails_if_it_must_not() {
    in_namespace(|near| {
        let mut umem = umem();
        let mut config = config(near, 0);
        let socket = Socket::open(&config, &mut umem).unwrap();
        assert!(!socket.is_zero_copy());
        let refusal = socket.zero_copy_refusal().expect("veth always copies");
        assert_eq!(refusal.step(), Step::Bind);
        assert_eq!(refusal.os().raw_os_error(), Some(libc::EOPNOTSUPP));
        drop(socket);

        let free = umem.free();
        config.zero_copy = ZeroCopy::Require;
        let error = Socket::open(&config, &mut umem).unwrap_err();
        assert_eq!(error.os().raw_os_error(), Some(libc::EOPNOTSUPP));
        assert_eq!(umem.free(), free, "a failed attempt keeps no chunk");

        config.zero_copy = ZeroCopy::Off;
        let socket = Socket::open(&config, &mut umem).unwrap();
        assert!(socket.zero_copy_refusal().is_none());
    });
}

#[test]
fn a_queue_has_one_socket_and_is_free_again_once_closed() {
    in_namespace(|near| {
        let (mut one, mut two) = (umem(), umem());
        let mut config = config(near, 1);
        let first = Socket::open(&config, &mut one).unwrap();
        config.patience = Duration::from_millis(50);
        let error = Socket::open(&config, &mut two).unwrap_err();
        assert_eq!(error.step(), Step::Bind);
        assert_eq!(error.os().raw_os_error(), Some(libc::EBUSY));
        assert_eq!(two.free(), two.chunks());

        drop(first);
        config.patience = Duration::from_secs(10);
        for _ in 0..3 {
            // Each time while the kernel is still taking the last one apart.
            drop(Socket::open(&config, &mut umem()).unwrap());
        }
    });
}

#[test]
fn queues_can_share_one_umem_either_way() {
    in_namespace(|near| {
        for shared in [true, false] {
            let mut umem = umem();
            let mut first = Socket::open(&config(near, 0), &mut umem).unwrap();
            let mut second = match shared {
                true => Socket::open_sharing(&config(near, 1), &mut umem, &first).unwrap(),
                false => Socket::open(&config(near, 1), &mut umem).unwrap(),
            };
            assert_eq!(accounted(&umem, &[&first, &second], 0), CHUNKS as usize);
            for socket in [&mut first, &mut second] {
                let mut frames: Vec<Frame> = (0..100).map(|_| frame(&mut umem, 60)).collect();
                assert_eq!(socket.transmit(&mut umem, &mut frames), 100);
                let give_up = Instant::now() + Duration::from_secs(10);
                while socket.in_flight() > 0 && Instant::now() < give_up {
                    socket.kick();
                    socket.reclaim(&mut umem);
                }
                assert_eq!(socket.in_flight(), 0);
            }
            assert_eq!(umem.free() + 2 * 64, CHUNKS as usize);
        }
    });
}

#[test]
fn a_link_that_is_down_holds_frames_back_and_loses_none() {
    in_namespace(|near| {
        let mut umem = umem();
        let mut socket = Socket::open(&config(near, 0), &mut umem).unwrap();
        ip("link set near down");
        let mut frames: Vec<Frame> = (0..10).map(|_| frame(&mut umem, 60)).collect();
        assert_eq!(socket.transmit(&mut umem, &mut frames), 10);
        socket.kick();
        socket.reclaim(&mut umem);
        assert_eq!(socket.in_flight(), 10);
        let kicks = socket.statistics().kicks;
        assert_eq!((kicks.calls, kicks.link_down, kicks.failed), (1, 1, 0));
        ip("link set near up");
        drain(&mut socket, &mut umem);
    });
}

#[test]
fn nothing_to_send_costs_no_system_call() {
    in_namespace(|near| {
        let mut umem = umem();
        let mut socket = Socket::open(&config(near, 0), &mut umem).unwrap();
        (0..10).for_each(|_| socket.kick());
        assert_eq!(socket.statistics().kicks.calls, 0);
    });
}

#[test]
fn packets_are_queued_whole_or_not_at_all() {
    in_namespace(|near| {
        let mut umem = umem();
        let mut socket = Socket::open(&config(near, 0), &mut umem).unwrap();
        let mut frames: Vec<Frame> = (0..126).map(|_| frame(&mut umem, 60)).collect();
        for continues in [true, true, false] {
            let mut part = frame(&mut umem, 1000);
            part.set_continues(continues);
            frames.push(part);
        }
        assert_eq!(
            socket.transmit(&mut umem, &mut frames),
            126,
            "two slots are left"
        );
        assert_eq!(frames.len(), 3);
        drain_with(&mut socket, &mut umem, frames.len());
        frames[2].set_continues(true);
        assert_eq!(
            socket.transmit(&mut umem, &mut frames),
            0,
            "its end is missing"
        );
        frames[2].set_continues(false);
        assert_eq!(socket.transmit(&mut umem, &mut frames), 3);
        drain(&mut socket, &mut umem);
        assert_eq!(socket.statistics().transmit_invalid, 0);
    });
}

fn drain_with(socket: &mut Socket, umem: &mut Umem, held: usize) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while socket.in_flight() > 0 && Instant::now() < give_up {
        socket.kick();
        socket.reclaim(umem);
    }
    assert_eq!(accounted(umem, &[socket], held), CHUNKS as usize);
}

#[test]
fn what_the_kernel_would_refuse_is_refused_first_and_keeps_no_chunk() {
    in_namespace(|near| {
        let mut umem = umem();
        let mut config = config(near, 0);
        let mut socket = Socket::open(&config, &mut umem).unwrap();
        let mut frames = vec![frame(&mut umem, 60), frame(&mut umem, 0)];
        let mut outside = frame(&mut umem, 60);
        *umem.parts_mut(&mut outside).range = 4000..4097;
        frames.push(outside);
        for _ in 0..MAX_PACKET_FRAMES {
            let mut part = frame(&mut umem, 60);
            part.set_continues(true);
            frames.push(part);
        }
        frames.push(frame(&mut umem, 60));
        frames.push(frame(&mut umem, 60));
        let refused = 1 + 1 + MAX_PACKET_FRAMES + 1;
        assert_eq!(socket.transmit(&mut umem, &mut frames), refused + 2);
        assert_eq!((frames.len(), socket.in_flight()), (0, 2));
        drain(&mut socket, &mut umem);
        let statistics = socket.statistics();
        assert_eq!(
            (statistics.refused, statistics.transmit_invalid),
            (refused as u64, 0)
        );
        drop(socket);

        config.multi_buffer = false;
        let mut socket = Socket::open(&config, &mut umem).unwrap();
        let mut part = frame(&mut umem, 60);
        part.set_continues(true);
        let mut frames = vec![part, frame(&mut umem, 60)];
        assert_eq!(socket.transmit(&mut umem, &mut frames), 2);
        assert_eq!(socket.in_flight(), 0);
    });
}

#[test]
fn rings_of_no_size_are_refused() {
    in_namespace(|near| {
        let mut umem = umem();
        let mut config = config(near, 0);
        for size in [0, 3, 1000] {
            config.receive_ring = size;
            let error = Socket::open(&config, &mut umem).unwrap_err();
            assert_eq!(error.step(), Step::SizeRings);
        }
    });
}
