//! Which packets are taken, ICMP apart, one packet a line.

use lvs_io::program::XdpMode;

use crate::frames::*;
use crate::table::*;

#[test]
fn services() {
    judge(|| {
        let tcp4 = || packet(TCP, "198.51.100.7:40000", "192.0.2.1:80");
        let tcp6 = || packet(TCP, "[2001:db8:1::7]:40000", "[2001:db8::1]:80");
        let to = |protocol, to| frame(packet(protocol, "198.51.100.7:40000", to));
        let to6 = |protocol, to| frame(packet(protocol, "[2001:db8:1::7]:40000", to));
        vec![
            ("TCP to its port", frame(tcp4()), SERVICE),
            ("TCP to its port, IPv6", frame(tcp6()), SERVICE),
            ("UDP to its port", to(UDP, "192.0.2.1:53"), SERVICE),
            (
                "UDP to its port, IPv6",
                to6(UDP, "[2001:db8::1]:443"),
                SERVICE,
            ),
            ("SCTP to its port", to(SCTP, "192.0.2.1:2905"), SERVICE),
            ("every port: low", to(TCP, "192.0.2.9:1"), SERVICE),
            ("every port: high", to(TCP, "192.0.2.9:65535"), SERVICE),
            ("every port, IPv6", to6(UDP, "[2001:db8::9]:4500"), SERVICE),
            ("one tag", tagged(0x8100, frame(tcp4())), SERVICE),
            ("one tag, IPv6", tagged(0x8100, frame(tcp6())), SERVICE),
            (
                "one word of options",
                frame(with_options(tcp4(), 1)),
                SERVICE,
            ),
            ("most options", frame(with_options(tcp4(), 10)), SERVICE),
            ("another port", to(TCP, "192.0.2.1:22"), NO_RULE),
            ("another port, IPv6", to6(TCP, "[2001:db8::1]:22"), NO_RULE),
            (
                "the port by another protocol",
                to(UDP, "192.0.2.1:80"),
                NO_RULE,
            ),
            (
                "every port, another protocol",
                to(UDP, "192.0.2.9:80"),
                NO_RULE,
            ),
            ("another address", to(TCP, "192.0.2.2:80"), NO_RULE),
            (
                "another address, IPv6",
                to6(TCP, "[2001:db8::2]:80"),
                NO_RULE,
            ),
            (
                "from the service's end",
                frame(packet(TCP, "192.0.2.1:80", "198.51.100.7:40000")),
                NO_RULE,
            ),
            (
                "its address as the start of an IPv6 address",
                to6(TCP, "[c000:201::]:80"),
                NO_RULE,
            ),
        ]
    });
}

#[test]
fn extension_headers() {
    judge(|| {
        let tcp = packet(TCP, "[2001:db8:1::7]:40000", "[2001:db8::1]:80");
        let with = |headers: &[(u8, &[u8])]| frame(extended(&tcp, headers));
        let short: &[u8] = &[0; 8];
        let long: &[u8] = &[&[0, 2][..], &[0; 22]].concat();
        let five = [
            (0, short),
            (60, long),
            (43, short),
            (FRAGMENT, short),
            (60, short),
        ];
        let seven = [(60, short); 7];
        let longer_than_packet: &[u8] = &[0, 200, 0, 0, 0, 0, 0, 0];
        vec![
            ("hop-by-hop options", with(&[(0, short)]), SERVICE),
            ("long destination options", with(&[(60, long)]), SERVICE),
            ("routing header", with(&[(43, short)]), SERVICE),
            (
                "fragment header of a whole packet",
                with(&[(FRAGMENT, short)]),
                SERVICE,
            ),
            ("each once, destination options twice", with(&five), SERVICE),
            ("more than are walked", with(&seven), OTHER_PROTOCOL),
            (
                "longer than the packet",
                with(&[(60, longer_than_packet)]),
                MALFORMED,
            ),
            (
                "authentication header, no key exchange served",
                with(&[(51, short)]),
                NO_RULE,
            ),
            (
                "no next header",
                frame(ip(
                    59,
                    "::1".parse().unwrap(),
                    "2001:db8::1".parse().unwrap(),
                    short,
                )),
                OTHER_PROTOCOL,
            ),
        ]
    });
}

