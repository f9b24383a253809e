//! Two directors that are each other's real servers, as
//! `lvs.two-directors.toml` has it: what the other has directed is served, not
//! directed again, and what lives on when the VIP moves.

mod place;
mod tap;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::world::Family;
use lvs::world::traffic::{Held, HeldConnection, Request, http_many};

use place::{NAMES, Place, SAMPLE, dns, echo, web};
use tap::{Crossing, Tap};

/// The sample's services on addresses, so that nothing tells what comes from
/// the other director.
fn without_marks() -> String {
    let mut text = "director.interfaces = [\"eth0\"]\n".to_owned();
    for family in Family::BOTH {
        let servers = match family {
            Family::V4 => ["192.0.2.11", "192.0.2.12"],
            Family::V6 => ["2001:db8:2::11", "2001:db8:2::12"],
        };
        text += &format!(
            "[[service]]\naddress = \"{}\"\nprotocol = \"udp\"\nscheduler = \"rr\"\n",
            dns(family)
        );
        for server in servers {
            text +=
                &format!("[[service.real_server]]\naddress = \"{server}\"\nforwarding = \"g\"\n");
        }
    }
    text
}

/// The sample by turns, and without taking up connections that are under way.
fn by_turns() -> String {
    let text = SAMPLE.replace("scheduler = \"mh\"", "scheduler = \"rr\"");
    let text = text.replace("flags = [\"port\", \"fallback\"]\n", "");
    let plain = text.replace("sloppy_tcp = 1", "sloppy_tcp = 0");
    assert_ne!(plain, text, "the sample takes them up");
    plain
}

/// Where both direct, a packet that each gives to the other circles until its
/// time is up.
fn circles_without_marks(mode: WantedMode) {
    let Some(place) = Place::new(&without_marks(), mode) else {
        return;
    };
    for family in Family::BOTH {
        let tap = Tap::start(&place.switch);
        let asked: Vec<_> = (0..8).map(|_| place.ask(dns(family), 0, TTL)).collect();
        let crossings = tap.stop();
        for (port, answer) in &asked {
            let ways: Vec<_> = of(&crossings, *port).collect();
            let expected: Vec<_> = match answer.as_deref() {
                Some("a") => vec![],
                Some("b") => vec![(TTL - 1, 0)],
                // There and back: a sends the odd ones of an even TTL.
                _ => (1..TTL)
                    .map(|ttl| (ttl, usize::from(ttl % 2 == TTL % 2)))
                    .collect(),
            };
            assert_eq!(ways, expected, "{family} {answer:?}");
        }
        let lost = asked.iter().filter(|(_, answer)| answer.is_none()).count();
        assert!((1..8).contains(&lost), "{family}: {asked:?}");
    }
}

/// Checks that both serve, that nothing crosses twice, and that only `owner`
/// sends across.
fn both_serve(place: &Place, owner: usize) {
    for family in Family::BOTH {
        let tap = Tap::start(&place.switch);
        let requests = || http_many(web(family), Request::Name, 40, DEADLINE);
        let names = place.client.run(|| requests().into_iter().collect());
        let mut names: BTreeSet<String> = names.unwrap();
        assert_eq!(names.len(), 2, "{family}: {names:?}");
        names.clear();
        for _ in 0..20 {
            let (_, name) = place.ask(dns(family), 0, TTL);
            names.insert(name.expect("an answer"));
        }
        assert_eq!(names.len(), 2, "{family}: {names:?}");
        let crossings = tap.stop();
        assert!(!crossings.is_empty());
        for crossing in crossings {
            assert_eq!(crossing.from, owner, "{family}: {crossing:?}");
            let once = [TTL - 1, USUAL_TTL - 1].contains(&crossing.ttl);
            assert!(once, "{family}: {crossing:?}");
        }
    }
}

/// By the sample both serve, whoever owns the VIP, and no packet goes back.
fn serves_with_marks(mode: WantedMode) {
    let Some(place) = Place::new(SAMPLE, mode) else {
        return;
    };
    both_serve(&place, 0);
    place.move_vip(0, 1);
    both_serve(&place, 1);
    for machine in &place.machines {
        let stats = machine.stats();
        assert_eq!(stats.drops().count(), 0, "{stats}");
        assert!(
            stats.shards.host > 0 && stats.shards.transmitted > 0,
            "{stats}"
        );
    }
}

/// Connections of either server before, and what has become of them when the
/// VIP has moved.
fn moved_under_load(text: &str, mode: WantedMode) -> Option<Vec<(Family, HeldConnection)>> {
    let place = Place::new(text, mode)?;
    let ended = held_while(&place, || {
        place.move_vip(0, 1);
        // Those that live make many exchanges in this time, the others fail.
        std::thread::sleep(Duration::from_secs(2));
        both_serve(&place, 1);
    });
    Some(ended)
}

/// What has become of connections of either server that are held while something
/// happens.
fn held_while(place: &Place, happens: impl FnOnce()) -> Vec<(Family, HeldConnection)> {
    let held = Family::BOTH.map(|family| {
        let held = Held::open(&place.client, echo(family), HELD, PAUSE, DEADLINE);
        (family, held.unwrap())
    });
    for (_, held) in &held {
        held.round(DEADLINE).unwrap();
    }
    happens();
    let ended = held.into_iter().flat_map(|(family, held)| {
        let ends = held.stop().into_iter();
        ends.map(move |end| (family, end))
    });
    let ended: Vec<_> = ended.collect();
    for name in NAMES {
        for family in Family::BOTH {
            let of = |(of, end): &&(Family, HeldConnection)| *of == family && end.server == name;
            let count = ended.iter().filter(of).count();
            assert!(count > HELD / 8, "{family}: {count} connections of {name}");
        }
    }
    ended
}

