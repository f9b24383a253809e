//! The mirror against the kernel itself: what it resolves, and that it keeps
//! in step through many changes and lost announcements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lvs_io::netlink::{Hop, Mirror, Network, Prefix, Resolution, Route, RouteKind, VethEnd};

use crate::world::{address, prefix, until_true_to_life, with_pair};

/// A small generator, so that a failure can be repeated (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// An address outside the links' own networks, few enough for routes to
    /// nest and meet.
    fn address(&mut self) -> IpAddr {
        let low = self.roll(4) as u16;
        let high = self.roll(4) as u16;
        if self.roll(2) == 0 {
            Ipv4Addr::new(172, 16, high as u8 * 64, low as u8 * 64 + 1).into()
        } else {
            Ipv6Addr::new(0x2001, 0xdb8, 0xf, high << 14, 0, 0, 0, (low << 14) + 1).into()
        }
    }

    fn way(&mut self, v4: bool) -> Hop {
        let link = self.roll(2);
        let host = 2 + self.roll(3);
        let router = match v4 {
            true => format!("10.0.{link}.{host}"),
            false => format!("2001:db8:{link}::{host}"),
        };
        Hop::via(address(&router))
    }

    fn route(&mut self, links: [u32; 2]) -> Route {
        let to = self.address();
        let lengths = match to {
            IpAddr::V4(_) => [16, 18, 24, 26, 32],
            IpAddr::V6(_) => [48, 50, 64, 114, 128],
        };
        let to = Prefix::new(to, lengths[self.roll(5) as usize]).unwrap();
        let v4 = to.address().is_ipv4();
        let mut route = match self.roll(8) {
            0 => Route::refusing(to),
            1 => Route {
                kind: RouteKind::Throw,
                ..Route::refusing(to)
            },
            2 => Route::on_link(to, links[self.roll(2) as usize]),
            3 => Route::multipath(to, vec![self.way(v4), self.way(v4)]),
            _ => Route::multipath(to, vec![self.way(v4)]),
        };
        route.metric = 10 + self.roll(2) as u32;
        let by_router = route.next_hops.iter().any(|way| way.gateway.is_some());
        if !v4 && by_router {
            // IPv6 routes of both kinds with one metric mix in the kernel's
            // list, and those between the ways of a multipath route are then
            // missing from what it lists (net/ipv6/ip6_fib.c, fib6_dump_node).
            route.metric += 10;
        }
        route
    }
}

/// Gives both ends of the pair addresses and neighbours to route by.
fn furnish(network: &mut Network) -> [u32; 2] {
    for (link, v4, v6) in [
        ("a", "10.0.0.1/24", "2001:db8::1/64"),
        ("b", "10.0.1.1/24", "2001:db8:1::1/64"),
    ] {
        network.add_address(link, prefix(v4)).unwrap();
        network.add_address(link, prefix(v6)).unwrap();
    }
    ["a", "b"].map(|link| network.link(link).unwrap().index)
}

/// Makes one change that may well be refused, as by who does not look first.
fn change(network: &mut Network, dice: &mut Dice, known: &mut Vec<Route>, links: [u32; 2]) {
    let route = dice.route(links);
    let entered = match dice.roll(8) {
        0 | 1 if !known.is_empty() => {
            let gone = known.swap_remove(dice.roll(known.len() as u64) as usize);
            let _ = network.delete_route(&gone);
            return;
        }
        2 => network.replace_route(&route),
        3 => network.append_route(&route),
        4 if dice.roll(8) == 0 => {
            let link = ["a", "b"][dice.roll(2) as usize];
            network.set_down(link).unwrap();
            network.set_up(link).unwrap();
            return;
        }
        _ => network.add_route(&route),
    };
    if entered.is_ok() {
        known.push(route);
    }
}

