//! What is configured is what the kernel then has, and refusals say why.

use std::os::fd::AsFd;

use lvs_io::netlink::{Hop, Network, Route, RouteKind, VethEnd};

use crate::namespace::Namespace;
use crate::world::{address, prefix, with_pair};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];

#[test]
fn veth_ends_are_as_asked() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    namespace.run(|| {
        let mut network = Network::open().unwrap();
        let a = VethEnd::new("a").queues(3).mtu(9000).mac(MAC);
        network.add_veth(&a, &VethEnd::new("b").queues(2)).unwrap();
        let a = network.link("a").unwrap();
        assert_eq!((a.mac, a.mtu), (Some(MAC), 9000));
        assert_eq!((a.receive_queues, a.transmit_queues), (3, 3));
        assert!(!a.up && a.asks_neighbours && !a.loopback);
        let b = network.link("b").unwrap();
        assert_eq!((b.receive_queues, b.transmit_queues), (2, 2));
        network.set_up("a").unwrap();
        assert!(network.link("a").unwrap().up);
        assert!(!network.link("a").unwrap().running, "b is down");
        network.set_up("b").unwrap();
        assert!(network.link("a").unwrap().running);
        network.set_down("a").unwrap();
        assert!(!network.link("a").unwrap().up);
    });
}

#[test]
fn links_move_between_namespaces() {
    let (Some(here), Some(there)) = (Namespace::new(), Namespace::new()) else {
        return;
    };
    here.run(|| {
        let mut network = Network::open().unwrap();
        let peer = VethEnd::new("b").namespace(there.as_fd());
        network.add_veth(&VethEnd::new("a"), &peer).unwrap();
        network
            .add_veth(&VethEnd::new("c"), &VethEnd::new("d"))
            .unwrap();
        network.move_link("d", there.as_fd()).unwrap();
        for gone in ["b", "d"] {
            let error = network.link(gone).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        }
    });
    there.run(|| {
        let mut network = Network::open().unwrap();
        network.link("b").unwrap();
        network.link("d").unwrap();
        network.delete_link("b").unwrap();
    });
    here.run(|| {
        let links = Network::open().unwrap().links().unwrap();
        let names: Vec<_> = links.iter().map(|link| &link.name[..]).collect();
        assert_eq!(names, ["lo", "c"], "the other end goes too");
    });
}

#[test]
fn a_bridge_takes_ports() {
    with_pair(|network| {
        network.add_bridge("bridge").unwrap();
        network.add_to_bridge("a", "bridge").unwrap();
        let bridge = network.link("bridge").unwrap();
        assert_eq!(network.link("a").unwrap().port_of, Some(bridge.index));
        assert_eq!(network.link("b").unwrap().port_of, None);
    });
}

#[test]
fn mac_and_mtu_change() {
    with_pair(|network| {
        network.set_mac("a", MAC).unwrap();
        network.set_mtu("a", 1400).unwrap();
        network.set_promiscuous("a", true).unwrap();
        network.set_promiscuous("a", false).unwrap();
        let a = network.link("a").unwrap();
        assert_eq!((a.mac, a.mtu), (Some(MAC), 1400));
    });
}