/// The new owner of the VIP leaves what it knows nothing of to its own host,
/// where its own server has its connections; those of the other are reset.
fn own_connections_live(mode: WantedMode) {
    let Some(ended) = moved_under_load(&by_turns(), mode) else {
        return;
    };
    for (family, end) in ended {
        assert_eq!(end.error.is_none(), end.server == "b", "{family} {end:?}");
    }
}

/// Where both choose alike and take up what is under way, all of them live.
fn all_connections_live(mode: WantedMode) {
    let Some(ended) = moved_under_load(SAMPLE, mode) else {
        return;
    };
    for (family, end) in ended {
        assert!(end.error.is_none(), "{family} {end:?}");
        assert!(end.exchanges > 10, "{family} {end:?}");
    }
}

/// When the owner of the VIP has died and the other is alone by its file, that
/// one's connections live, and clients of the dead one are told and come anew.
fn the_living_one_serves(mode: WantedMode) {
    let Some(place) = Place::new(SAMPLE, mode) else {
        return;
    };
    let of_a = |line: &&str| line.contains("192.0.2.11\"") || line.contains("::11\"");
    let alone: Vec<_> = SAMPLE.lines().filter(|line| !of_a(line)).collect();
    let ended = held_while(&place, || {
        place.bury_a(&alone.join("\n"));
        // Until the clients of the dead one have sent again what was lost.
        std::thread::sleep(Duration::from_secs(4));
        for family in Family::BOTH {
            let requests = || http_many(web(family), Request::Name, 20, DEADLINE);
            let names = place.client.run(|| requests().into_iter().collect());
            let names: BTreeSet<String> = names.unwrap();
            assert_eq!(names, BTreeSet::from(["b".to_owned()]), "{family}");
        }
    });
    for (family, end) in ended {
        let error = end.error.as_ref().map(std::io::Error::kind);
        let expected = (end.server == "a").then_some(ErrorKind::ConnectionReset);
        assert_eq!(error, expected, "{family} {end:?}");
    }
}

/// A datagram that was asked with.
#[derive(Debug)]
struct Asked {
    /// Who answered.
    answer: Option<String>,
    /// TTL and sender of each of its crossings.
    ways: Vec<(u8, usize)>,
}

/// Clients that ask again from the same port after the VIP has moved, and what
/// crossed then.
fn asked_again(text: &str, mode: WantedMode) -> Option<Vec<Asked>> {
    let place = Place::new(text, mode)?;
    let services = Family::BOTH.map(dns);
    let ports: Vec<_> = (0..8)
        .flat_map(|_| services.map(|to| (to, place.ask(to, 0, TTL).0)))
        .collect();
    place.move_vip(0, 1);
    // By turns this makes the choices of the new owner other ones.
    for to in services {
        place.ask(to, 0, TTL);
    }
    let asked = ports.into_iter().map(|(to, port)| {
        let tap = Tap::start(&place.switch);
        let (_, answer) = place.ask(to, port, TTL);
        let ways = of(&tap.stop(), port).collect();
        Asked { answer, ways }
    });
    Some(asked.collect())
}

/// A connection that the old owner of the VIP remembers goes by that, marks or
/// none: where the new one chooses otherwise, its packets circle. Not so where
/// both choose alike.
fn circles_where_two_remember(mode: WantedMode) {
    let Some(asked) = asked_again(&by_turns(), mode) else {
        return;
    };
    let circled = asked.iter().filter(|asked| asked.answer.is_none());
    let circled: Vec<_> = circled.collect();
    assert!(!circled.is_empty(), "{asked:?}");
    assert!(
        circled
            .iter()
            .all(|asked| asked.ways.len() == usize::from(TTL) - 1),
        "{circled:?}"
    );
    let asked = asked_again(SAMPLE, mode).unwrap_or_default();
    for asked in asked {
        let once = asked.answer.is_some() && asked.ways.len() < 2;
        assert!(once, "{asked:?}");
    }
}

/// TTL and sender of each crossing of a client's port.
fn of(crossings: &[Crossing], port: u16) -> impl Iterator<Item = (u8, usize)> {
    let own = crossings.iter().filter(move |it| it.port == port);
    own.map(|crossing| (crossing.ttl, crossing.from))
}

macro_rules! in_both_modes {
    ($($what:ident: $native:ident $packet:ident,)+) => {
        $(#[test]
        fn $native() {
            $what(WantedMode::Native);
        }

        #[test]
        fn $packet() {
            $what(WantedMode::Packet);
        })+
    };
}

in_both_modes! {
    circles_without_marks:
        native_without_marks_packets_circle packet_without_marks_packets_circle,
    serves_with_marks:
        native_with_marks_both_serve packet_with_marks_both_serve,
    own_connections_live:
        native_own_connections_live_when_the_vip_moves
        packet_own_connections_live_when_the_vip_moves,
    all_connections_live:
        native_all_connections_live_where_both_choose_alike
        packet_all_connections_live_where_both_choose_alike,
    the_living_one_serves:
        native_the_living_one_serves packet_the_living_one_serves,
    circles_where_two_remember:
        native_packets_circle_where_two_remember packet_packets_circle_where_two_remember,
}

/// An even one.
const TTL: u8 = 12;
/// Of what the client's kernel sends by itself.
const USUAL_TTL: u8 = 64;
const HELD: usize = 40;
const PAUSE: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_secs(10);
