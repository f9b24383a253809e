//! Where packets go, and that changes are seen live.

use lvs_io::netlink::{Hop, Mirror, Network, Prefix, Resolution, Route, RouteKind};

use crate::world::{address, next_hop, prefix, until, until_true_to_life, with_far, with_pair};

fn add_route(network: &mut Network, to: &str, router: &str) {
    let route = Route::via(prefix(to), address(router));
    network.add_route(&route).unwrap();
}

#[test]
fn local_on_link_by_router_by_default_or_nowhere() {
    with_far(|network, _| {
        let a = network.link("a").unwrap().index;
        add_route(network, "0.0.0.0/0", "10.0.0.2");
        add_route(network, "192.0.2.0/24", "10.0.0.3");
        add_route(network, "192.0.2.128/25", "10.0.0.4");
        add_route(network, "2001:db8:1::/48", "2001:db8::3");
        for refused in ["198.51.100.0/24", "2001:db8:2::/48"] {
            network
                .add_route(&Route::refusing(prefix(refused)))
                .unwrap();
        }
        let mirror = Mirror::open().unwrap();
        let view = mirror.view();
        for here in ["10.0.0.1", "2001:db8::1"] {
            assert_eq!(mirror.resolve(address(here)), Resolution::Local, "{here}");
        }
        for (to, by) in [
            ("10.0.0.2", "10.0.0.2"),
            ("203.0.113.1", "10.0.0.2"),
            ("192.0.2.1", "10.0.0.3"),
            ("192.0.2.129", "10.0.0.4"),
            ("2001:db8::9", "2001:db8::9"),
            ("2001:db8:1::9", "2001:db8::3"),
        ] {
            let hop = next_hop(view, to);
            assert_eq!((hop.link, hop.next_hop), (a, address(by)), "{to}");
            assert_eq!(hop.mtu, 1500);
            let source = if hop.next_hop.is_ipv4() {
                "10.0.0.1"
            } else {
                "2001:db8::1"
            };
            assert_eq!(hop.source, Some(address(source)), "{to}");
        }
        for nowhere in [
            "198.51.100.1",
            "2001:db8:2::1",
            "2001:db8:9::1",
            "10.0.0.255",
        ] {
            let resolution = mirror.resolve(address(nowhere));
            assert_eq!(resolution, Resolution::Unreachable, "{nowhere}");
        }
    });
}

#[test]
fn an_ipv4_route_may_go_by_an_ipv6_router() {
    with_far(|network, _| {
        let mut route = Route::via(prefix("192.0.2.0/24"), address("2001:db8::2"));
        route.next_hops[0].link = network.link("a").unwrap().index;
        network.add_route(&route).unwrap();
        let mirror = Mirror::open().unwrap();
        let hop = next_hop(mirror.view(), "192.0.2.1");
        assert_eq!(hop.next_hop, address("2001:db8::2"));
        assert_eq!(hop.source, Some(address("10.0.0.1")));
    });
}

#[test]
fn changes_of_routes_are_seen_and_quiet_is_quiet() {
    with_pair(|network| {
        network.add_address("a", prefix("10.0.0.1/24")).unwrap();
        network.add_address("a", prefix("2001:db8::1/64")).unwrap();
        let mut mirror = Mirror::open().unwrap();
        for (to, net, one, two) in [
            ("192.0.2.1", "192.0.2.0/24", "10.0.0.2", "10.0.0.3"),
            (
                "2001:db8:1::1",
                "2001:db8:1::/48",
                "2001:db8::2",
                "2001:db8::3",
            ),
        ] {
            let [one, two] = [one, two].map(|router| Route::via(prefix(net), address(router)));
            let router = |route: &Route| route.next_hops[0].gateway.unwrap();
            network.add_route(&one).unwrap();
            assert!(mirror.poll().unwrap());
            assert_eq!(next_hop(mirror.view(), to).next_hop, router(&one));
            network.replace_route(&two).unwrap();
            assert!(mirror.poll().unwrap());
            assert_eq!(next_hop(mirror.view(), to).next_hop, router(&two));
            network.delete_route(&two).unwrap();
            assert!(mirror.poll().unwrap());
            assert_eq!(mirror.resolve(address(to)), Resolution::Unreachable);
        }
        let mut other_table = Route::via(prefix("192.0.2.0/24"), address("10.0.0.2"));
        other_table.table = 77;
        mirror.poll().unwrap();
        network.add_route(&other_table).unwrap();
        assert!(!mirror.poll().unwrap(), "another table is nothing");
        assert_eq!(
            mirror.resolve(address("192.0.2.1")),
            Resolution::Unreachable
        );
    });
}

