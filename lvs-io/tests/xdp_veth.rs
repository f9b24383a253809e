//! AF_XDP queues against the kernel: datagrams of a real socket go through the
//! steering program to the queues, which send them back.
//!
//! ```text
//!   client namespace             |       director namespace
//!   UDP socket, 192.0.2.2 ── c0 ═══ d0 ── steering ── queues: echo for 192.0.2.1
//! ```
//!
//! Needs root; says so and passes without. Run alone by
//! `cargo test -p lvs-io --test xdp_veth`.

#[path = "netlink/namespace.rs"]
mod namespace;

use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use af_xdp::{Frame, HugePages, MAX_PACKET_FRAMES, SocketConfig, Umem, UmemConfig};
use lvs_io::netlink::{Network, VethEnd};
use lvs_io::program::{End, Steer, Steering, XdpMode};
use lvs_io::{Attachment, Checksum, Mode, Nic, Queue, XdpQueue};
use nix::sys::socket::{setsockopt, sockopt};

use crate::namespace::Namespace;

const CHUNKS: u32 = 2048;
const PORT: u16 = 7;

/// The client and the director, joined by a veth pair.
struct World {
    client: Namespace,
    director: Namespace,
}

impl World {
    fn new(mtu: u32, queues: u32) -> Option<Self> {
        let (client, director) = (Namespace::new()?, Namespace::new()?);
        let server = director.run(|| {
            let mut network = Network::open().unwrap();
            let near = VethEnd::new("d0").queues(queues).mtu(mtu);
            let far = VethEnd::new("c0").queues(queues).mtu(mtu);
            let far = far.namespace(client.as_fd());
            network.add_veth(&near, &far).unwrap();
            network.set_up("d0").unwrap();
            network.link("d0").unwrap().mac.unwrap()
        });
        client.run(|| {
            let mut network = Network::open().unwrap();
            network.set_up("c0").unwrap();
            let address = "192.0.2.2/24".parse().unwrap();
            network.add_address("c0", address).unwrap();
            network.add_neighbour("c0", vip(), server).unwrap();
        });
        Some(Self { client, director })
    }

