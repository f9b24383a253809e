//! Any bytes as a frame: no panic, one verdict, nothing beyond the frame touched.

use std::net::IpAddr;

use lvs_core::{ChecksumState, Port, Verdict};

use super::input::Input;
use super::{WAYS, director, memory};
use crate::common::bed::Bed;
use crate::common::frame::Frame;
use crate::common::place::{FAMILIES, GATEWAY, OUTSIDE, Wiring};
use crate::common::read::read;
use crate::common::sum::checksum;

/// Reads how the frame lies in its chunks and how much of it is put right, then
/// takes the rest as the frame.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let way = input.one_of(&WAYS);
    let checksum = input.one_of(&[
        ChecksumState::Whole,
        ChecksumState::MaybePartial,
        ChecksumState::Partial,
    ]);
    let headroom = input.one_of(&[128, 0, 20, 40]);
    let port = input.one_of(&[0, 1, 7]);
    let put_right = input.byte();
    let tails = [input.below(64), input.below(64)];
    let mut frame = Frame {
        port: Port(port),
        to: OUTSIDE,
        from: GATEWAY,
        tag: (put_right & 1 != 0).then_some(u16::from(put_right)),
        ether_type: if put_right & 2 != 0 { 0x0800 } else { 0x86dd },
        payload: input.rest().to_vec(),
        checksum,
        tails: Vec::new(),
        headroom,
    };
    repair(&mut frame, put_right);
    for tail in tails {
        if tail > 0 && frame.tails.iter().sum::<usize>() + tail < frame.payload.len() {
            frame.tails.push(tail);
        }
    }
    let mut memory = memory();
    let mut bed = director(&mut memory, way, &Wiring::default());
    check(&mut bed, &frame);
}

/// Makes the frame likelier to come far.
fn repair(frame: &mut Frame, put_right: u8) {
    let v4 = frame.ether_type == 0x0800;
    let w = FAMILIES[usize::from(!v4)];
    let length = frame.payload.len();
    let payload = &mut frame.payload;
    if length < w.header as usize || put_right & 4 != 0 {
        return;
    }
    if v4 {
        payload[0] = 0x45 + (put_right >> 7);
        payload[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        payload[6] &= 0x40;
        payload[7] = 0;
        payload[16..20].copy_from_slice(&[192, 0, 2, 10]);
    } else {
        payload[0] = 0x60;
        payload[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
        let IpAddr::V6(vip) = w.vip() else {
            panic!("the other family");
        };
        payload[24..40].copy_from_slice(&vip.octets());
    }
    if put_right & 8 != 0 {
        payload[if v4 { 9 } else { 6 }] =
            [6, 17, 1, 58, 0, 44, 43, 60][usize::from(put_right >> 4 & 7)];
    }
    let header = usize::from(payload[0] & 15) * 4;
    if v4 && length >= header {
        payload[10..12].copy_from_slice(&[0, 0]);
        let sum = checksum(&payload[..header]);
        payload[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

fn check(bed: &mut Bed<'_>, frame: &Frame) {
    let before = frame.bytes();
    let taken = bed.take(0, frame);
    let stats = bed.shards[0].stats();
    assert_eq!(stats.packets, 1);
    // A fragment whose others never come is held to the end.
    assert_eq!(
        stats.transmitted + stats.host + stats.held + stats.all_dropped(),
        1
    );
    match taken.verdict {
        Verdict::Host if frame.checksum == ChecksumState::Whole => {
            assert_eq!(taken.bytes, before[..taken.bytes.len()]);
        }
        Verdict::Transmit(_) => {
            if frame.checksum == ChecksumState::Whole && read(&before).is_ok() {
                read(&taken.bytes).expect("what came in right goes out right");
            }
        }
        Verdict::Host | Verdict::Drop(_) | Verdict::Held => {}
        other => panic!("{other:?} on one shard"),
    }
}
