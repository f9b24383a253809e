//! Opening all queues of several interfaces, and a datagram across them.
//!
//! ```text
//!   client namespace │   director namespace    │ server namespace
//!   192.0.2.2 ─── c0 ═══ d0 ── one lane ── d1 ═══ s0 ─── 192.0.2.1
//! ```
//!
//! Needs root; says so and passes without.

#[path = "netlink/namespace.rs"]
mod namespace;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use af_xdp::{Frame, HugePages, ZeroCopy};
use lvs_io::netlink::{Network, VethEnd};
use lvs_io::program::{End, Steer, XdpMode};
use lvs_io::{Mode, Options, Queues, WantedMode};

use crate::namespace::Namespace;

const MODES: [WantedMode; 3] = [WantedMode::Native, WantedMode::Generic, WantedMode::Packet];

struct World {
    client: Namespace,
    director: Namespace,
    server: Namespace,
    client_mac: [u8; 6],
    server_mac: [u8; 6],
}

impl World {
    /// `d0` and its peer have two queues, `d1` and its peer one.
    fn new() -> Option<Self> {
        let (client, director) = (Namespace::new()?, Namespace::new()?);
        let server = Namespace::new()?;
        let macs = director.run(|| {
            let mut network = Network::open().unwrap();
            let (d0, c0) = (VethEnd::new("d0").queues(2), VethEnd::new("c0").queues(2));
            network
                .add_veth(&d0, &c0.namespace(client.as_fd()))
                .unwrap();
            let (d1, s0) = (VethEnd::new("d1"), VethEnd::new("s0"));
            network
                .add_veth(&d1, &s0.namespace(server.as_fd()))
                .unwrap();
            network.set_up("d0").unwrap();
            network.set_up("d1").unwrap();
            ["d0", "d1"].map(|name| network.link(name).unwrap().mac.unwrap())
        });
        let client_mac = client.run(|| {
            let mut network = Network::open().unwrap();
            network.set_up("c0").unwrap();
            network
                .add_address("c0", "192.0.2.2/24".parse().unwrap())
                .unwrap();
            let vip = "192.0.2.1".parse().unwrap();
            network.add_neighbour("c0", vip, macs[0]).unwrap();
            network.link("c0").unwrap().mac.unwrap()
        });
        let server_mac = server.run(|| {
            let mut network = Network::open().unwrap();
            network.set_up("s0").unwrap();
            network
                .add_address("s0", "192.0.2.1/24".parse().unwrap())
                .unwrap();
            let client = "192.0.2.2".parse().unwrap();
            network.add_neighbour("s0", client, macs[1]).unwrap();
            network.link("s0").unwrap().mac.unwrap()
        });
        Some(Self {
            client,
            director,
            server,
            client_mac,
            server_mac,
        })
    }

    fn open(&self, options: &Options) -> Result<Queues, lvs_io::Error> {
        self.director.run(|| Queues::open(options))
    }
}

fn options<const N: usize>(interfaces: [&str; N]) -> Options {
    let mut options = Options::new(interfaces);
    options.ring = 256;
    options.huge_pages = HugePages::Avoid;
    options
}

fn modes(queues: &Queues) -> Vec<Mode> {
    let queues = queues.lanes.iter().flat_map(|lane| &lane.queues);
    queues.map(|queue| queue.capabilities().mode).collect()
}

#[test]
fn the_fastest_mode_is_taken_and_explained() {
    let Some(world) = World::new() else { return };
    let queues = world.open(&options(["d0", "d1"])).unwrap();
    assert_eq!(queues.steering.as_ref().unwrap().mode(), XdpMode::Native);
    assert_eq!(modes(&queues), [Mode::XdpCopy; 3]);
    for queue in &queues.lanes[0].queues {
        let reason = &queue.capabilities().reason;
        assert!(reason.contains("bind to the queue"), "{reason}");
    }
}

#[test]
fn what_is_asked_for_is_given_or_refused() {
    let Some(world) = World::new() else { return };
    let mut options = options(["d0", "d1"]);
    options.mode = WantedMode::Generic;
    let queues = world.open(&options).unwrap();
    assert_eq!(modes(&queues), [Mode::XdpGeneric; 3]);
    drop(queues);
    options.mode = WantedMode::Packet;
    let queues = world.open(&options).unwrap();
    assert_eq!(modes(&queues), [Mode::Packet; 2]);
    assert_eq!(queues.steering.as_ref().unwrap().mode(), XdpMode::Tc);
    drop(queues);
    options.mode = WantedMode::Native;
    options.zero_copy = ZeroCopy::Require;
    let error = world.open(&options).err().expect("veth always copies");
    assert_eq!(error.os().raw_os_error(), Some(libc::EOPNOTSUPP));
    assert_eq!((error.nic(), error.queue_index()), (Some("d0"), Some(0)));
}

