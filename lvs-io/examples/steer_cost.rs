//! What the steering program costs per frame, beside the least that a program
//! which feeds AF_XDP must do.
//!
//! ```text
//! cargo run --release -p lvs-io --example steer_cost
//! ```
//!
//! Runs both programs in the kernel over the same frames (`BPF_PROG_TEST_RUN`),
//! in turns, and prints CPU time per frame. Needs root; works in a network
//! namespace of its own. Results are kept in `bpf/README.md`.

#[allow(dead_code)]
#[path = "../tests/steering/frames.rs"]
mod frames;

use std::error::Error;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::slice;
use std::time::Duration;

use af_xdp::{Socket, SocketConfig, Umem, UmemConfig};
use frames::{FRAGMENT, NEAR_MAC, TCP, UDP, extended, fragment, frame, icmp, packet, tagged};
use lvs_io::Nic;
use lvs_io::netlink::{Network, VethEnd};
use lvs_io::program::{End, Steer, Steering, XdpMode, Yardstick};
use nix::sched::{CloneFlags, unshare};
use nix::time::{ClockId, clock_gettime};

/// Runs of a program per turn: some 20 ms.
const RUNS: u32 = 400_000;
/// Turns of each frame.
const TURNS: usize = 41;
/// Addresses served, so that the map is not a toy.
const SERVICES: u16 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("needs root: {error}"))?;
    let nic = make_nic()?;
    let mut steering = Steering::attach(slice::from_ref(&nic), XdpMode::Native)?;
    let mut umem = Umem::new(UmemConfig::default())?;
    let socket = Socket::open(&SocketConfig::new(nic.index, 0), &mut umem)?;
    steering.set_socket(0, 0, socket.as_fd())?;
    let bare = steering.yardstick(0)?;

    println!("ns of CPU per frame, median of {TURNS} turns of {RUNS} runs (least - most)\n");
    println!("{:36} {:>18} {:>18} {:>7}", "", "bare", "steer", "more");
    for (title, rules, frames) in cases() {
        steering.update(&rules)?;
        println!("{title}");
        for (name, frame) in frames {
            measure(name, &frame, &bare, &steering)?;
        }
    }
    Ok(())
}

fn make_nic() -> Result<Nic, Box<dyn Error>> {
    let mut network = Network::open()?;
    // Frames for another are not looked into.
    let near = VethEnd::new("near").mac(NEAR_MAC);
    network.add_veth(&near, &VethEnd::new("far"))?;
    network.set_up("near")?;
    Ok(Nic::named("near")?)
}

/// A title, the rules in force, and the frames to try by name.
type Case = (&'static str, Vec<Steer>, Vec<(&'static str, Vec<u8>)>);

fn cases() -> [Case; 3] {
    let client = "198.51.100.7:40000";
    let client6 = "[2001:db8:1::7]:40000";
    let to_service = packet(TCP, client, "192.0.2.1:80");
    let to_service6 = packet(TCP, client6, "[2001:db8::1]:80");
    let reply_out = packet(TCP, "192.0.2.1:80", client);
    let later = [0, 0, 5, 201, 0, 0, 0, 9];
    let ssh = || frame(packet(TCP, client, "192.0.2.254:22"));
    let ssh6 = || frame(packet(TCP, client6, "[2001:db8::fe]:22"));
    let hits = vec![
        ("service, IPv4", frame(to_service.clone())),
        ("service, IPv6", frame(to_service6.clone())),
        (
            "service, IPv4, tagged",
            tagged(0x8100, frame(to_service.clone())),
        ),
        (
            "later fragment, IPv4",
            frame(fragment(&to_service, 185, &[0; 64])),
        ),
        (
            "later fragment, IPv6",
            frame(extended(&to_service6, &[(FRAGMENT, &later)])),
        ),
        (
            "ICMP error, IPv4",
            frame(icmp(3, "203.0.113.1", "192.0.2.1", &reply_out)),
        ),
        ("host's SSH, IPv4", ssh()),
        ("host's SSH, IPv6", ssh6()),
    ];
    let replies = vec![
        ("service, IPv4", frame(to_service)),
        ("reply, IPv4", frame(packet(TCP, "10.0.0.1:8080", client))),
        ("reply, IPv6", frame(packet(TCP, "[fd00::1]:8080", client6))),
        ("host's SSH, IPv4", ssh()),
        ("host's SSH, IPv6", ssh6()),
    ];
    let any = vec![
        (
            "every port of an address, IPv4",
            frame(packet(UDP, client, "192.0.2.9:4500")),
        ),
        ("host's SSH, IPv4", ssh()),
        ("host's SSH, IPv6", ssh6()),
    ];
    let services = services();
    let masqueraded = [
        &services[..],
        &[rule(TCP, "10.0.0.1", Some(8080), End::Source)],
    ]
    .concat();
    let masqueraded = [
        &masqueraded[..],
        &[rule(TCP, "fd00::1", Some(8080), End::Source)],
    ]
    .concat();
    let open = [
        &masqueraded[..],
        &[rule(UDP, "192.0.2.9", None, End::Destination)],
    ]
    .concat();
    [
        ("services with ports", services, hits),
        ("and masqueraded real servers", masqueraded, replies),
        ("and a service of every port", open, any),
    ]
}

fn services() -> Vec<Steer> {
    let more = (0..SERVICES).flat_map(|number| {
        let v4 = IpAddr::from([203, 0, (number >> 8) as u8, number as u8]);
        let v6 = IpAddr::from([0x2001, 0xdb8, 0xff, 0, 0, 0, 0, number]);
        [v4, v6]
    });
    let first = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap());
    let all = first.into_iter().chain(more);
    all.map(|address: IpAddr| rule(TCP, &address.to_string(), Some(80), End::Destination))
        .collect()
}

fn rule(protocol: u8, address: &str, port: Option<u16>, end: End) -> Steer {
    Steer {
        protocol,
        address: address.parse().unwrap(),
        port,
        end,
    }
}

fn measure(
    name: &str,
    frame: &[u8],
    bare: &Yardstick,
    steering: &Steering,
) -> Result<(), Box<dyn Error>> {
    let (mut least, mut ours) = (Vec::new(), Vec::new());
    // The first turn of each warms up.
    for turn in 0..=TURNS {
        let one = cpu_time(|| bare.trial(frame, RUNS).map(drop))?;
        let other = cpu_time(|| steering.trial(0, frame, RUNS).map(drop))?;
        if turn > 0 {
            least.push(one);
            ours.push(other);
        }
    }
    // Each turn against its neighbour: what slows both falls out.
    let more = ours.iter().zip(&least).map(|(ours, least)| ours - least);
    let more = median(more.collect());
    println!(
        "  {name:34} {} {} {more:>+7.1}",
        spread(least),
        spread(ours)
    );
    Ok(())
}

fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let (least, most) = (times[0], times[times.len() - 1]);
    format!("{:>5.1} ({least:>4.1}-{most:>5.1})", median(times))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Nanoseconds of this thread's CPU that one of `RUNS` runs took.
fn cpu_time<E>(work: impl FnOnce() -> Result<(), E>) -> Result<f64, Box<dyn Error>>
where
    E: Error + 'static,
{
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let before = now()?;
    work()?;
    let taken = now()? - before;
    Ok(taken.as_nanos() as f64 / f64::from(RUNS))
}