#[test]
fn replies_of_real_servers() {
    judge(|| {
        let from = |protocol, from| frame(packet(protocol, from, "198.51.100.7:40000"));
        let from6 = |from| frame(packet(TCP, from, "[2001:db8:1::7]:40000"));
        vec![
            ("from its port", from(TCP, "10.0.0.11:8080"), REAL_SERVER),
            ("from its port, IPv6", from6("[fd00::11]:8080"), REAL_SERVER),
            (
                "from any of its ports",
                from(UDP, "10.0.0.12:9"),
                REAL_SERVER,
            ),
            ("SSH of a real server", from(TCP, "10.0.0.11:22"), NO_RULE),
            (
                "the port by another protocol",
                from(UDP, "10.0.0.11:8080"),
                NO_RULE,
            ),
            (
                "another real server's port",
                from6("[fd00::12]:8080"),
                NO_RULE,
            ),
            (
                "to the real server",
                frame(packet(TCP, "192.0.2.254:5000", "10.0.0.11:8080")),
                NO_RULE,
            ),
        ]
    });
}

#[test]
fn fragments() {
    judge(|| {
        let tail = &[0xab; 16][..];
        let tcp = packet(TCP, "198.51.100.7:40000", "192.0.2.1:80");
        let ssh = packet(TCP, "198.51.100.7:40000", "192.0.2.1:22");
        let ping = icmp(8, "198.51.100.7", "192.0.2.1", tail);
        let host = packet(TCP, "198.51.100.7:40000", "192.0.2.2:80");
        let reply = packet(TCP, "10.0.0.11:8080", "198.51.100.7:40000");
        let syslog = packet(TCP, "10.0.0.11:601", "192.0.2.254:601");
        let error = icmp(3, "198.51.100.7", "192.0.2.1", &reply);
        let no_service = packet(SCTP, "198.51.100.7:40000", "192.0.2.9:80");
        let v6 = |protocol, to: &str, offset: u16| {
            let [high, low] = (offset << 3 | 1).to_be_bytes();
            let from = "2001:db8:1::7".parse().unwrap();
            let header = [&[protocol, 0, high, low, 0, 0, 0, 9], tail].concat();
            frame(ip(FRAGMENT, from, to.parse().unwrap(), &header))
        };
        let first6 = [0, 0, 0, 1, 0, 0, 0, 9];
        let tcp6 = packet(TCP, "[2001:db8:1::7]:40000", "[2001:db8::1]:80");
        let ssh6 = packet(TCP, "[2001:db8:1::7]:40000", "[2001:db8::1]:22");
        vec![
            (
                "first, with the service's ports",
                frame(fragment(&tcp, 0, &tcp[20..])),
                FRAGMENTS,
            ),
            (
                "first, of another port",
                frame(fragment(&ssh, 0, &ssh[20..])),
                FRAGMENTS,
            ),
            (
                "first, of a ping",
                frame(fragment(&ping, 0, &ping[20..])),
                OTHER_PROTOCOL,
            ),
            (
                "first, of an ICMP error",
                frame(fragment(&error, 0, &error[20..])),
                OTHER_PROTOCOL,
            ),
            (
                "first, of the host",
                frame(fragment(&host, 0, &host[20..])),
                NO_RULE,
            ),
            (
                "first, of a real server's own",
                frame(fragment(&syslog, 0, &syslog[20..])),
                FRAGMENTS,
            ),
            ("later", frame(fragment(&tcp, 185, tail)), FRAGMENTS),
            (
                "later, shorter than ports",
                frame(fragment(&tcp, 185, &tail[..1])),
                FRAGMENTS,
            ),
            (
                "the same with options",
                frame(with_options(fragment(&tcp, 185, &tail[..1]), 2)),
                FRAGMENTS,
            ),
            (
                "whole, shorter than ports",
                frame(tcp[..23].to_vec()),
                MALFORMED,
            ),
            (
                "later, every port",
                frame(fragment(
                    &packet(TCP, "198.51.100.7:4", "192.0.2.9:5"),
                    185,
                    tail,
                )),
                FRAGMENTS,
            ),
            (
                "later, of a ping",
                frame(fragment(&ping, 185, tail)),
                OTHER_PROTOCOL,
            ),
            (
                "later, of a protocol not served there",
                frame(fragment(&no_service, 185, tail)),
                NO_RULE,
            ),
            (
                "later, of the host",
                frame(fragment(&host, 185, tail)),
                NO_RULE,
            ),
            (
                "later, of a reply",
                frame(fragment(&reply, 185, tail)),
                FRAGMENTS,
            ),
            (
                "first, IPv6",
                frame(extended(&tcp6, &[(FRAGMENT, &first6)])),
                FRAGMENTS,
            ),
            (
                "first, IPv6, of another port",
                frame(extended(&ssh6, &[(FRAGMENT, &first6)])),
                FRAGMENTS,
            ),
            ("later, IPv6", v6(TCP, "2001:db8::1", 185), FRAGMENTS),
            (
                "later, IPv6, every port",
                v6(UDP, "2001:db8::9", 185),
                FRAGMENTS,
            ),
            (
                "later, IPv6, protocol in the first",
                v6(60, "2001:db8::1", 185),
                OTHER_PROTOCOL,
            ),
            (
                "later, IPv6, of a ping",
                v6(ICMPV6, "2001:db8::1", 185),
                OTHER_PROTOCOL,
            ),
            (
                "later, IPv6, of the host",
                v6(TCP, "2001:db8::2", 185),
                NO_RULE,
            ),
        ]
    });
}

