//! Resolution and announcements on views made by hand.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::*;
use crate::netlink::address;
use crate::netlink::apply::Effect;
use crate::netlink::neighbour;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn link_message(index: u32, up: bool) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    if up {
        message.header.flags = LinkFlags::Up;
    }
    message.attributes = vec![
        LinkAttribute::IfName(format!("eth{index}")),
        LinkAttribute::Mtu(1500),
    ];
    message
}

fn new_link(index: u32, up: bool) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewLink(link_message(index, up))
}

fn new_address(link: u32, text: &str) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewAddress(address::message(link, prefix(text)))
}

fn new_route(route: &Route) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewRoute(route.message())
}

fn new_neighbour(link: u32, text: &str, mac: [u8; 6]) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewNeighbour(neighbour::permanent(link, ip(text), mac))
}

fn via(link: u32, to: &str, router: &str) -> Route {
    let mut route = Route::via(prefix(to), ip(router));
    route.next_hops[0].link = link;
    route
}

/// Two links, each with a network of both families; a router behind the first.
fn view() -> View {
    let mut view = View::default();
    for message in [
        new_link(2, true),
        new_link(3, true),
        new_address(2, "10.0.2.1/24"),
        new_address(3, "10.0.3.1/24"),
        new_address(2, "2001:db8:2::1/64"),
        new_route(&Route::on_link(prefix("10.0.2.0/24"), 2)),
        new_route(&Route::on_link(prefix("10.0.3.0/24"), 3)),
        new_route(&Route::on_link(prefix("2001:db8:2::/64"), 2)),
        new_route(&via(2, "0.0.0.0/0", "10.0.2.254")),
        new_neighbour(2, "10.0.2.254", MAC),
    ] {
        assert!(view.apply(message, 0).changed);
    }
    view
}

fn next_hop(resolution: Resolution) -> NextHop {
    match resolution {
        Resolution::Via(next_hop) => next_hop,
        other => panic!("{other:?}"),
    }
}

#[test]
fn by_a_router_on_a_link_or_nowhere() {
    let view = view();
    let far = next_hop(view.resolve(ip("192.0.2.1")));
    assert_eq!((far.link, far.next_hop), (2, ip("10.0.2.254")));
    assert_eq!((far.mac, far.mtu), (Some(MAC), 1500));
    assert_eq!(far.source, Some(ip("10.0.2.1")));
    let near = next_hop(view.resolve(ip("10.0.3.9")));
    assert_eq!((near.link, near.next_hop), (3, ip("10.0.3.9")));
    assert_eq!((near.mac, near.source), (None, Some(ip("10.0.3.1"))));
    let v6 = next_hop(view.resolve(ip("2001:db8:2::9")));
    assert_eq!(v6.source, Some(ip("2001:db8:2::1")));
    assert_eq!(view.resolve(ip("2001:db8:9::9")), Resolution::Unreachable);
}

#[test]
fn what_is_no_host_is_unreachable() {
    let mut view = view();
    view.apply(new_route(&via(2, "::/0", "2001:db8:2::fe")), 0);
    for text in ["255.255.255.255", "224.0.0.5", "0.0.0.0", "ff02::1", "::"] {
        assert_eq!(view.resolve(ip(text)), Resolution::Unreachable, "{text}");
    }
}

#[test]
fn a_route_has_a_source_and_an_mtu_of_its_own() {
    let mut view = view();
    let mut route = via(2, "192.0.2.0/24", "10.0.2.253");
    route.source = Some(ip("10.0.3.1"));
    route.mtu = Some(1400);
    view.apply(new_route(&route), 0);
    let hop = next_hop(view.resolve(ip("192.0.2.1")));
    assert_eq!((hop.source, hop.mtu), (Some(ip("10.0.3.1")), 1400));
    route.mtu = Some(9000);
    view.apply(new_route(&route), NLM_F_REPLACE);
    assert_eq!(next_hop(view.resolve(ip("192.0.2.1"))).mtu, 1500);
}

