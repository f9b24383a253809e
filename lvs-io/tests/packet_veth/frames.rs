//! Single frames arrive as they were sent, and only those that should.

use std::net::UdpSocket;

use lvs_io::{Checksum, Mode, Queue};

use crate::lab::{EXPERIMENT, FAR, Lab, NEAR, experiment};
use crate::sample;

#[test]
fn frames_travel_both_ways() {
    let Some(lab) = Lab::new(1500) else { return };
    let (mut near, mut far) = (lab.station("near"), lab.station("far"));
    assert_eq!(near.queue.capabilities().mode, Mode::Packet);
    assert_eq!(near.queue.capabilities().checksum, Checksum::MaybePartial);
    assert_eq!(near.queue.capabilities().max_frame, 1518);
    for len in [46, 200, 1499, 1500] {
        let payload: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
        let there = experiment(FAR, NEAR, &payload);
        near.send(&there, 1792);
        assert_eq!(far.experiment().bytes, there);
        let back = experiment(NEAR, FAR, &payload);
        far.send(&back, 700);
        let received = near.experiment();
        assert_eq!(received.bytes, back, "and not what it sent itself");
        assert_eq!(received.frames, 1);
    }
    assert_eq!(near.queue.counters().transmitted, 4);
    assert_eq!(far.queue.counters().completed, 1 + 1 + 3 + 3);
    assert!(near.umem.free() >= near.umem.chunks() - 32);
}

#[test]
fn jumbo_frames_take_several_chunks() {
    let Some(lab) = Lab::new(9000) else { return };
    let (mut near, mut far) = (lab.station("near"), lab.station("far"));
    for len in [1778, 1779, 5000, 9000] {
        let payload: Vec<u8> = (0..len).map(|byte: u32| (byte * 7) as u8).collect();
        let frame = experiment(FAR, NEAR, &payload);
        near.send(&frame, 1500);
        let received = far.experiment();
        assert!(received.bytes == frame);
        assert_eq!(received.frames, frame.len().div_ceil(1792));
    }
}

#[test]
fn only_frames_for_this_host_arrive() {
    let Some(lab) = Lab::new(1500) else { return };
    let (mut near, mut far) = (lab.station("near"), lab.station("far"));
    let other = experiment([2, 0, 0, 0, 0, 9], NEAR, &[1; 60]);
    let group = experiment([0x33, 0x33, 0, 0, 0, 9], NEAR, &[2; 60]);
    let all = experiment([0xff; 6], NEAR, &[3; 60]);
    let own = experiment(FAR, NEAR, &[4; 60]);
    for frame in [&other, &group, &all, &own] {
        near.send(frame, 1792);
    }
    for expected in [group, all, own] {
        assert_eq!(far.experiment().bytes, expected);
    }
}

#[test]
fn tags_that_the_kernel_takes_out_are_put_back() {
    let Some(lab) = Lab::new(9000) else { return };
    let (mut near, mut far) = (lab.station("near"), lab.station("far"));
    for len in [60, 1775, 8000] {
        let plain = experiment(FAR, NEAR, &vec![9; len]);
        let one = sample::tagged(&plain);
        near.send(&one, 1792);
        let received = far.experiment();
        assert!(received.bytes == one);
        let two = sample::tagged(&one);
        near.send(&two, 1792);
        far.receive_until(|packet| packet.bytes == two);
    }
}

#[test]
fn unready_checksums_are_told_and_completed() {
    let Some(lab) = Lab::new(1500) else { return };
    let (mut near, mut far) = (lab.station("near"), lab.station("far"));
    let socket = lab.far.run(|| UdpSocket::bind("10.0.0.2:1000").unwrap());
    let sink = lab.near.run(|| UdpSocket::bind("10.0.0.1:2000").unwrap());
    socket.send_to(b"left to the NIC", "10.0.0.1:2000").unwrap();
    let mut unready = None;
    near.receive_until(|packet| {
        if packet.bytes.ends_with(b"left to the NIC") {
            unready = Some(packet);
        }
        unready.is_some()
    });
    drop(sink);
    let unready = unready.unwrap();
    assert!(unready.checksum_unready);
    assert!(!sample::is_right(&unready.bytes));

    // It goes back as another protocol would see it: whole.
    let mut turned = unready.bytes;
    turned[..6].copy_from_slice(&FAR);
    turned[6..12].copy_from_slice(&NEAR);
    near.load(&turned, 1792);
    near.frames[0].set_checksum_unready(true);
    near.queue.transmit(&mut near.umem, &mut near.frames);
    let mut back = None;
    far.receive_until(|packet| {
        if packet.bytes.ends_with(b"left to the NIC") {
            back = Some(packet);
        }
        back.is_some()
    });
    let back = back.unwrap();
    assert!(!back.checksum_unready);
    assert!(sample::is_right(&back.bytes));
}

#[test]
fn frames_longer_than_the_link_takes_are_refused_alone() {
    let Some(lab) = Lab::new(1500) else { return };
    let (mut near, mut far) = (lab.station("near"), lab.station("far"));
    let [before, after] = [1, 2].map(|byte| experiment(FAR, NEAR, &[byte; 60]));
    near.load(&before, 1792);
    near.load(&experiment(FAR, NEAR, &[0; 1501]), 1000);
    near.load(&experiment(FAR, NEAR, &[0; 65_000]), 1792);
    near.load(&[&FAR[..], &EXPERIMENT].concat(), 1792);
    near.send(&after, 1792);
    assert_eq!(far.experiment().bytes, before);
    assert_eq!(far.experiment().bytes, after);
    let counters = near.queue.counters();
    assert_eq!((counters.invalid, counters.transmitted), (3, 2));
}