/// Holds what the mirror resolves against what the kernel says.
fn compare(mirror: &Mirror, network: &mut Network, to: IpAddr, seed: u64) {
    let kernel = network.route_to(to).unwrap();
    let kernel = kernel.filter(|route| route.kind != RouteKind::Refused);
    match (mirror.resolve(to), kernel) {
        (Resolution::Unreachable, None) => {}
        (Resolution::Local, Some(route)) => assert_eq!(route.kind, RouteKind::Local),
        (Resolution::Via(hop), Some(route)) => {
            let best = mirror.view().route(to).unwrap();
            assert_eq!(
                route.kind,
                RouteKind::Unicast,
                "seed {seed}: {to}: {best:?}"
            );
            let way = route.next_hops[0];
            let agrees = |(link, router): (u32, Option<IpAddr>)| {
                link == way.link && router.unwrap_or(to) == way.gateway.unwrap_or(to)
            };
            match &best.next_hops[..] {
                // The kernel may choose another way of the same route.
                [_, _, ..] => assert!(
                    best.next_hops
                        .iter()
                        .any(|way| agrees((way.link, way.gateway)))
                ),
                _ => {
                    assert!(
                        agrees((hop.link, Some(hop.next_hop))),
                        "seed {seed}: {to}: {hop:?} {route:?}"
                    );
                    assert_eq!(hop.source, route.source, "seed {seed}: {to}");
                }
            }
        }
        (mirror, kernel) => panic!("seed {seed}: {to}: {mirror:?} but {kernel:?}"),
    }
}

#[test]
fn resolves_as_the_kernel_does() {
    for seed in 0..6 {
        with_pair(|network| {
            let links = furnish(network);
            let mut dice = Dice(seed);
            let mut known = Vec::new();
            let mut mirror = Mirror::open().unwrap();
            for _ in 0..25 {
                for _ in 0..10 {
                    change(network, &mut dice, &mut known, links);
                }
                until_true_to_life(&mut mirror);
                for _ in 0..40 {
                    compare(&mirror, network, dice.address(), seed);
                }
            }
        });
    }
}

#[test]
fn lost_announcements_are_made_good() {
    with_pair(|network| {
        let links = furnish(network);
        let mut dice = Dice(7);
        let mut known = Vec::new();
        let mut mirror = Mirror::with_receive_buffer(1).unwrap();
        for _ in 0..3 {
            for _ in 0..300 {
                change(network, &mut dice, &mut known, links);
            }
            let before = mirror.counters();
            assert!(mirror.poll().unwrap());
            let after = mirror.counters();
            assert!(after.overruns > before.overruns, "{after:?}");
            assert!(after.resyncs > before.resyncs, "{after:?}");
            until_true_to_life(&mut mirror);
        }
    });
}

#[test]
fn a_mirror_follows_without_losing_when_it_has_room() {
    with_pair(|network| {
        let links = furnish(network);
        let mut dice = Dice(8);
        let mut known = Vec::new();
        let mut mirror = Mirror::open().unwrap();
        for _ in 0..300 {
            change(network, &mut dice, &mut known, links);
        }
        until_true_to_life(&mut mirror);
        let counters = mirror.counters();
        assert_eq!((counters.overruns, counters.resyncs), (0, 0));
        assert_eq!(counters.undecoded, 0);
        assert!(counters.announcements > 100, "{counters:?}");
    });
}

#[test]
fn a_resync_finds_nothing_new_in_step() {
    with_pair(|network| {
        furnish(network);
        let mut mirror = Mirror::open().unwrap();
        until_true_to_life(&mut mirror);
        let before = mirror.counters().resyncs;
        mirror.resync().unwrap();
        assert_eq!(mirror.counters().resyncs, before + 1);
        until_true_to_life(&mut mirror);
    });
}

#[test]
fn a_mirror_stays_with_its_namespace() {
    with_pair(|network| {
        let mut mirror = Mirror::open().unwrap();
        // Another thread, in another namespace.
        let Some(elsewhere) = crate::namespace::Namespace::new() else {
            return;
        };
        elsewhere.run(|| {
            let mut there = Network::open().unwrap();
            let (c, d) = (VethEnd::new("c"), VethEnd::new("d"));
            there.add_veth(&c, &d).unwrap();
            network.add_bridge("e").unwrap();
            mirror.poll().unwrap();
        });
        let names: Vec<_> = mirror.view().links().map(|link| &link.name[..]).collect();
        assert!(names.contains(&"e") && !names.contains(&"c"), "{names:?}");
    });
}