#[test]
fn ways_share_addresses_by_weight_and_an_address_keeps_its_way() {
    let mut view = view();
    let mut first = via(2, "0.0.0.0/0", "10.0.2.2").next_hops[0];
    let second = via(3, "0.0.0.0/0", "10.0.3.2").next_hops[0];
    first.weight = 3;
    let mut route = Route::multipath(prefix("198.18.0.0/15"), vec![first, second]);
    view.apply(new_route(&route), 0);
    let mut by_first = 0;
    for last in 0..=255 {
        let to = ip(&format!("198.18.0.{last}"));
        let hop = next_hop(view.resolve(to));
        assert_eq!(view.resolve(to), Resolution::Via(hop));
        by_first += u32::from(hop.link == 2);
    }
    assert!(
        (160..224).contains(&by_first),
        "{by_first} of 256, not near 192"
    );
    route.next_hops[0].dead = true;
    route.next_hops[1].dead = true;
    assert_eq!(choose(&route.next_hops, ip("198.18.0.1")), None);
    route.next_hops[1].dead = false;
    let living = choose(&route.next_hops, ip("198.18.0.1"));
    assert_eq!(living, Some(&route.next_hops[1]));
}

#[test]
fn a_link_without_address_borrows_one() {
    let mut view = view();
    view.apply(new_link(4, true), 0);
    view.apply(new_route(&Route::on_link(prefix("192.0.2.0/24"), 4)), 0);
    let hop = next_hop(view.resolve(ip("192.0.2.1")));
    assert_eq!(hop.source, Some(ip("10.0.2.1")));
}

#[test]
fn repeated_announcements_change_nothing() {
    let mut view = view();
    let before = view.clone();
    for message in [
        new_link(2, true),
        new_address(3, "10.0.3.1/24"),
        new_route(&via(2, "0.0.0.0/0", "10.0.2.254")),
        new_neighbour(2, "10.0.2.254", MAC),
    ] {
        assert!(!view.apply(message, 0).changed);
    }
    assert_eq!(view, before);
}

#[test]
fn a_new_mac_is_a_change_and_a_mere_confirmation_is_none() {
    let mut view = view();
    let other = [2, 0, 0, 0, 0, 2];
    let effect = view.apply(new_neighbour(2, "10.0.2.254", other), 0);
    assert!(effect.changed);
    let hop = next_hop(view.resolve(ip("192.0.2.1")));
    assert_eq!(hop.mac, Some(other));
    assert!(!view.apply(new_neighbour(2, "10.0.2.254", other), 0).changed);
}

#[test]
fn silent_changes_of_routes_are_suspected_where_they_happen() {
    let mut view = view();
    assert!(view.apply(new_link(2, false), 0).routes_stale);
    assert!(view.apply(new_link(2, true), 0).routes_stale);
    let gone = address::message(3, prefix("10.0.3.1/24"));
    let gone = RouteNetlinkMessage::DelAddress(gone);
    assert!(view.apply(gone.clone(), 0).routes_stale);
    assert_eq!(view.apply(gone, 0), Effect::default());
    let gone = RouteNetlinkMessage::DelLink(link_message(2, false));
    let effect = view.apply(gone, 0);
    assert!(effect.routes_stale && effect.changed && effect.neighbours_moved);
    assert_eq!(view.neighbours().count(), 0);
    assert_eq!(view.resolve(ip("192.0.2.1")), Resolution::Unreachable);
}

#[test]
fn appended_routes_wait_behind() {
    let mut view = view();
    let one = via(2, "192.0.2.0/24", "10.0.2.2");
    let two = via(3, "192.0.2.0/24", "10.0.3.2");
    view.apply(new_route(&one), 0);
    view.apply(new_route(&two), NLM_F_APPEND);
    assert_eq!(next_hop(view.resolve(ip("192.0.2.1"))).link, 2);
    let gone = RouteNetlinkMessage::DelRoute(one.message());
    assert!(view.apply(gone, 0).changed);
    assert_eq!(next_hop(view.resolve(ip("192.0.2.1"))).link, 3);
}
