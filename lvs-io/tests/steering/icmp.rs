//! Which ICMP messages are taken, one packet a line.

use crate::frames::*;
use crate::table::*;

#[test]
fn icmp_errors_about_replies_to_clients() {
    judge(|| {
        let reply = packet(TCP, "192.0.2.1:80", "198.51.100.7:40000");
        let ssh = packet(TCP, "192.0.2.1:22", "198.51.100.7:40000");
        let any = packet(TCP, "192.0.2.9:22", "198.51.100.7:40000");
        let error = |kind, quoted: &[u8]| frame(icmp(kind, "203.0.113.1", "192.0.2.1", quoted));
        let reply6 = packet(TCP, "[2001:db8::1]:80", "[2001:db8:1::7]:40000");
        let ssh6 = packet(TCP, "[2001:db8::1]:22", "[2001:db8:1::7]:40000");
        let error6 =
            |kind, quoted: &[u8]| frame(icmp(kind, "2001:db8:2::1", "2001:db8::1", quoted));
        let options6 = extended(&reply6, &[(60, &[0; 8])]);
        vec![
            ("unreachable", error(3, &reply), ICMP_ERROR),
            ("source quench", error(4, &reply), ICMP_ERROR),
            ("time exceeded", error(11, &reply), ICMP_ERROR),
            ("parameter problem", error(12, &reply), ICMP_ERROR),
            (
                "the least that is quoted",
                error(3, &reply[..28]),
                ICMP_ERROR,
            ),
            ("about every port", error(3, &any), ICMP_ERROR),
            (
                "about a packet with options",
                error(3, &with_options(reply.clone(), 3)),
                ICMP_ERROR,
            ),
            (
                "about a later fragment",
                error(11, &fragment(&reply, 185, &[0; 8])),
                ICMP_ERROR,
            ),
            (
                "about a first fragment",
                error(11, &fragment(&reply, 0, &reply[20..])),
                ICMP_ERROR,
            ),
            (
                "about a first fragment of the host's SSH",
                error(11, &fragment(&ssh, 0, &ssh[20..])),
                NO_RULE,
            ),
            ("tagged", tagged(0x8100, error(3, &reply)), ICMP_ERROR),
            ("about the host's SSH", error(3, &ssh), NO_RULE),
            (
                "about a packet to the service",
                error(3, &packet(TCP, "198.51.100.7:4", "192.0.2.1:80")),
                NO_RULE,
            ),
            (
                "about a ping",
                error(11, &icmp(0, "192.0.2.1", "198.51.100.7", &[0; 8])),
                OTHER_PROTOCOL,
            ),
            ("quoted without ports", error(3, &reply[..20]), MALFORMED),
            ("quoted in part", error(3, &reply[..12]), MALFORMED),
            ("a redirect", error(5, &reply), OTHER_PROTOCOL),
            ("unreachable, IPv6", error6(1, &reply6), ICMP_ERROR),
            ("packet too big, IPv6", error6(2, &reply6), ICMP_ERROR),
            ("time exceeded, IPv6", error6(3, &reply6), ICMP_ERROR),
            ("parameter problem, IPv6", error6(4, &reply6), ICMP_ERROR),
            (
                "about a packet with options, IPv6",
                error6(2, &options6),
                ICMP_ERROR,
            ),
            ("about the host's SSH, IPv6", error6(2, &ssh6), NO_RULE),
            ("type 0, IPv6", error6(0, &reply6), OTHER_PROTOCOL),
            ("type 5, IPv6", error6(5, &reply6), OTHER_PROTOCOL),
            (
                "the other family's types",
                error6(11, &reply6),
                OTHER_PROTOCOL,
            ),
        ]
    });
}