#[test]
fn addresses_come_and_go() {
    with_pair(|network| {
        let index = network.link("a").unwrap().index;
        for text in ["10.0.0.1/24", "2001:db8::1/64"] {
            network.add_address("a", prefix(text)).unwrap();
            let addresses = network.addresses().unwrap();
            let found = addresses.iter().find(|known| known.prefix == prefix(text));
            let found = found.unwrap();
            assert_eq!(found.link, index);
            assert!(found.global && !found.second_choice, "usable at once");
            let error = network.add_address("a", prefix(text)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
            assert_eq!(error.object(), format!("{text} to a"));
            network.remove_address("a", prefix(text)).unwrap();
            let addresses = network.addresses().unwrap();
            assert!(addresses.iter().all(|known| known.prefix != prefix(text)));
        }
    });
}

#[test]
fn routes_come_and_go() {
    with_pair(|network| {
        network.add_address("a", prefix("10.0.0.1/24")).unwrap();
        network.add_address("a", prefix("2001:db8::1/64")).unwrap();
        let link = network.link("a").unwrap().index;
        for (to, router) in [
            ("0.0.0.0/0", "10.0.0.254"),
            ("192.0.2.0/24", "10.0.0.254"),
            ("::/0", "2001:db8::fe"),
            ("2001:db8:1::/48", "2001:db8::fe"),
        ] {
            let mut route = Route::via(prefix(to), address(router));
            route.metric = 50;
            network.add_route(&route).unwrap();
            route.next_hops[0].link = link;
            assert!(network.routes().unwrap().contains(&route), "{to}");
            network.add_route(&route).unwrap_err();
            network.delete_route(&route).unwrap();
            assert!(!network.routes().unwrap().contains(&route), "{to}");
        }
    });
}

#[test]
fn other_kinds_of_routes_are_entered() {
    with_pair(|network| {
        network.add_address("a", prefix("10.0.0.1/24")).unwrap();
        let link = network.link("a").unwrap().index;
        let mut first = Hop::via(address("10.0.0.2"));
        first.link = link;
        let mut second = Hop::via(address("10.0.0.3"));
        second.link = link;
        second.weight = 3;
        let mut local = Route::on_link(prefix("192.0.2.1/32"), link);
        local.kind = RouteKind::Local;
        local.table = Route::LOCAL;
        network.add_route(&local).unwrap();
        assert!(network.routes().unwrap().contains(&local));
        for route in [
            Route::on_link(prefix("192.0.2.0/24"), link),
            Route::multipath(prefix("198.51.100.0/24"), vec![first, second]),
            Route::refusing(prefix("203.0.113.0/24")),
        ] {
            network.add_route(&route).unwrap();
            let routes = network.routes().unwrap();
            assert!(routes.contains(&route), "{route:?} in {routes:?}");
        }
    });
}

#[test]
fn replacing_leaves_one_route_and_appending_two() {
    with_pair(|network| {
        network.add_address("a", prefix("10.0.0.1/24")).unwrap();
        let to = prefix("192.0.2.0/24");
        let route = |router| Route::via(to, address(router));
        let count = |network: &mut Network| {
            let routes = network.routes().unwrap();
            routes.iter().filter(|route| route.prefix == to).count()
        };
        network.add_route(&route("10.0.0.2")).unwrap();
        network.replace_route(&route("10.0.0.3")).unwrap();
        assert_eq!(count(network), 1);
        network.append_route(&route("10.0.0.4")).unwrap();
        assert_eq!(count(network), 2);
    });
}

#[test]
fn the_kernel_s_own_words_are_kept() {
    with_pair(|network| {
        let route = Route::via(prefix("192.0.2.0/24"), address("10.99.0.1"));
        let error = network.add_route(&route).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH));
        assert!(error.explanation().is_some(), "{error}");
    });
}

#[test]
fn neighbours_come_and_go() {
    with_pair(|network| {
        // Without addresses the kernel takes all others for broadcast.
        network.add_address("a", prefix("10.0.0.1/24")).unwrap();
        network.add_address("a", prefix("2001:db8::1/64")).unwrap();
        for text in ["10.0.0.2", "2001:db8::2"] {
            network.add_neighbour("a", address(text), MAC).unwrap();
            let neighbours = network.neighbours().unwrap();
            let found = neighbours
                .iter()
                .find(|known| known.address == address(text));
            assert_eq!(found.unwrap().mac, Some(MAC));
            assert!(found.unwrap().permanent);
            network.delete_neighbour("a", address(text)).unwrap();
            network.manage_neighbour("a", address(text)).unwrap();
            let neighbours = network.neighbours().unwrap();
            let found = neighbours
                .iter()
                .find(|known| known.address == address(text));
            assert!(found.unwrap().managed && !found.unwrap().permanent);
        }
    });
}