#[test]
fn addresses_and_mtus_are_followed() {
    with_pair(|network| {
        let mut mirror = Mirror::open().unwrap();
        for (host, net) in [
            ("10.0.0.1", "10.0.0.1/24"),
            ("2001:db8::1", "2001:db8::1/64"),
        ] {
            network.add_address("a", prefix(net)).unwrap();
            assert!(mirror.poll().unwrap());
            until(&mut mirror, "the address is local", |view| {
                view.resolve(address(host)) == Resolution::Local
            });
            network.remove_address("a", prefix(net)).unwrap();
            until(&mut mirror, "the address is gone", |view| {
                view.resolve(address(host)) == Resolution::Unreachable
            });
        }
        network.add_address("a", prefix("10.0.0.1/24")).unwrap();
        network.set_mtu("a", 1400).unwrap();
        assert!(mirror.poll().unwrap());
        assert_eq!(next_hop(mirror.view(), "10.0.0.2").mtu, 1400);
    });
}

#[test]
fn what_goes_silently_with_a_link_s_fall_is_missed() {
    with_pair(|network| {
        network.add_address("a", prefix("10.0.0.1/24")).unwrap();
        network.add_address("b", prefix("10.0.1.1/24")).unwrap();
        let indices = ["a", "b"].map(|name| network.link(name).unwrap().index);
        add_route(network, "192.0.2.0/24", "10.0.0.2");
        let mut ways = ["10.0.0.2", "10.0.1.2"].map(|router| Hop::via(address(router)));
        ways[0].link = indices[0];
        ways[1].link = indices[1];
        let both = Route::multipath(prefix("198.18.0.0/15"), ways.to_vec());
        network.add_route(&both).unwrap();
        let mut mirror = Mirror::open().unwrap();
        network.set_down("a").unwrap();
        assert!(mirror.poll().unwrap());
        assert_eq!(
            mirror.resolve(address("192.0.2.1")),
            Resolution::Unreachable
        );
        for last in 0..16 {
            let hop = next_hop(mirror.view(), &format!("198.18.0.{last}"));
            assert_eq!(hop.link, indices[1], "the other way is dead");
        }
        until_true_to_life(&mut mirror);
        network.set_up("a").unwrap();
        until(&mut mirror, "both ways live", |view| {
            let links = (0..16).map(|last| next_hop(view, &format!("198.18.0.{last}")).link);
            links.collect::<std::collections::HashSet<_>>().len() == 2
        });
        until_true_to_life(&mut mirror);
        assert!(mirror.counters().route_reloads >= 2);
    });
}

#[test]
fn a_link_that_vanishes_takes_everything_with_it() {
    with_pair(|network| {
        network.add_address("a", prefix("10.0.0.1/24")).unwrap();
        network.add_address("a", prefix("2001:db8::1/64")).unwrap();
        add_route(network, "0.0.0.0/0", "10.0.0.2");
        add_route(network, "::/0", "2001:db8::2");
        let mut mirror = Mirror::open().unwrap();
        let a = network.link("a").unwrap().index;
        network.delete_link("a").unwrap();
        until(&mut mirror, "the link is gone", |view| {
            view.link(a).is_none()
        });
        for to in [
            "10.0.0.1",
            "10.0.0.2",
            "192.0.2.1",
            "2001:db8::2",
            "2001:db8:1::1",
        ] {
            let resolution = mirror.resolve(address(to));
            assert_eq!(resolution, Resolution::Unreachable, "{to}");
        }
        until_true_to_life(&mut mirror);
    });
}

#[test]
fn a_route_s_source_that_goes_takes_the_route() {
    with_pair(|network| {
        network.add_address("a", prefix("10.0.0.1/24")).unwrap();
        network.add_address("b", prefix("10.9.9.9/32")).unwrap();
        let mut route = Route::via(Prefix::ALL_V4, address("10.0.0.2"));
        route.source = Some(address("10.9.9.9"));
        network.add_route(&route).unwrap();
        let mut mirror = Mirror::open().unwrap();
        let hop = next_hop(mirror.view(), "192.0.2.1");
        assert_eq!(hop.source, route.source);
        network.remove_address("b", prefix("10.9.9.9/32")).unwrap();
        assert!(mirror.poll().unwrap());
        assert_eq!(
            mirror.resolve(address("192.0.2.1")),
            Resolution::Unreachable
        );
    });
}

#[test]
fn addresses_owned_by_route_are_local() {
    with_pair(|network| {
        let mut route = Route::on_link(prefix("192.0.2.0/24"), network.link("a").unwrap().index);
        route.kind = RouteKind::Local;
        route.table = Route::LOCAL;
        network.add_route(&route).unwrap();
        let mirror = Mirror::open().unwrap();
        assert_eq!(mirror.resolve(address("192.0.2.77")), Resolution::Local);
    });
}