#[test]
fn icmp_errors_about_packets_to_real_servers() {
    judge(|| {
        let client = "198.51.100.7";
        let masqueraded = packet(TCP, "198.51.100.7:40000", "10.0.0.11:8080");
        let ssh = packet(TCP, "198.51.100.7:40000", "10.0.0.11:22");
        let masqueraded6 = packet(TCP, "[2001:db8:1::7]:40000", "[fd00::11]:8080");
        let of_service = packet(TCP, "198.51.100.7:40000", "192.0.2.1:80");
        let of_service6 = packet(TCP, "[2001:db8:1::7]:40000", "[2001:db8::1]:80");
        let of_host = packet(TCP, "198.51.100.7:40000", "192.0.2.2:80");
        let from_router = |tunnel: &[u8]| frame(icmp(3, "10.0.0.1", "10.0.0.254", tunnel));
        let from_router6 = |tunnel: &[u8]| frame(icmp(2, "fd00::1", "fd00::254", tunnel));
        let tunnel = |inner: &[u8]| tunnelled("10.0.0.254", "10.0.0.13", inner);
        let gre = |inner: &[u8], summed| gre("10.0.0.254", "10.0.0.13", inner, summed);
        let tunnel6 = |inner: &[u8]| tunnelled("fd00::254", "fd00::13", inner);
        vec![
            (
                "from the real server",
                frame(icmp(3, "10.0.0.11", client, &masqueraded)),
                ICMP_ERROR,
            ),
            (
                "from a router before it",
                frame(icmp(11, "10.0.0.1", client, &masqueraded)),
                ICMP_ERROR,
            ),
            (
                "IPv6",
                frame(icmp(1, "fd00::11", "2001:db8:1::7", &masqueraded6)),
                ICMP_ERROR,
            ),
            (
                "about its SSH",
                frame(icmp(3, "10.0.0.11", client, &ssh)),
                NO_RULE,
            ),
            (
                "about a tunnel",
                from_router(&tunnel(&of_service)),
                ICMP_ERROR,
            ),
            (
                "about a tunnel, IPv6 in IPv6",
                from_router6(&tunnel6(&of_service6)),
                ICMP_ERROR,
            ),
            (
                "about a tunnel, IPv6 in IPv4",
                from_router(&tunnel(&of_service6)),
                ICMP_ERROR,
            ),
            (
                "about a tunnel, IPv4 in IPv6",
                from_router6(&tunnel6(&of_service)),
                ICMP_ERROR,
            ),
            (
                "about a GRE tunnel",
                from_router(&gre(&of_service, false)),
                ICMP_ERROR,
            ),
            (
                "about a GRE tunnel with checksums",
                from_router(&gre(&of_service, true)),
                ICMP_ERROR,
            ),
            (
                "about a GRE tunnel, IPv6 in IPv4",
                from_router(&gre(&of_service6, true)),
                ICMP_ERROR,
            ),
            (
                "about a GRE tunnel of the host's",
                from_router(&gre(&of_host, false)),
                NO_RULE,
            ),
            (
                "about a GRE tunnel, quoted too short",
                from_router(&gre(&of_service, true)[..40]),
                MALFORMED,
            ),
            (
                "about a GUE tunnel",
                from_router(&packet(UDP, "10.0.0.254:40000", "10.0.0.14:6080")),
                ICMP_ERROR,
            ),
            (
                "about another port there",
                from_router(&packet(UDP, "10.0.0.254:40000", "10.0.0.14:6081")),
                NO_RULE,
            ),
            (
                "about a tunnel of the host's",
                from_router(&tunnel(&of_host)),
                NO_RULE,
            ),
            (
                "about a tunnel, quoted too short",
                from_router(&tunnel(&of_service)[..28]),
                MALFORMED,
            ),
            (
                "about a tunnel in a tunnel",
                from_router(&tunnel(&tunnel(&of_service))),
                OTHER_PROTOCOL,
            ),
            (
                "a tunnel that is no error",
                frame(tunnel(&of_service)),
                OTHER_PROTOCOL,
            ),
        ]
    });
}
