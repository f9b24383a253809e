//! One scenario: what there is, what happens, and what must come of it.

use std::time::Duration;

use lvs_core::config::{Classifier, MarkRule};
use lvs_core::packet::Seed;
use lvs_core::steer::shard_of;
use lvs_core::{Config, Draft, DropReason, Limits, Service, Setting, Settings, Verdict};

use crate::common::bed::{self, Bed};
use crate::common::frame::Frame;
use crate::common::place::Wiring;
use crate::common::read::read;

/// A named row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    name: String,
    services: Vec<Service>,
    settings: Settings,
    marks: Vec<MarkRule>,
    wiring: Wiring,
    shards: usize,
    capacity: usize,
    steps: Vec<Step>,
    /// The frame taken whose fate is not said yet.
    taken: Option<(usize, Frame, bool)>,
}

#[derive(Clone, Debug)]
enum Step {
    /// At this shard, perhaps from another one.
    Takes(usize, Frame, Want, bool),
    Waits(Duration),
    Becomes(Vec<Service>),
    Rewires(Wiring),
    Remembers(usize),
    /// What leaves a shard in the stead of fragments, in order.
    Releases(usize, Vec<(Verdict, Frame)>),
    Counts(DropReason, u64),
}

/// What must become of a frame.
#[derive(Clone, Debug)]
enum Want {
    Sends(Frame),
    Host(Frame),
    Delivers(Frame),
    Drops(DropReason),
    HandsTo(usize, Frame),
    Holds,
    Cuts(Frame, u16),
}

/// A scenario of this name, with no services yet.
pub(crate) fn scenario(name: impl Into<String>) -> Scenario {
    Scenario {
        name: name.into(),
        services: Vec::new(),
        settings: Settings::default(),
        marks: Vec::new(),
        wiring: Wiring::default(),
        shards: 1,
        capacity: 16,
        steps: Vec::new(),
        taken: None,
    }
}

/// The shard of two that owns a client's masqueraded connections.
pub(crate) fn owner(client: std::net::SocketAddr) -> usize {
    let seed = Seed::new(Limits::default().seed);
    shard_of(client.ip(), client.port(), seed, 2).index()
}

