//! The table against a list that is searched from end to end, and its rules
//! one by one.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn via(to: &str, router: &str) -> Route {
    Route::via(prefix(to), address(router))
}

fn table(routes: &[Route]) -> RouteTable {
    RouteTable::new(routes.iter().cloned())
}

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

    /// An address of few bits set, so that prefixes nest and meet.
    fn address(&mut self) -> IpAddr {
        let bits = self.roll(16);
        if self.roll(2) == 0 {
            let bits = (bits as u32) << 28 | self.roll(4) as u32;
            Ipv4Addr::from_bits(bits).into()
        } else {
            let bits = u128::from(bits) << 124 | u128::from(self.roll(4));
            Ipv6Addr::from_bits(bits).into()
        }
    }

    fn route(&mut self) -> Route {
        let address = self.address();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = [0, 1, 2, 3, 4, 30, most - 1, most][self.roll(8) as usize];
        let to = Prefix::new(address, length).unwrap();
        let mut route = Route::on_link(to, self.roll(5) as u32 + 1);
        route.metric = self.roll(3) as u32;
        route.table =
            [Route::LOCAL, Route::MAIN, Route::MAIN, Route::DEFAULT, 7][self.roll(5) as usize];
        route.service_type = [0, 0, 0, 8][self.roll(4) as usize];
        route.next_hops[0].dead = self.roll(8) == 0;
        route.kind = match self.roll(8) {
            0 => RouteKind::Local,
            1 => RouteKind::Refused,
            2 => RouteKind::Throw,
            _ => RouteKind::Unicast,
        };
        route
    }
}

/// What `best` must find, by looking at every route.
fn naive(routes: &[Route], to: IpAddr) -> Option<&Route> {
    let passes = if to.is_ipv4() { V4_PASSES } else { V6_PASSES };
    for tables in passes {
        let mut best: Option<&Route> = None;
        for route in routes {
            let dead = route.kind == RouteKind::Unicast && route.next_hops[0].dead;
            if !route.prefix.contains(to)
                || !tables.contains(&route.table)
                || route.service_type != 0
                || dead
            {
                continue;
            }
            let key = |route: &Route| (route.prefix.length(), route.table, u32::MAX - route.metric);
            if best.is_none_or(|best| key(route) > key(best)) {
                best = Some(route);
            }
        }
        match best {
            Some(route) if route.kind == RouteKind::Throw => {}
            Some(route) => return Some(route),
            None => {}
        }
    }
    None
}

#[test]
fn finds_what_a_full_search_finds() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let mut table = RouteTable::default();
        let mut list: Vec<Route> = Vec::new();
        for _ in 0..150 {
            if dice.roll(3) > 0 || list.is_empty() {
                let route = dice.route();
                if !list.contains(&route) {
                    table.insert(route.clone(), Placement::Last);
                    list.push(route);
                }
            } else {
                let any = &list[dice.roll(list.len() as u64) as usize];
                // A removal does not tell whether the way was dead: the first
                // that agrees in the rest goes.
                let agrees = |other: &Route| {
                    (other.prefix, other.kind, rank(other)) == (any.prefix, any.kind, rank(any))
                        && same_ways(other, any)
                };
                let gone = list.remove(list.iter().position(agrees).unwrap());
                let kept = PASSES_OF_ANY.contains(&gone.table);
                let removal = table.remove(&gone);
                assert_eq!(removal == Removal::Removed, kept, "seed {seed}: {gone:?}");
            }
            let to = dice.address();
            assert_eq!(table.best(to), naive(&list, to), "seed {seed}: {to}");
            let longest = table
                .best_by_prefix()
                .filter(|(prefix, _)| prefix.contains(to))
                .max_by_key(|(prefix, _)| prefix.length());
            let of_prefix = longest.and_then(|(_, route)| route);
            assert_eq!(of_prefix, table.best(to), "seed {seed}: {to} by prefix");
        }
        let kept = list
            .iter()
            .filter(|route| PASSES_OF_ANY.contains(&route.table));
        assert_eq!(table.iter().count(), kept.count());
    }
}

#[test]
fn an_emptied_table_is_an_empty_table() {
    let mut dice = Dice(1);
    let routes: Vec<_> = (0..100).map(|_| dice.route()).collect();
    let mut emptied = table(&routes);
    for route in &routes {
        emptied.remove(route);
    }
    assert_eq!(emptied, RouteTable::default());
}

