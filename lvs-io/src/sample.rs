//! Packets for this crate's unit tests, with checksums made the naive way.

/// 192.0.2.1:1000 to 198.51.100.2:2000.
pub(crate) fn udp4(payload: &[u8]) -> Vec<u8> {
    ipv4(17, &udp(payload))
}

/// As [`udp4`] over IPv6.
pub(crate) fn udp6(payload: &[u8]) -> Vec<u8> {
    ipv6(17, &udp(payload))
}

/// A TCP segment with a timestamp option, sequence number 0xfffffff0, and the
/// flags CWR, ACK, PSH and FIN.
pub(crate) fn tcp4(payload: &[u8]) -> Vec<u8> {
    ipv4(6, &tcp(payload))
}

/// As [`tcp4`] over IPv6.
pub(crate) fn tcp6(payload: &[u8]) -> Vec<u8> {
    ipv6(6, &tcp(payload))
}

/// A packet whose CRC32c was made bit by bit.
pub(crate) fn sctp4(chunk: &[u8]) -> Vec<u8> {
    let mut packet = [3, 232, 7, 208, 1, 2, 3, 4, 0, 0, 0, 0].to_vec();
    packet.extend(chunk);
    let mut crc = !0u32;
    for byte in &packet {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ ((crc & 1) * 0x82f6_3b78);
        }
    }
    packet[8..12].copy_from_slice(&(!crc).to_le_bytes());
    ethernet(0x0800, &ipv4_packet(132, &packet))
}

/// The frame with one more VLAN tag (id 5) in front.
pub(crate) fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat()
}

/// Whether all checksums of a TCP or UDP frame without tags are right.
pub(crate) fn is_right(frame: &[u8]) -> bool {
    match frame[12..14] {
        [0x08, 0x00] => {
            let transport = 14 + usize::from(frame[14] & 15) * 4;
            ones(&[&frame[14..transport]]) == 0xffff
                && pseudo(&frame[26..34], frame[23], &frame[transport..]) == 0xffff
        }
        _ => pseudo(&frame[22..54], frame[20], &frame[54..]) == 0xffff,
    }
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let [high, low] = (8 + payload.len() as u16).to_be_bytes();
    let mut datagram = vec![3, 232, 7, 208, high, low, 0, 0];
    datagram.extend(payload);
    datagram
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![3, 232, 7, 208, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 9];
    segment.extend([0x80, 0x99, 1, 0, 0, 0, 0, 0]);
    segment.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    segment.extend(payload);
    segment
}

fn ipv4(protocol: u8, transport: &[u8]) -> Vec<u8> {
    let mut packet = ipv4_packet(protocol, transport);
    let sum = pseudo(&packet[12..20], protocol, &packet[20..]);
    put(&mut packet, 20, protocol, sum);
    ethernet(0x0800, &packet)
}

fn ipv4_packet(protocol: u8, transport: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + transport.len() as u16).to_be_bytes();
    let mut packet = vec![0x45, 0, high, low, 0xff, 0xfe, 0x40, 0, 64, protocol, 0, 0];
    packet.extend([192, 0, 2, 1, 198, 51, 100, 2]);
    let sum = ones(&[&packet]);
    packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
    packet.extend(transport);
    packet
}

fn ipv6(protocol: u8, transport: &[u8]) -> Vec<u8> {
    let [high, low] = (transport.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, high, low, protocol, 64];
    packet.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend([0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet.extend(transport);
    let sum = pseudo(&packet[8..40], protocol, &packet[40..]);
    put(&mut packet, 40, protocol, sum);
    ethernet(0x86dd, &packet)
}

fn put(packet: &mut [u8], transport: usize, protocol: u8, sum: u16) {
    let field = transport + if protocol == 6 { 16 } else { 6 };
    packet[field..field + 2].copy_from_slice(&(!sum).to_be_bytes());
}

fn ethernet(kind: u16, packet: &[u8]) -> Vec<u8> {
    let macs = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    [&macs[..], &kind.to_be_bytes(), packet].concat()
}

fn pseudo(addresses: &[u8], protocol: u8, transport: &[u8]) -> u16 {
    let len = (transport.len() as u32).to_be_bytes();
    ones(&[addresses, &len, &[0, protocol], transport])
}

/// Every part but the last must be even.
fn ones(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u32::from(pair[0]) * 256 + u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
