//! How long a large configuration takes to be in force with a running director,
//! and how long the worker's turns take meanwhile, under load.
//!
//! ```text
//! changes [seconds of each]
//! ```
//!
//! The director has one worker on a processor of its own, and a NIC in plain memory
//! that, where it says `busy`, is never out of packets: those of a few thousand
//! connections with all its services. What is changed is changed by another thread,
//! which has half a processor then, as it takes turns with the sender of packets. Lines
//! without changes come first, for turns are never all alike: what the machine does
//! besides is in them too.
#![forbid(unsafe_code)]

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use hdrhistogram::Histogram;
use lvs::lvs_io::LoopbackPeer;
use lvs::{Config, Director, DirectorOptions, Nic, Queues};
use lvs_benches::change::{Size, vip};
use lvs_benches::world::{CLIENT_ROUTER_MAC, DIRECTOR_MACS};
use lvs_core::Network;

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let time = Duration::from_secs(seconds);
    println!("{HEADING}");
    for size in Size::ALL {
        let (all, lighter) = (size.config(None), size.config(Some(3)));
        let nothing = Config::new([])?;
        let changes = [
            ("nothing", vec![all.clone()]),
            ("a weight", vec![all.clone(), lighter]),
            ("everything", vec![all, nothing]),
        ];
        for (what, configs) in &changes {
            for is_busy in [false, true] {
                run(what, size, time, configs, is_busy)?;
            }
        }
    }
    Ok(())
}

const HEADING: &str = "\
services     changed     load     in force, ms            turns with work, us
                              median  longest  median    99 %  99.9 %  of 100,000
                                                                       over 131 us";

/// Has a director work for a time while its configuration goes through `configs`
/// over and over, and prints a line.
fn run(
    what: &str,
    size: Size,
    time: Duration,
    configs: &[Arc<Config>],
    is_busy: bool,
) -> Result<(), Box<dyn Error>> {
    let nic = Nic::in_memory("memory", 1, 1500);
    let (queues, peers) = Queues::loopback(vec![nic], 1, 1024)?;
    let options = DirectorOptions {
        connections: 1 << 16,
        network: Some(Network::clone(&size.network())),
        ..DirectorOptions::default()
    };
    let director = Director::start_with(queues, configs[0].clone(), &options)?;
    let peer = peers.into_iter().flatten().next().ok_or("no peer")?;
    let stop = AtomicBool::new(false);
    let taken = thread::scope(|scope| {
        let load = scope.spawn(|| {
            if is_busy {
                send(&peer, size, &stop);
            }
        });
        let changes = scope.spawn(|| {
            let taken = change(&director, time, configs).map_err(|error| error.to_string());
            stop.store(true, Ordering::Relaxed);
            taken
        });
        let taken = changes.join().map_err(|_| "changing panicked")?;
        load.join().map_err(|_| "the sender panicked")?;
        taken
    })?;
    let load = if is_busy { "busy" } else { "idle" };
    let in_force = |part| taken.value_at_quantile(part) as f64 / 1000.0;
    let turn = &director.stats().latency.turn;
    let turn_at = |part| turn.quantile(part).as_nanos() as f64 / 1000.0;
    let long = turn.count() - turn.less_than([17]).sum::<u64>();
    println!(
        "{:<12} {what:<11} {load} {:>9.1} {:>8.1} {:>7.1} {:>7.1} {:>7.1} {:>12.1}",
        size.to_string(),
        in_force(0.5),
        in_force(1.0),
        turn_at(0.5),
        turn_at(0.99),
        turn_at(0.999),
        long as f64 * 100_000.0 / turn.count().max(1) as f64,
    );
    Ok(())
}

/// Leaves the first processor to the worker.
fn stand_aside() {
    if let Some(processor) = core_affinity::get_core_ids().unwrap_or_default().get(1) {
        core_affinity::set_for_current(*processor);
    }
}

/// Has a director go through `configs` over and over, beginning with the second, for
/// a time; how long each took to be in force, in microseconds.
fn change(
    director: &Director,
    time: Duration,
    configs: &[Arc<Config>],
) -> Result<Histogram<u64>, Box<dyn Error>> {
    stand_aside();
    let mut taken = Histogram::new(3)?;
    let until = Instant::now() + time;
    for config in configs.iter().cycle().skip(1) {
        if Instant::now() >= until {
            break;
        }
        if configs.len() > 1 {
            let began = Instant::now();
            director.apply(config.clone())?;
            taken.record(u64::try_from(began.elapsed().as_micros())?)?;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(taken)
}

/// Sends packets as fast as they are taken, and takes what comes back.
fn send(peer: &LoopbackPeer, size: Size, stop: &AtomicBool) {
    stand_aside();
    let frames: Vec<Vec<u8>> = (0..4096u32).map(|number| frame(size, number)).collect();
    for frame in frames.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        peer.send(frame);
        while peer.receive().is_some() {}
    }
}

/// A SYN of one of several thousand clients, to one of all services.
fn frame(size: Size, number: u32) -> Vec<u8> {
    let client = Ipv4Addr::from_bits(u32::from_be_bytes([198, 18, 0, 1]) + number);
    let Ok(service) = vip(number * 7 % size.services)
        .to_string()
        .parse::<Ipv4Addr>()
    else {
        return Vec::new();
    };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(CLIENT_ROUTER_MAC, DIRECTOR_MACS[0])
        .ipv4(client.octets(), service.octets(), 64)
        .tcp(40_000, 80, 1, 1000)
        .syn()
        .write(&mut frame, &[])
        .expect("a vector takes all");
    frame
}
