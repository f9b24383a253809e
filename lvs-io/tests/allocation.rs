//! Queues without a kernel move frames without allocating, too.

use af_xdp::{Frame, HugePages, Umem, UmemConfig};
use allocation_counter::measure;
use lvs_io::pcap::{PcapQueue, PcapWriter};
use lvs_io::{Loopback, Queue};

fn umem() -> Umem {
    Umem::new(UmemConfig {
        chunks: 256,
        chunk_size: 2048,
        huge_pages: HugePages::Avoid,
        ..UmemConfig::default()
    })
    .unwrap()
}

/// A turn of a director that sends everything back.
fn turn(queue: &mut dyn Queue, umem: &mut Umem, frames: &mut Vec<Frame>) -> usize {
    queue.reclaim(umem);
    queue.refill(umem);
    let received = queue.receive(umem, frames, 64);
    queue.transmit(umem, frames);
    queue.flush();
    received
}

#[test]
fn loopback_allocates_nothing() {
    let mut umem = umem();
    let (mut queue, peer) = Loopback::pair("wire", 64, 9000);
    let mut frames = Vec::with_capacity(64);
    let mut moved = 0;
    for _ in 0..100 {
        assert!(peer.send(&[1; 60]) && peer.send(&[2; 9000]));
        let counted = measure(|| moved += turn(&mut queue, &mut umem, &mut frames));
        assert_eq!(counted.count_total, 0);
        assert!(peer.receive().is_some() && peer.receive().is_some());
    }
    assert_eq!(moved, 100 * (1 + 6));
}

#[test]
fn captures_allocate_nothing() {
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    for len in (0..100).map(|number| 60 + number * 90) {
        let packet = vec![1; len];
        let time = std::time::Duration::ZERO;
        writer.write(time, [&packet[..]]).unwrap();
    }
    let file = writer.into_inner();
    let mut umem = umem();
    let mut queue = PcapQueue::new(&file[..], std::io::sink()).unwrap();
    let mut frames = Vec::with_capacity(64);
    let counted = measure(|| {
        while !queue.is_exhausted() {
            turn(&mut queue, &mut umem, &mut frames);
        }
    });
    assert_eq!(counted.count_total, 0);
    assert!(queue.counters().transmitted > 100);
}
