//! Walks every TCP connection recorded from Linux IPVS through the state
//! tables: the same segments must end in the same state, with the same time
//! left and the same counts of active and inactive connections.
//!
//! They are in `recordings/tcp_states.txt`, which says how they are
//! written; this file plays them without a director. What little of a director
//! a state needs is here: which segment opens a connection, and that a real
//! server's segments are seen only when it is masqueraded.

use lvs_core::config::Timeouts;
use lvs_core::conn::tcp::{self, Event, TcpState, View};

#[test]
fn recorded_connections_end_in_the_recorded_states() {
    let (mut scenarios, mut connections, mut skipped) = (0, 0, 0);
    let mut scenario = Scenario::default();
    for line in RECORDING.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        } else if let Some(named) = line.strip_prefix("skipped ") {
            println!("skipped {named}");
            skipped += 1;
        } else if let Some(named) = line.strip_prefix("scenario ") {
            scenario = Scenario::named(named);
            scenarios += 1;
        } else if let Some(counts) = line.strip_prefix("counts ") {
            let seen = format!("{} {}", scenario.active, scenario.inactive);
            assert_eq!(seen, counts, "{}", scenario.name);
        } else {
            scenario.play(line);
            connections += 1;
        }
    }
    println!("played {connections} connections of {scenarios} scenarios, skipped {skipped}");
    assert_eq!((scenarios, connections, skipped), (14, 851, 2));
}

/// The scenario being played.
#[derive(Default)]
struct Scenario {
    name: &'static str,
    masquerade: bool,
    sloppy: bool,
    active: u32,
    inactive: u32,
}

impl Scenario {
    fn named(line: &'static str) -> Self {
        let mut words = line.split(' ');
        Self {
            name: words.next().unwrap(),
            masquerade: words.next() == Some("masquerade"),
            sloppy: words.next() == Some("sloppy"),
            active: 0,
            inactive: 0,
        }
    }

    /// Plays one connection and compares its end.
    fn play(&mut self, line: &str) {
        let (segments, recorded) = line.split_once(" = ").unwrap();
        let mut state = None;
        for segment in segments.split(' ') {
            let (side, flags) = segment.split_at(1);
            let event = Event::of(flags.chars().map(bit).sum());
            let view = self.view(side);
            if state.is_some() || self.opens(event, view) {
                state = Some(tcp::next(state.unwrap_or_default(), event, view));
            }
        }
        match state {
            Some(state) if state.is_active() => self.active += 1,
            Some(_) => self.inactive += 1,
            None => {}
        }
        assert_eq!(shown(state), recorded, "{}: {line}", self.name);
    }

    fn view(&self, side: &str) -> View {
        match side {
            "r" => View::Output,
            _ if self.masquerade => View::Input,
            _ => View::InputOnly,
        }
    }

    /// Whether a segment without a connection makes one.
    fn opens(&self, event: Event, view: View) -> bool {
        let suits = match event {
            Event::Syn => true,
            Event::Reset => false,
            _ => self.sloppy,
        };
        suits && view != View::Output
    }
}

/// A connection as a listing shows it half a second after its last packet.
fn shown(state: Option<TcpState>) -> String {
    let Some(state) = state else {
        return "-".into();
    };
    let left = tcp::timeout(state, &Timeouts::default()).as_secs() - 1;
    format!("{} {:02}:{:02}", state.name(), left / 60, left % 60)
}

fn bit(flag: char) -> u8 {
    match flag {
        'F' => 0x01,
        'S' => 0x02,
        'R' => 0x04,
        'A' => 0x10,
        'N' => 0,
        other => panic!("flag {other}"),
    }
}

const RECORDING: &str = include_str!("recordings/tcp_states.txt");
