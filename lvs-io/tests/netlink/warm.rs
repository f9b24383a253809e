//! Neighbours: learned, kept warm, released, and followed when they change.

use lvs_io::netlink::{Mirror, Neighbour, Network, View, Warmth};

use crate::world::{FAR_MAC, address, next_hop, until, with_far};

const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xc];
const FAR: [&str; 2] = ["10.0.0.2", "2001:db8::2"];

fn neighbour(view: &View, link: u32, text: &str) -> Option<Neighbour> {
    view.neighbour(link, address(text)).copied()
}

fn is_managed(view: &View, link: u32, text: &str) -> bool {
    neighbour(view, link, text).is_some_and(|neighbour| neighbour.managed)
}

/// What the kernel has, whatever a mirror shows.
fn kernel_s(network: &mut Network, text: &str) -> Option<Neighbour> {
    let neighbours = network.neighbours().unwrap();
    neighbours
        .into_iter()
        .find(|neighbour| neighbour.address == address(text))
}

#[test]
fn a_neighbour_kept_warm_is_learned_and_a_new_mac_is_seen() {
    with_far(|network, far| {
        let a = network.link("a").unwrap().index;
        let mut mirror = Mirror::open().unwrap();
        for to in FAR {
            assert_eq!(next_hop(mirror.view(), to).mac, None);
        }
        let wanted = FAR.map(|text| (a, address(text)));
        assert_eq!(mirror.keep_warm(&wanted).unwrap(), Warmth::Managed);
        for to in FAR {
            until(&mut mirror, "its MAC is learned", |view| {
                next_hop(view, to).mac == Some(FAR_MAC)
            });
        }
        far.run(|| Network::open().unwrap().set_mac("b", OTHER_MAC).unwrap());
        for to in FAR {
            until(&mut mirror, "its new MAC is seen", |view| {
                next_hop(view, to).mac == Some(OTHER_MAC)
            });
        }
        far.run(|| Network::open().unwrap().set_down("b").unwrap());
    });
}

#[test]
fn what_a_killed_process_kept_is_taken_over_and_what_others_manage_is_not() {
    with_far(|network, _| {
        let a = network.link("a").unwrap().index;
        let mut killed = Mirror::open().unwrap();
        killed
            .keep_warm(&FAR.map(|text| (a, address(text))))
            .unwrap();
        std::mem::forget(killed);
        network.manage_neighbour("a", address("10.0.0.3")).unwrap();
        let mut next = Mirror::open().unwrap();
        next.keep_warm(&[(a, address(FAR[0]))]).unwrap();
        assert!(kernel_s(network, FAR[0]).unwrap().managed, "wanted still");
        assert!(
            !kernel_s(network, FAR[1]).unwrap().managed,
            "wanted no more"
        );
        drop(next);
        assert!(!kernel_s(network, FAR[0]).unwrap().managed, "taken over");
        assert!(kernel_s(network, "10.0.0.3").unwrap().managed, "another's");
    });
}

#[test]
fn what_is_no_longer_wanted_becomes_ordinary() {
    with_far(|network, _| {
        let a = network.link("a").unwrap().index;
        let mut mirror = Mirror::open().unwrap();
        let wanted = FAR.map(|text| (a, address(text)));
        mirror.keep_warm(&wanted).unwrap();
        until(&mut mirror, "both are managed and known", |view| {
            FAR.iter()
                .all(|to| is_managed(view, a, to) && next_hop(view, to).mac.is_some())
        });
        mirror.keep_warm(&wanted[..1]).unwrap();
        until(&mut mirror, "the second is ordinary", |view| {
            !is_managed(view, a, FAR[1])
        });
        assert!(is_managed(mirror.view(), a, FAR[0]));
        let released = neighbour(mirror.view(), a, FAR[1]).unwrap();
        assert_eq!(released.mac, Some(FAR_MAC), "what was known stays known");
        drop(mirror);
        let first = kernel_s(network, FAR[0]).unwrap();
        assert!(!first.managed && first.mac == Some(FAR_MAC));
    });
}

#[test]
fn entries_made_to_stay_and_those_of_others_are_left_alone() {
    with_far(|network, _| {
        let a = network.link("a").unwrap().index;
        let mut mirror = Mirror::open().unwrap();
        // Behind the mirror's back, to be seen in time all the same.
        network
            .add_neighbour("a", address(FAR[0]), OTHER_MAC)
            .unwrap();
        network.manage_neighbour("a", address(FAR[1])).unwrap();
        let wanted = FAR.map(|text| (a, address(text)));
        mirror.keep_warm(&wanted).unwrap();
        mirror.keep_warm(&[]).unwrap();
        mirror.keep_warm(&wanted).unwrap();
        drop(mirror);
        let stays = kernel_s(network, FAR[0]).unwrap();
        assert!(stays.permanent && !stays.managed);
        assert_eq!(stays.mac, Some(OTHER_MAC));
        assert!(kernel_s(network, FAR[1]).unwrap().managed);
    });
}

#[test]
fn an_entry_made_to_stay_while_warm_is_not_unmade() {
    with_far(|network, _| {
        let a = network.link("a").unwrap().index;
        let mut mirror = Mirror::open().unwrap();
        mirror.keep_warm(&[(a, address(FAR[0]))]).unwrap();
        network
            .add_neighbour("a", address(FAR[0]), OTHER_MAC)
            .unwrap();
        until(&mut mirror, "it is permanent", |view| {
            neighbour(view, a, FAR[0]).is_some_and(|neighbour| neighbour.permanent)
        });
        drop(mirror);
        let stays = kernel_s(network, FAR[0]).unwrap();
        assert!(stays.permanent && !stays.managed);
    });
}

#[test]
fn warmth_survives_a_flush_and_a_link_s_fall() {
    with_far(|network, _| {
        let a = network.link("a").unwrap().index;
        let mut mirror = Mirror::open().unwrap();
        mirror.keep_warm(&[(a, address(FAR[0]))]).unwrap();
        let known = |view: &View| next_hop(view, FAR[0]).mac == Some(FAR_MAC);
        until(&mut mirror, "it is known", known);
        network.delete_neighbour("a", address(FAR[0])).unwrap();
        until(&mut mirror, "it is managed again", |view| {
            known(view) && is_managed(view, a, FAR[0])
        });
        network.set_down("a").unwrap();
        until(&mut mirror, "it is lost", |view| {
            neighbour(view, a, FAR[0]).is_none()
        });
        network.set_up("a").unwrap();
        until(&mut mirror, "it is managed once more", |view| {
            known(view) && is_managed(view, a, FAR[0])
        });
    });
}

#[test]
fn a_link_that_is_gone_or_down_is_no_error() {
    with_far(|network, _| {
        let a = network.link("a").unwrap().index;
        let mut mirror = Mirror::open().unwrap();
        let wanted = [(a, address(FAR[0])), (a + 1000, address(FAR[0]))];
        mirror.keep_warm(&wanted).unwrap();
        network.delete_link("a").unwrap();
        mirror.keep_warm(&wanted).unwrap();
        mirror.keep_warm(&[]).unwrap();
        until(&mut mirror, "the link is gone", |view| {
            view.link(a).is_none()
        });
    });
}