#[test]
fn without_native_xdp_it_is_generic() {
    let Some(world) = World::new() else { return };
    world.director.run(|| {
        let mut network = Network::open().unwrap();
        network.add_bridge("bridge").unwrap();
        network.set_up("bridge").unwrap();
    });
    let bridge = world.open(&options(["bridge"])).unwrap();
    assert_eq!(modes(&bridge), [Mode::XdpGeneric]);
    let reason = &bridge.lanes[0].queues[0].capabilities().reason;
    assert!(reason.contains("because of native XDP"), "{reason}");

    let mut options = options(["bridge"]);
    options.zero_copy = ZeroCopy::Require;
    assert!(world.open(&options).is_err(), "nothing else would do");
}

/// Two directors on one NIC would both direct the same packets.
#[test]
fn beside_another_owner_it_is_refused_unless_asked_for() {
    let Some(world) = World::new() else { return };
    for mode in [WantedMode::Auto, WantedMode::Generic] {
        let mut options = options(["d0", "d1"]);
        options.mode = mode;
        let _first = world.open(&options).unwrap();
        options.mode = WantedMode::Auto;
        options.interfaces.remove(0);
        let error = world.open(&options).err().expect("d1 is taken");
        assert_eq!(error.nic(), Some("d1"));
        let owner = format!("process {} (", std::process::id());
        for part in [owner.as_str(), "has d1 already", "mode = \"packet\""] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        options.mode = WantedMode::Packet;
        assert_eq!(modes(&world.open(&options).unwrap()), [Mode::Packet]);
    }
}

#[test]
fn a_lane_has_a_queue_of_every_nic_and_its_share_of_the_rest() {
    let Some(world) = World::new() else { return };
    let queues = world.open(&options(["d0", "d1"])).unwrap();
    assert_eq!((queues.nics[0].queues, queues.nics[1].queues), (2, 1));
    assert_eq!(queues.lanes.len(), 1, "d1 has one queue");
    assert_eq!(queues.lanes[0].nics, [0, 1, 0]);
    drop(queues);

    let mut options = options(["d0"]);
    options.workers = Some(2);
    let queues = world.open(&options).unwrap();
    let nics: Vec<_> = queues.lanes.iter().map(|lane| &lane.nics[..]).collect();
    assert_eq!(nics, [&[0], &[0]]);
    drop(queues);

    let mut options = self::options(["d0", "d1"]);
    options.mode = WantedMode::Packet;
    options.workers = Some(3);
    let queues = world.open(&options).unwrap();
    let nics: Vec<_> = queues.lanes.iter().map(|lane| &lane.nics[..]).collect();
    assert_eq!(nics, [&[0, 1], &[0, 1], &[0, 1]]);
}

#[test]
fn what_cannot_be_opened_is_named_with_what_to_do() {
    let Some(world) = World::new() else { return };
    let refused = |options: &Options| world.open(options).err().expect("a refusal").to_string();
    assert!(refused(&options(["d9"])).starts_with("d9: find the network interface"));
    assert!(refused(&options(["d0", "d0"])).contains("listed twice"));
    assert!(refused(&options([])).contains("no interface"));
    let mut many = options(["d0"]);
    many.workers = Some(3);
    assert!(refused(&many).contains("ethtool -L d0 combined 3"));
}

#[test]
fn a_frame_received_by_one_nic_leaves_by_another_without_a_copy() {
    let Some(world) = World::new() else { return };
    for mode in MODES {
        let mut options = options(["d0", "d1"]);
        options.mode = mode;
        let mut queues = world.open(&options).unwrap();
        let service = Steer {
            protocol: 17,
            address: "192.0.2.1".parse().unwrap(),
            port: Some(7),
            end: End::Destination,
        };
        queues
            .steering
            .as_mut()
            .unwrap()
            .update(&[service])
            .unwrap();
        let server = world.server.run(|| UdpSocket::bind("192.0.2.1:7").unwrap());
        server.set_nonblocking(true).unwrap();
        for message in 0..50_u8 {
            // Another flow each time, hence another queue of d0 now and then.
            let client = world.client.run(|| UdpSocket::bind("192.0.2.2:0").unwrap());
            client.send_to(&[message; 20], "192.0.2.1:7").unwrap();
            assert_eq!(forward(&mut queues, &world, &server), [message; 20]);
        }
    }
}