#[test]
fn the_lower_metric_goes_first_whatever_the_order_of_arrival() {
    let mut better = via("10.0.0.0/8", "192.0.2.1");
    let mut worse = via("10.0.0.0/8", "192.0.2.2");
    (better.metric, worse.metric) = (5, 6);
    for routes in [
        [better.clone(), worse.clone()],
        [worse.clone(), better.clone()],
    ] {
        let mut table = table(&routes);
        assert_eq!(table.best(address("10.1.1.1")), Some(&better));
        table.remove(&better);
        assert_eq!(table.best(address("10.1.1.1")), Some(&worse));
    }
}

#[test]
fn placement_is_the_kernel_s() {
    let [one, two, three] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|it| via("10.0.0.0/8", it));
    let mut table = table(std::slice::from_ref(&one));
    assert!(table.insert(two.clone(), Placement::Last));
    assert_eq!(table.best(address("10.1.1.1")), Some(&one));
    assert!(table.insert(three.clone(), Placement::First));
    assert_eq!(table.best(address("10.1.1.1")), Some(&three));
    assert!(!table.insert(one.clone(), Placement::First), "known");
    let four = via("10.0.0.0/8", "192.0.2.4");
    assert!(table.insert(four, Placement::Replacing));
    assert_eq!(table.iter().count(), 3);
    assert!(table.iter().all(|route| *route != three));
}

#[test]
fn ipv6_routes_by_routers_are_one_route() {
    let one = via("2001:db8::/32", "fe80::1");
    let two = via("2001:db8::/32", "fe80::2");
    let both = Route::multipath(one.prefix, vec![one.next_hops[0], two.next_hops[0]]);
    let mut known = table(std::slice::from_ref(&one));
    assert!(known.insert(both.clone(), Placement::Last));
    assert_eq!(known.iter().collect::<Vec<_>>(), [&both]);
    assert_eq!(known.remove(&one), Removal::Removed);
    assert_eq!(known.iter().collect::<Vec<_>>(), [&two]);
    assert_eq!(known.remove(&one), Removal::Mismatch);
    assert_eq!(known.remove(&two), Removal::Removed);
    assert_eq!(known.remove(&two), Removal::Absent);
}

#[test]
fn ipv6_routes_on_links_and_advertised_ones_stay_apart() {
    let advertised = |router| Route {
        protocol: PROTOCOL_ROUTER_ADVERTISEMENT,
        ..via("::/0", router)
    };
    let mut table = RouteTable::default();
    for route in [
        advertised("fe80::1"),
        advertised("fe80::2"),
        Route::on_link(prefix("fe80::/64"), 1),
        Route::on_link(prefix("fe80::/64"), 2),
    ] {
        assert!(table.insert(route, Placement::First));
    }
    assert_eq!(table.iter().count(), 4);
    assert_eq!(
        table.remove(&Route::on_link(prefix("fe80::/64"), 1)),
        Removal::Removed
    );
    assert_eq!(table.remove(&advertised("fe80::2")), Removal::Removed);
    assert_eq!(table.iter().count(), 2);
}

#[test]
fn an_ipv6_replacement_takes_the_first_of_its_own_kind() {
    let on_link = Route::on_link(prefix("2001:db8::/32"), 1);
    let by_router = via("2001:db8::/32", "fe80::1");
    let other = via("2001:db8::/32", "fe80::2");
    let mut both = table(&[on_link.clone(), by_router]);
    assert!(both.insert(other.clone(), Placement::Replacing));
    assert_eq!(both.iter().collect::<Vec<_>>(), [&on_link, &other]);
    let mut only = table(&[on_link]);
    assert!(only.insert(other.clone(), Placement::Replacing));
    assert_eq!(only.iter().collect::<Vec<_>>(), [&other]);
}

#[test]
fn an_unknown_removal_among_known_routes_is_a_mismatch() {
    let mut table = table(&[via("10.0.0.0/8", "192.0.2.1")]);
    assert_eq!(
        table.remove(&via("10.0.0.0/8", "192.0.2.2")),
        Removal::Mismatch
    );
    assert_eq!(
        table.remove(&via("10.0.0.0/9", "192.0.2.1")),
        Removal::Absent
    );
    let mut other = via("10.0.0.0/8", "192.0.2.1");
    other.metric = 9;
    assert_eq!(table.remove(&other), Removal::Absent);
}

#[test]
fn a_dead_route_makes_way_for_a_shorter_one() {
    let mut dead = via("10.0.0.0/8", "192.0.2.1");
    dead.next_hops[0].dead = true;
    let alive = via("0.0.0.0/0", "192.0.2.2");
    assert_eq!(
        table(&[dead.clone(), alive.clone()]).best(address("10.1.1.1")),
        Some(&alive)
    );
    assert_eq!(table(&[dead]).best(address("10.1.1.1")), None);
}