#[test]
fn what_is_the_hosts() {
    judge(|| {
        let tcp = packet(TCP, "198.51.100.7:40000", "192.0.2.1:80");
        let short = |length: usize| frame(tcp[..length].to_vec());
        let with = |at: usize, value: u8| {
            let mut changed = tcp.clone();
            changed[at] = value;
            [&frame(tcp.clone())[..14], &changed].concat()
        };
        let arp = [&[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1][..], &[0; 36]].concat();
        let tcp6 = frame(packet(TCP, "[2001:db8:1::7]:40000", "[2001:db8::1]:80"));
        vec![
            ("ARP", ethernet(&arp), NOT_IP),
            (
                "two tags",
                tagged(0x8100, tagged(0x8100, frame(tcp.clone()))),
                NOT_IP,
            ),
            ("provider tag", tagged(0x88a8, frame(tcp.clone())), NOT_IP),
            (
                "nothing behind the tag",
                tagged(0x8100, frame(tcp.clone()))[..16].to_vec(),
                MALFORMED,
            ),
            (
                "ping",
                frame(icmp(8, "198.51.100.7", "192.0.2.1", &[0; 56])),
                OTHER_PROTOCOL,
            ),
            (
                "answer to a ping",
                frame(icmp(0, "198.51.100.7", "192.0.2.1", &[0; 56])),
                OTHER_PROTOCOL,
            ),
            (
                "ping, IPv6",
                frame(icmp(128, "2001:db8:1::7", "2001:db8::1", &[0; 56])),
                OTHER_PROTOCOL,
            ),
            (
                "neighbour solicitation",
                frame(icmp(135, "2001:db8:1::7", "2001:db8::1", &[0; 24])),
                OTHER_PROTOCOL,
            ),
            (
                "neighbour advertisement",
                frame(icmp(136, "2001:db8:1::7", "2001:db8::1", &[0; 24])),
                OTHER_PROTOCOL,
            ),
            (
                "ICMP cut short",
                frame(icmp(3, "198.51.100.7", "192.0.2.1", &[])[..24].to_vec()),
                MALFORMED,
            ),
            ("no ports", short(20), MALFORMED),
            ("half the ports", short(23), MALFORMED),
            ("just the ports", short(24), SERVICE),
            ("header of four words", with(0, 0x44), MALFORMED),
            ("header longer than the packet", with(0, 0x4f), MALFORMED),
            ("not version 4", with(0, 0x55), MALFORMED),
            ("another protocol", with(9, 47), OTHER_PROTOCOL),
            ("IPv6 without ports", tcp6[..54].to_vec(), MALFORMED),
        ]
    });
}

// A test run of a tc program refuses such packets before the program sees them.
#[test]
fn headers_cut_short() {
    judge_in(&[XdpMode::Generic], || {
        let tcp = frame(packet(TCP, "198.51.100.7:40000", "192.0.2.1:80"));
        let tcp6 = frame(packet(TCP, "[2001:db8:1::7]:40000", "[2001:db8::1]:80"));
        vec![
            ("IPv4, none of it", tcp[..14].to_vec(), MALFORMED),
            ("IPv4, a byte short", tcp[..33].to_vec(), MALFORMED),
            ("IPv6, none of it", tcp6[..14].to_vec(), MALFORMED),
            ("IPv6, a byte short", tcp6[..53].to_vec(), MALFORMED),
        ]
    });
}

#[test]
fn ipsec_goes_by_its_key_exchange() {
    judge(|| {
        let v4 = |protocol, to: &str| {
            let from = "198.51.100.7".parse().unwrap();
            frame(ip(protocol, from, to.parse().unwrap(), &[7; 16]))
        };
        let v6 = |protocol, to: &str| {
            let from = "2001:db8:1::7".parse().unwrap();
            frame(ip(protocol, from, to.parse().unwrap(), &[7; 16]))
        };
        vec![
            ("ESP", v4(50, "192.0.2.5"), SERVICE),
            ("AH", v4(51, "192.0.2.5"), SERVICE),
            (
                "ESP, every UDP port served, IPv6",
                v6(50, "2001:db8::9"),
                SERVICE,
            ),
            ("ESP, no key exchange served", v4(50, "192.0.2.1"), NO_RULE),
        ]
    });
}
