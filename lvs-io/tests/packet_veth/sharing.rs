//! Several queues of one NIC share its frames.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use lvs_io::{Nic, PacketOptions, PacketQueue, Queue};

use crate::lab::{Lab, Station};

const FLOWS: u16 = 64;
const EACH: u8 = 5;

#[test]
fn two_queues_receive_all_and_each_flow_on_one() {
    let Some(lab) = Lab::new(1500) else { return };
    let open = || {
        let nic = Nic::named("near").unwrap();
        PacketQueue::open_sharing(&nic, 2, "under test", &PacketOptions::default())
    };
    let queues = lab.near.run(open).unwrap();
    let mut stations: Vec<Station> = queues
        .into_iter()
        .map(|queue| Station::new(queue, 256))
        .collect();
    let sink = lab.near.run(|| UdpSocket::bind("10.0.0.1:9").unwrap());
    lab.far.run(|| {
        for flow in 0..FLOWS {
            let socket = UdpSocket::bind(("10.0.0.2", 10_000 + flow)).unwrap();
            for number in 0..EACH {
                socket.send_to(&[number; 32], "10.0.0.1:9").unwrap();
            }
        }
    });

    // Which queue each flow came on, and what it brought.
    let mut flows: BTreeMap<u16, (usize, Vec<u8>)> = BTreeMap::new();
    let mut count = 0;
    let deadline = Instant::now() + Duration::from_secs(20);
    while count < usize::from(FLOWS) * usize::from(EACH) && Instant::now() < deadline {
        for (index, station) in stations.iter_mut().enumerate() {
            for packet in station.receive() {
                if packet.bytes.len() != 14 + 20 + 8 + 32 || packet.bytes[23] != 17 {
                    continue;
                }
                let port = u16::from_be_bytes([packet.bytes[34], packet.bytes[35]]);
                let (queue, numbers) = flows.entry(port).or_insert((index, Vec::new()));
                assert_eq!(*queue, index, "flow {port} changed its queue");
                numbers.push(packet.bytes[42]);
                count += 1;
            }
        }
    }
    drop(sink);
    assert_eq!(flows.len(), usize::from(FLOWS));
    for (port, (_, numbers)) in &flows {
        assert_eq!(numbers[..], [0, 1, 2, 3, 4], "flow {port}");
    }
    for (index, station) in stations.iter().enumerate() {
        let share = flows.values().filter(|(queue, _)| *queue == index).count();
        assert!(share > 0, "queue {index} has none of {FLOWS} flows");
        assert_eq!(station.queue.counters().receive_ring_full, 0);
    }
}

#[test]
fn a_queue_that_nobody_drains_counts_what_is_lost() {
    let Some(lab) = Lab::new(1500) else { return };
    let options = PacketOptions {
        receive_buffer: 64 << 10,
        ..PacketOptions::default()
    };
    let open = || PacketQueue::open(&Nic::named("near").unwrap(), "under test", &options);
    let mut station = Station::new(lab.near.run(open).unwrap(), 256);
    let sink = lab.near.run(|| UdpSocket::bind("10.0.0.1:9").unwrap());
    lab.far.run(|| {
        let socket = UdpSocket::bind("10.0.0.2:0").unwrap();
        for _ in 0..1000 {
            socket.send_to(&[0; 1000], "10.0.0.1:9").unwrap();
        }
    });
    drop(sink);
    let counters = station.queue.counters();
    assert!(counters.receive_ring_full > 0);
    assert_eq!(
        station.queue.counters().receive_ring_full,
        counters.receive_ring_full,
        "asking twice changes nothing"
    );
    station.receive_until(|packet| packet.bytes.len() > 1000);
}