/// Real TCP: the sender leaves long segments and their checksums to its NIC, and
/// no NIC is there to make them. What arrives must be frames as on a wire.
#[test]
fn tcp_of_a_sender_that_relies_on_its_nic_arrives() {
    const LENGTH: usize = 1 << 20;
    let Some(world) = World::new() else { return };
    for mode in MODES {
        let mut options = options(["d0", "d1"]);
        options.mode = mode;
        let mut queues = world.open(&options).unwrap();
        let towards = |end| Steer {
            protocol: 6,
            address: "192.0.2.1".parse().unwrap(),
            port: Some(7),
            end,
        };
        let both = [towards(End::Destination), towards(End::Source)];
        queues.steering.as_mut().unwrap().update(&both).unwrap();

        let listener = world
            .server
            .run(|| TcpListener::bind("192.0.2.1:7").unwrap());
        let serve = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&body(LENGTH)).unwrap();
        });
        let fetch = world.client.run(|| {
            // It stays in the namespace of the thread that starts it.
            thread::spawn(|| {
                let mut received = Vec::new();
                let mut stream = TcpStream::connect("192.0.2.1:7").unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .unwrap();
                stream.read_to_end(&mut received).unwrap();
                received
            })
        });
        let give_up = Instant::now() + Duration::from_secs(60);
        while !(fetch.is_finished() && serve.is_finished()) && Instant::now() < give_up {
            relay(&mut queues, &world);
        }
        assert!(
            fetch.join().unwrap() == body(LENGTH),
            "{mode:?}: another body"
        );
        serve.join().unwrap();
        for queue in &queues.lanes[0].queues {
            assert_eq!(queue.counters().invalid, 0, "{mode:?}");
        }
    }
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// One turn of the one lane: all that came from either side goes to the other,
/// with whole checksums.
fn relay(queues: &mut Queues, world: &World) {
    let macs = [queues.nics[0].mac, queues.nics[1].mac];
    let lane = &mut queues.lanes[0];
    let mut frames: Vec<Frame> = Vec::with_capacity(64);
    for at in 0..lane.queues.len() {
        let (queue, from) = (&mut lane.queues[at], lane.nics[at]);
        queue.reclaim(&mut lane.umem);
        queue.refill(&mut lane.umem);
        queue.receive(&mut lane.umem, &mut frames, 32);
        let (to, mac) = match from {
            0 => (1, world.server_mac),
            _ => (0, world.client_mac),
        };
        for parts in lane.umem.parts_of(&mut frames) {
            let packet = &mut parts.chunk[parts.range.clone()];
            assert!(packet.len() <= 1514, "a super-packet of {}", packet.len());
            packet[..6].copy_from_slice(&mac);
            packet[6..12].copy_from_slice(&macs[to]);
            complete_tcp4(packet);
        }
        lane.queues[to].transmit(&mut lane.umem, &mut frames);
        lane.queues[to].flush();
        assert!(frames.is_empty(), "the transmit ring is large enough");
    }
}

/// Makes the TCP checksum of an IPv4 frame without options or padding anew.
fn complete_tcp4(frame: &mut [u8]) {
    frame[50..52].fill(0);
    let sum = |bytes: &[u8]| -> u32 {
        let pairs = bytes.chunks(2);
        let words =
            pairs.map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().unwrap_or(0) as u32);
        words.sum()
    };
    let mut total = sum(&frame[26..34]) + 6 + (frame.len() - 34) as u32 + sum(&frame[34..]);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    frame[50..52].copy_from_slice(&(!total as u16).to_be_bytes());
}

/// Turns the one lane until the server has a datagram.
fn forward(queues: &mut Queues, world: &World, server: &UdpSocket) -> Vec<u8> {
    let own = queues.nics[1].mac;
    let lane = &mut queues.lanes[0];
    let mut frames: Vec<Frame> = Vec::with_capacity(64);
    let mut buffer = vec![0; 2048];
    let give_up = Instant::now() + Duration::from_secs(10);
    while Instant::now() < give_up {
        for (queue, &nic) in lane.queues.iter_mut().zip(&lane.nics) {
            queue.reclaim(&mut lane.umem);
            queue.refill(&mut lane.umem);
            if nic == 0 {
                queue.receive(&mut lane.umem, &mut frames, 32);
            }
        }
        for parts in lane.umem.parts_of(&mut frames) {
            let packet = &mut parts.chunk[parts.range.clone()];
            packet[..6].copy_from_slice(&world.server_mac);
            packet[6..12].copy_from_slice(&own);
            packet[40..42].fill(0); // no checksum
        }
        lane.queues[1].transmit(&mut lane.umem, &mut frames);
        lane.queues.iter_mut().for_each(|queue| queue.flush());
        if let Ok(length) = server.recv(&mut buffer) {
            buffer.truncate(length);
            return buffer;
        }
    }
    panic!("nothing arrived; {:?}", lane.queues[0].counters());
}