impl Scenario {
    /// With one more service.
    pub(crate) fn with(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// With one more rule of what gets a mark.
    pub(crate) fn marked(mut self, rule: MarkRule) -> Self {
        self.marks.push(rule);
        self
    }

    /// With another value of a setting.
    pub(crate) fn set(mut self, setting: Setting, value: i32) -> Self {
        let set = self.settings.set(setting, value);
        set.expect("a value it takes");
        self
    }

    /// On a network other than the usual one.
    pub(crate) fn wired(mut self, change: impl FnOnce(&mut Wiring)) -> Self {
        change(&mut self.wiring);
        self
    }

    /// With two shards instead of one.
    pub(crate) fn on_two_shards(mut self) -> Self {
        self.shards = 2;
        self
    }

    /// With room for so many connections, or a few more.
    pub(crate) fn remembering(mut self, connections: usize) -> Self {
        self.capacity = connections;
        self
    }

    /// The director takes a frame. What becomes of it must be said next.
    pub(crate) fn takes(self, frame: Frame) -> Self {
        self.takes_at(0, frame)
    }

    /// The same at a shard.
    pub(crate) fn takes_at(mut self, shard: usize, frame: Frame) -> Self {
        assert!(
            self.taken.is_none(),
            "{}: a frame without a fate",
            self.name
        );
        self.taken = Some((shard, frame, false));
        self
    }

    /// The same from another shard.
    pub(crate) fn takes_handed(self, shard: usize, frame: Frame) -> Self {
        let mut taken = self.takes_at(shard, frame);
        taken.taken = taken.taken.map(|(shard, frame, _)| (shard, frame, true));
        taken
    }

    /// It is sent on, so.
    pub(crate) fn sends(self, frame: Frame) -> Self {
        self.wants(|_| Want::Sends(frame))
    }

    /// It is the host's, as it came.
    pub(crate) fn host(self) -> Self {
        self.wants(|taken| Want::Host(taken.clone()))
    }

    /// It is the host's, so.
    pub(crate) fn host_gets(self, frame: Frame) -> Self {
        self.wants(|_| Want::Host(frame))
    }

    /// The host gets it, so, as a real server.
    pub(crate) fn delivers(self, frame: Frame) -> Self {
        self.wants(|_| Want::Delivers(frame))
    }

    /// It is dropped.
    pub(crate) fn drops_it(self, reason: DropReason) -> Self {
        self.wants(|_| Want::Drops(reason))
    }

    /// It is a fragment, and held.
    pub(crate) fn holds(self) -> Self {
        self.wants(|_| Want::Holds)
    }

    /// It is sent on, so, but in pieces of up to `mtu` bytes.
    pub(crate) fn cuts(self, frame: Frame, mtu: u16) -> Self {
        self.wants(|_| Want::Cuts(frame, mtu))
    }

    /// These frames are sent in the stead of fragments held by shard 0, and no
    /// others.
    pub(crate) fn releases(self, frames: impl IntoIterator<Item = Frame>) -> Self {
        self.releases_at(0, frames)
    }

    /// The same, to a shard that owns their datagram's connection, which holds
    /// them. What becomes of the datagram there must be said next.
    pub(crate) fn hands_on(self, from: usize, to: usize, frames: &[Frame]) -> Self {
        let id = lvs_core::ShardId(to as u8);
        let handed = |frame: &Frame| (Verdict::Handoff(id), frame.clone());
        let released = frames.iter().map(handed).collect();
        let released = self.then(Step::Releases(from, released));
        let handed = |mut scenario: Self, frame: &Frame| {
            scenario
                .steps
                .push(Step::Takes(to, frame.clone(), Want::Holds, true));
            scenario
        };
        frames.iter().fold(released, handed)
    }

    /// These frames are sent in the stead of fragments held by a shard.
    pub(crate) fn releases_at(self, shard: usize, frames: impl IntoIterator<Item = Frame>) -> Self {
        let sent = |frame: Frame| (Verdict::Transmit(frame.port), frame);
        let frames = frames.into_iter().map(sent).collect();
        self.then(Step::Releases(shard, frames))
    }

    /// So many packets were dropped for this reason by shard 0.
    pub(crate) fn counts(self, reason: DropReason, dropped: u64) -> Self {
        self.then(Step::Counts(reason, dropped))
    }

    /// These are the host's, and no others are released.
    pub(crate) fn releases_to_host(self, frames: impl IntoIterator<Item = Frame>) -> Self {
        let frames = frames.into_iter().map(|frame| (Verdict::Host, frame));
        self.then(Step::Releases(0, frames.collect()))
    }

    /// It is given to another shard, as it came, which then takes it. What
    /// becomes of it there must be said next.
    pub(crate) fn hands_to(self, shard: usize) -> Self {
        let frame = self.taken.as_ref().expect("a frame was taken").1.clone();
        let mut handed = self.wants(|taken| Want::HandsTo(shard, taken.clone()));
        handed.taken = Some((shard, frame, true));
        handed
    }

    /// The same where the frame is not as it came.
    pub(crate) fn hands_completed(self, shard: usize, frame: Frame) -> Self {
        let handed = frame.clone();
        let mut taken = self.wants(|_| Want::HandsTo(shard, frame));
        taken.taken = Some((shard, handed, true));
        taken
    }

    fn wants(mut self, want: impl FnOnce(&Frame) -> Want) -> Self {
        let (shard, frame, handed) = self.taken.take().expect("a frame was taken");
        let want = want(&frame);
        self.steps.push(Step::Takes(shard, frame, want, handed));
        self
    }

    /// Time passes.
    pub(crate) fn seconds(self, seconds: u64) -> Self {
        self.then(Step::Waits(Duration::from_secs(seconds)))
    }

    /// Less of it.
    pub(crate) fn milliseconds(self, milliseconds: u64) -> Self {
        self.then(Step::Waits(Duration::from_millis(milliseconds)))
    }

    /// The services become these.
    pub(crate) fn becomes(self, services: impl IntoIterator<Item = Service>) -> Self {
        self.then(Step::Becomes(services.into_iter().collect()))
    }

    /// The network becomes another.
    pub(crate) fn rewired(self, change: impl FnOnce(&mut Wiring)) -> Self {
        let mut wiring = self.wiring.clone();
        change(&mut wiring);
        self.then(Step::Rewires(wiring))
    }

    /// So many connections are remembered now.
    pub(crate) fn remembers(self, connections: usize) -> Self {
        self.then(Step::Remembers(connections))
    }

    fn then(mut self, step: Step) -> Self {
        assert!(
            self.taken.is_none(),
            "{}: a frame without a fate",
            self.name
        );
        self.steps.push(step);
        self
    }

    /// The same scenario several times in a row, as `steps` makes each.
    pub(crate) fn repeated(self, times: u16, steps: impl Fn(Self, u16) -> Self) -> Self {
        (0..times).fold(self, steps)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The reasons it drops frames for.
    pub(crate) fn drops(&self) -> Vec<DropReason> {
        let drop = |step: &Step| match step {
            Step::Takes(_, _, Want::Drops(reason), _) | Step::Counts(reason, 1..) => Some(*reason),
            _ => None,
        };
        self.steps.iter().filter_map(drop).collect()
    }

    /// Plays it; what went otherwise as the error. Its shards adopt another
    /// configuration or network at once, or bit by bit.
    pub(crate) fn play(&self, bit_by_bit: bool) -> Result<(), String> {
        assert!(
            self.taken.is_none(),
            "{}: a frame without a fate",
            self.name
        );
        let mut memory = bed::memory(self.shards, self.capacity);
        let draft = Draft {
            services: self.services.clone(),
            settings: self.settings,
            classifier: Classifier {
                rules: self.marks.clone(),
            },
            ..Draft::default()
        };
        let config = Config::checked(draft).expect("a valid configuration");
        let network = self.wiring.network();
        let mut bed = Bed::with(&mut memory, config, network, Limits::default());
        bed.bit_by_bit = bit_by_bit;
        for (number, step) in self.steps.iter().enumerate() {
            play_step(&mut bed, step)
                .map_err(|wrong| format!("{}, step {}: {wrong}", self.name, number + 1))?;
        }
        for shard in &bed.shards {
            let stats = shard.stats();
            let counted = stats.transmitted + stats.host + stats.handed_off + stats.all_dropped();
            if counted + stats.held != stats.packets {
                return Err(format!("{}: a packet with no verdict, or two", self.name));
            }
        }
        Ok(())
    }
}

fn play_step(bed: &mut Bed<'_>, step: &Step) -> Result<(), String> {
    match step {
        Step::Takes(shard, frame, want, handed) => {
            bed.handed_over = *handed;
            play_frame(bed, *shard, frame, want)?;
        }
        Step::Counts(reason, wanted) => {
            let dropped = bed.shards[0].stats().dropped(*reason);
            if dropped != *wanted {
                return Err(format!("{dropped} dropped for {}", reason.name()));
            }
        }
        Step::Waits(time) => bed.wait(*time),
        Step::Becomes(services) => bed.configure(services),
        Step::Rewires(wiring) => bed.rewire(wiring.network()),
        Step::Releases(shard, wanted) => check_released(bed, *shard, wanted)?,
        Step::Remembers(wanted) => {
            let remembered: usize = bed.shards.iter().map(|s| s.connections()).sum();
            if remembered != *wanted {
                return Err(format!("{remembered} connections, not {wanted}"));
            }
        }
    }
    Ok(())
}

fn play_frame(bed: &mut Bed<'_>, shard: usize, frame: &Frame, want: &Want) -> Result<(), String> {
    let taken = bed.take(shard, frame);
    let (verdict, bytes) = match want {
        Want::Sends(out) => (Verdict::Transmit(out.port), Some(out.bytes())),
        Want::Host(out) => (Verdict::Host, Some(out.bytes())),
        Want::Delivers(out) => (Verdict::Deliver, Some(out.bytes())),
        Want::Drops(reason) => (Verdict::Drop(*reason), None),
        Want::Holds => (Verdict::Held, None),
        Want::Cuts(out, mtu) => (Verdict::Cut(out.port, *mtu), Some(out.bytes())),
        Want::HandsTo(shard, out) => {
            let id = lvs_core::ShardId(*shard as u8);
            (Verdict::Handoff(id), Some(out.bytes()))
        }
    };
    if taken.verdict != verdict {
        return Err(format!(
            "{:?}, not {verdict:?}\n  of {}",
            taken.verdict,
            told(&frame.bytes())
        ));
    }
    if bytes.as_ref().is_some_and(|bytes| *bytes != taken.bytes) {
        return Err(format!(
            "not the frame wanted\n  got    {}\n  wanted {}\n  {:02x?}\n  {:02x?}",
            told(&taken.bytes),
            bytes.as_deref().map_or_else(String::new, told),
            taken.bytes,
            bytes.as_deref().unwrap_or_default(),
        ));
    }
    // What came in right must go out right, by the slow reading as well.
    match (want, read(&frame.bytes()), read(&taken.bytes)) {
        (Want::Sends(_) | Want::Delivers(_), Ok(_), Err(wrong)) => Err(wrong),
        _ => Ok(()),
    }
}

fn check_released(
    bed: &mut Bed<'_>,
    shard: usize,
    wanted: &[(Verdict, Frame)],
) -> Result<(), String> {
    let got = bed.released(shard);
    let in_words = |verdict: &Verdict, bytes: &[u8]| format!("{verdict:?} of {}", told(bytes));
    let same = got.len() == wanted.len()
        && got.iter().zip(wanted).all(|(taken, (verdict, frame))| {
            taken.verdict == *verdict && taken.bytes == frame.bytes()
        });
    if same {
        return Ok(());
    }
    let got: Vec<_> = got
        .iter()
        .map(|taken| in_words(&taken.verdict, &taken.bytes))
        .collect();
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(verdict, frame)| in_words(verdict, &frame.bytes()))
        .collect();
    Err(format!("released {got:#?}\n  wanted {wanted:#?}"))
}

/// A frame in words, or why it has none.
fn told(bytes: &[u8]) -> String {
    match read(bytes) {
        Ok(seen) => seen.to_string(),
        Err(wrong) => format!("({wrong}) {bytes:02x?}"),
    }
}
