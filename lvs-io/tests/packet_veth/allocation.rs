//! Moving frames allocates nothing.

use std::net::UdpSocket;

use allocation_counter::measure;
use lvs_io::Queue;

use crate::lab::{FAR, Lab, NEAR, Station, experiment};

/// A turn of a director that sends everything back.
fn turn(station: &mut Station) -> usize {
    let Station {
        queue,
        umem,
        frames,
        ..
    } = station;
    queue.reclaim(umem);
    queue.refill(umem);
    let received = queue.receive(umem, frames, 64);
    for frame in frames.iter_mut() {
        let parts = umem.parts_mut(frame);
        let start = parts.range.start;
        parts.chunk[start..start + 6].copy_from_slice(&FAR);
    }
    queue.transmit(umem, frames);
    queue.flush();
    frames.drain(..).for_each(|frame| umem.release(frame));
    received
}

#[test]
fn a_turn_allocates_nothing() {
    let Some(lab) = Lab::new(1500) else { return };
    let (mut near, mut far) = (lab.station("near"), lab.station("far"));
    let sink = lab.near.run(|| UdpSocket::bind("10.0.0.1:9").unwrap());
    let socket = lab.far.run(|| UdpSocket::bind("10.0.0.2:0").unwrap());
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::UdpGsoSegment, &500).unwrap();
    let frame = experiment(NEAR, FAR, &[1; 60]);
    let mut moved = 0;
    for _ in 0..100 {
        // Plain frames, frames with unready checksums, and super-packets.
        far.send(&frame, 1792);
        socket.send_to(&[1; 300], "10.0.0.1:9").unwrap();
        socket.send_to(&[1; 20_000], "10.0.0.1:9").unwrap();
        let counted = measure(|| moved += turn(&mut near));
        assert_eq!(counted.count_total, 0);
        far.receive();
    }
    drop(sink);
    assert!(moved > 100 * 40, "{moved}");
}
