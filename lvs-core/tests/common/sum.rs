//! The Internet checksum as the text of RFC 1071 has it, two bytes at a time.

use std::net::IpAddr;

/// The one's complement sum of `bytes`, an odd last byte padded with zero.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) * 256 + u32::from(*pair.get(1).unwrap_or(&0));
        if sum > 0xffff {
            sum -= 0xffff;
        }
    }
    sum as u16
}

/// The checksum to put into a zeroed field of `bytes`.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    0xffff - sum(bytes)
}

/// CRC32c, a bit at a time (RFC 9260 appendix A).
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0x82f6_3b78;
            }
        }
    }
    !crc
}

/// The pseudo-header before a TCP, UDP or ICMPv6 message, as bytes
/// (RFC 9293 3.1, RFC 768, RFC 8200 8.1).
pub(crate) fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = (length as u16).to_be_bytes();
            [&from.octets()[..], &to.octets(), &[0, protocol], &length].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = (length as u32).to_be_bytes();
            let rest = [0, 0, 0, protocol];
            [&from.octets()[..], &to.octets(), &length, &rest].concat()
        }
        _ => panic!("{from} and {to} are of two families"),
    }
}

/// The sum of a message behind its pseudo-header: 0xffff when its checksum fits.
pub(crate) fn sum_message(from: IpAddr, to: IpAddr, protocol: u8, message: &[u8]) -> u16 {
    let pseudo = pseudo_header(from, to, protocol, message.len());
    sum(&[&pseudo[..], message].concat())
}