    /// A socket of the client's, connected to the service.
    fn socket(&self) -> UdpSocket {
        self.client.run(|| {
            let socket = UdpSocket::bind("192.0.2.2:0").unwrap();
            setsockopt(&socket, sockopt::RcvBufForce, &(8 << 20)).unwrap();
            socket.connect((vip(), PORT)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
    }

    fn echo(&self, mode: XdpMode) -> Echo {
        self.director.run(|| Echo::open(mode))
    }
}

fn vip() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

/// A director of one rule: every datagram goes back where it came from.
struct Echo {
    umem: Umem,
    queues: Vec<XdpQueue>,
    steering: Steering,
    frames: Vec<Frame>,
    /// Longest packet so far, in frames.
    longest: usize,
}

impl Echo {
    /// Opens all queues of `d0`; to be called in its namespace.
    fn open(mode: XdpMode) -> Self {
        let nic = Nic::named("d0").unwrap();
        let steering = Steering::attach(std::slice::from_ref(&nic), mode).unwrap();
        let config = UmemConfig {
            chunks: CHUNKS,
            chunk_size: 2048,
            huge_pages: HugePages::Avoid,
            ..UmemConfig::default()
        };
        let mut echo = Self {
            umem: Umem::new(config).unwrap(),
            queues: Vec::new(),
            steering,
            frames: Vec::with_capacity(128),
            longest: 0,
        };
        (0..nic.queues).for_each(|queue| echo.open_queue(&nic, queue));
        let steer = Steer {
            protocol: 17,
            address: vip(),
            port: Some(PORT),
            end: End::Destination,
        };
        echo.steering.update(&[steer]).unwrap();
        echo
    }

    fn open_queue(&mut self, nic: &Nic, queue: u32) {
        let mut config = SocketConfig::new(nic.index, queue);
        config.fill_ring = 256;
        config.receive_ring = 256;
        config.transmit_ring = 512;
        config.completion_ring = 512;
        config.multi_buffer = true;
        let attachment = match self.steering.mode() {
            XdpMode::Native => Attachment::Native,
            _ => Attachment::Generic("the test wants it"),
        };
        let first = self.queues.first();
        let queue = XdpQueue::open(nic, attachment, &config, first, &mut self.umem).unwrap();
        let number = config.queue;
        self.steering.set_socket(0, number, queue.as_fd()).unwrap();
        self.queues.push(queue);
    }

    /// One turn of every queue. No chunk may be missing after any step of it.
    fn turn(&mut self) {
        for number in 0..self.queues.len() {
            let (queue, umem) = (&mut self.queues[number], &mut self.umem);
            queue.reclaim(umem);
            queue.refill(umem);
            queue.receive(umem, &mut self.frames, 32);
            self.account();
            self.turn_round();
            let (queue, umem) = (&mut self.queues[number], &mut self.umem);
            queue.transmit(umem, &mut self.frames);
            queue.flush();
            self.account();
            assert!(self.frames.is_empty(), "the transmit ring is large enough");
        }
    }

    fn account(&self) {
        let with_kernel = |queue: &XdpQueue| queue.filled() + queue.in_flight();
        let with_kernel: usize = self.queues.iter().map(with_kernel).sum();
        let accounted = self.umem.free() + self.frames.len() + with_kernel;
        assert_eq!(accounted, CHUNKS as usize);
    }

    /// Sends every datagram back to its sender.
    fn turn_round(&mut self) {
        let mut part = 0;
        let whole = self.frames.last().is_none_or(|frame| !frame.continues());
        assert!(whole, "packets come whole");
        let continues: Vec<bool> = self.frames.iter().map(Frame::continues).collect();
        for (parts, continues) in self.umem.parts_of(&mut self.frames).zip(continues) {
            if part == 0 {
                let datagram = &mut parts.chunk[parts.range.clone()];
                datagram[..12].rotate_left(6);
                datagram[26..34].rotate_left(4);
                datagram[34..38].rotate_left(2);
                datagram[40..42].fill(0); // no checksum
            }
            part += 1;
            self.longest = self.longest.max(part);
            part = if continues { part } else { 0 };
        }
    }

    /// Turns until the client has an answer.
    fn answer(&mut self, client: &UdpSocket) -> Vec<u8> {
        let mut buffer = vec![0; 65536];
        let give_up = Instant::now() + Duration::from_secs(10);
        while Instant::now() < give_up {
            self.turn();
            if let Ok(length) = client.recv(&mut buffer) {
                buffer.truncate(length);
                return buffer;
            }
        }
        panic!("no answer; {:?}", self.queues[0].counters());
    }

    fn counted(&self, what: impl Fn(&XdpQueue) -> u64) -> u64 {
        self.queues.iter().map(what).sum()
    }
}

fn payload(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + seed) as u8).collect()
}

#[track_caller]
fn exchange(echo: &mut Echo, client: &UdpSocket, payload: &[u8]) {
    client.send(payload).unwrap();
    assert!(echo.answer(client) == payload, "another payload came back");
}

/// Runs `test` in native mode, then in generic mode.
fn in_both_modes(mtu: u32, queues: u32, test: impl Fn(&World, XdpMode)) {
    for mode in [XdpMode::Native, XdpMode::Generic] {
        let Some(world) = World::new(mtu, queues) else {
            return;
        };
        test(&world, mode);
    }
}

#[test]
fn datagrams_go_round_and_every_chunk_is_accounted_for() {
    in_both_modes(1500, 1, |world, mode| {
        let (mut echo, client) = (world.echo(mode), world.socket());
        for seed in 0..200 {
            exchange(&mut echo, &client, &payload(18 + seed * 7, seed));
        }
        let counters = echo.queues[0].counters();
        assert_eq!((counters.received, counters.transmitted), (200, 200));
        assert_eq!((counters.invalid, counters.kicks_failed), (0, 0));
        assert_eq!(counters.fill_ring_empty + counters.receive_ring_full, 0);
        assert_eq!(echo.longest, 1);
    });
}

#[test]
fn a_queue_says_what_it_is_and_why() {
    in_both_modes(1500, 1, |world, mode| {
        let echo = world.echo(mode);
        let capabilities = echo.queues[0].capabilities();
        let (expected, reason) = match mode {
            XdpMode::Native => (Mode::XdpCopy, "bind to the queue"),
            _ => (Mode::XdpGeneric, "the test wants it"),
        };
        assert_eq!(capabilities.mode, expected);
        assert!(capabilities.reason.contains(reason), "{capabilities:?}");
        assert_eq!(capabilities.checksum, Checksum::MaybePartial);
        assert_eq!(capabilities.max_frame, 1518);
    });
}

#[test]
fn long_packets_take_several_frames_and_stay_whole() {
    in_both_modes(9000, 1, |world, mode| {
        let (mut echo, client) = (world.echo(mode), world.socket());
        for length in [1750, 1751, 4000, 8972] {
            exchange(&mut echo, &client, &payload(length, length));
        }
        assert!((5..=MAX_PACKET_FRAMES).contains(&echo.longest));
        let counters = echo.queues[0].counters();
        assert_eq!(counters.invalid, 0);
        assert!(counters.received >= 1 + 2 + 3 + 6);
    });
}

#[test]
fn more_packets_than_one_call_moves_all_come_back() {
    in_both_modes(1500, 1, |world, mode| {
        let (mut echo, client) = (world.echo(mode), world.socket());
        // All wait in the receive ring before the first turn.
        for seed in 0..200 {
            client.send(&payload(100, seed)).unwrap();
        }
        let mut answers: Vec<_> = (0..200).map(|_| echo.answer(&client)).collect();
        answers.sort();
        answers.dedup();
        assert_eq!(answers.len(), 200);
        assert_eq!(echo.counted(|queue| queue.counters().transmitted), 200);
    });
}

#[test]
fn every_queue_serves_and_all_share_the_chunks() {
    in_both_modes(1500, 2, |world, mode| {
        let (mut echo, client) = (world.echo(mode), world.socket());
        assert_eq!(echo.queues.len(), 2);
        for seed in 0..64 {
            // Another flow each time, hence another queue now and then.
            exchange(&mut echo, &world.socket(), &payload(64, seed));
        }
        exchange(&mut echo, &client, b"and once more");
        let by_queue = echo.queues.iter().map(|queue| queue.counters().received);
        let by_queue: Vec<u64> = by_queue.collect();
        assert_eq!(by_queue.iter().sum::<u64>(), 65);
        if mode == XdpMode::Native {
            assert!(
                by_queue.iter().all(|&received| received > 0),
                "{by_queue:?}"
            );
        }
    });
}

#[test]
fn a_link_that_goes_down_and_up_again_goes_on_working() {
    in_both_modes(1500, 1, |world, mode| {
        let (mut echo, client) = (world.echo(mode), world.socket());
        let set = |up| {
            world.director.run(|| {
                let mut network = Network::open().unwrap();
                match up {
                    true => network.set_up("d0").unwrap(),
                    false => network.set_down("d0").unwrap(),
                }
            });
        };
        exchange(&mut echo, &client, b"before");
        set(false);
        (0..10).for_each(|_| echo.turn());
        set(true);
        exchange(&mut echo, &client, b"after");
        assert_eq!(echo.queues[0].counters().kicks_failed, 0);
    });
}

#[test]
fn a_queue_can_be_opened_again_at_once() {
    in_both_modes(1500, 1, |world, mode| {
        for round in 0..3 {
            let (mut echo, client) = (world.echo(mode), world.socket());
            exchange(&mut echo, &client, &payload(100, round));
        }
    });
}

#[test]
fn what_is_not_steered_goes_to_the_kernel() {
    in_both_modes(1500, 1, |world, mode| {
        let echo = world.echo(mode);
        let own = world.director.run(|| {
            let mut network = Network::open().unwrap();
            let address = "192.0.2.3/24".parse().unwrap();
            network.add_address("d0", address).unwrap();
            UdpSocket::bind("192.0.2.3:7").unwrap()
        });
        own.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let client = world.client.run(|| UdpSocket::bind("192.0.2.2:0").unwrap());
        client.send_to(b"to the host", "192.0.2.3:7").unwrap();
        let mut buffer = [0; 64];
        let length = own.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"to the host");
        assert_eq!(echo.queues[0].counters().received, 0);
    });
}
