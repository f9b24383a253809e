//! Datagrams in any order, and more of them than there is room for.

use super::*;
use crate::packet::Addresses;
use core::time::Duration;

/// As little memory as there may be: 192 blocks, 48 for a source.
fn least() -> Datagrams {
    let limits = FragmentLimits {
        memory: 0,
        ..FragmentLimits::LINUX
    };
    Datagrams::new(Seed::new(7), &limits, 1)
}

fn key(source: u8, identification: u32) -> DatagramKey {
    DatagramKey {
        addresses: Addresses::V4 {
            source: [198, 51, 100, source].into(),
            destination: [192, 0, 2, 10].into(),
        },
        protocol: 17,
        identification,
    }
}

/// An Ethernet and an IPv4 header.
const HEADERS: usize = 14 + 20;

fn part(key: DatagramKey, (offset, end): (u32, u32), more: bool) -> Fragment {
    Fragment {
        datagram: key,
        offset,
        end,
        more,
        data_at: HEADERS as u16,
        l3: 14,
        frame: HEADERS as u32 + end - offset,
        length: 20 + end - offset,
        dont_fragment: false,
        ecn: 0,
        flow: None,
    }
}

/// The byte of every datagram at an offset.
const fn byte(at: u32) -> u8 {
    (at * 7 % 253) as u8
}

fn frame(fragment: &Fragment) -> Vec<u8> {
    let mut frame = alloc::vec![0; HEADERS];
    frame[14] = 0x45;
    frame.extend((fragment.offset..fragment.end).map(byte));
    frame
}

fn seconds(seconds: u64) -> Instant {
    Instant::from_nanoseconds(seconds * 1_000_000_000)
}

/// A bench: datagrams, what was counted, and a clock.
struct Bench {
    datagrams: Datagrams,
    stats: Stats,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self {
            datagrams: least(),
            stats: Stats::new(1),
            now: seconds(1),
        }
    }

    fn hold(&mut self, fragment: &Fragment) -> Result<(), DropReason> {
        let bytes = frame(fragment);
        let (head, tail) = bytes.split_at(HEADERS);
        let parts: [&[u8]; 2] = [head, tail];
        let from = (Port(0), &parts[..]);
        self.datagrams
            .hold(self.now, fragment, from, &mut self.stats)
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.stats.dropped(reason)
    }

    /// The data of the first datagram that is whole.
    fn next_whole(&mut self) -> Option<Vec<u8>> {
        let (slot, why) = self.datagrams.first_ready()?;
        assert_eq!(why, Ready::Whole);
        let mut scratch = alloc::vec![0xa5; SCRATCH];
        let laid = self.datagrams.lay(slot, &mut scratch).unwrap();
        let data = scratch[laid.range][HEADERS..].to_vec();
        self.datagrams.finish(slot);
        Some(data)
    }

    /// Lets everything go, and looks that nothing is left.
    fn empty(mut self) {
        self.now = seconds(1000);
        let stats = &mut self.stats;
        self.datagrams.expire(self.now, u32::MAX, stats);
        while let Some((slot, _)) = self.datagrams.first_ready() {
            self.datagrams.finish(slot);
        }
        let datagrams = &self.datagrams;
        assert_eq!(datagrams.held(), 0);
        assert_eq!(datagrams.blocks.left(), 192);
        assert!(datagrams.sources.iter().all(|source| source.blocks == 0));
        assert!(datagrams.buckets.iter().all(|bucket| *bucket == NONE));
        let next = |at: &u32| Some(datagrams.slot(*at)?.chain);
        let spare = core::iter::successors(Some(datagrams.spare), next);
        assert_eq!(spare.take_while(|at| *at != NONE).count(), 192);
    }
}

/// Choices that are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % bound
    }
}

#[test]
fn parts_in_any_order_make_the_same_whole() {
    for seed in 0..300 {
        let (mut bench, mut chance) = (Bench::new(), Chance(seed));
        let length = 100 + chance.below(9000);
        let mut ends = alloc::vec![0];
        while ends[ends.len() - 1] < length {
            let step = 8 * (1 + chance.below(200));
            ends.push((ends[ends.len() - 1] + step).min(length));
        }
        let cuts = ends.windows(2).map(|ends| (ends[0], ends[1]));
        let mut parts: Vec<_> = cuts
            .map(|(start, end)| part(key(1, 5), (start, end), end < length))
            .collect();
        for at in (1..parts.len()).rev() {
            parts.swap(at, chance.below(at as u32 + 1) as usize);
        }
        let (last, before) = parts.split_last().unwrap();
        for fragment in before {
            assert_eq!(bench.hold(fragment), Ok(()), "seed {seed}");
            assert!(!bench.datagrams.is_ready(), "seed {seed}: not whole yet");
        }
        bench.hold(last).unwrap();
        let whole: Vec<u8> = (0..length).map(byte).collect();
        assert_eq!(bench.next_whole(), Some(whole), "seed {seed}");
        bench.empty();
    }
}

/// What becomes of a fragment, told by the set of all bytes that are there.
fn naive(there: &[bool], end: Option<u32>, fragment: &Fragment) -> Result<(), DropReason> {
    let (from, to) = (fragment.offset as usize, fragment.end as usize);
    let least = there.iter().rposition(|is| *is).map_or(0, |last| last + 1);
    let fits = match end {
        Some(end) if fragment.more => fragment.end <= end,
        Some(end) => fragment.end == end,
        None => fragment.more || to >= least,
    };
    let known = there[from..to].iter().filter(|is| **is).count();
    match known {
        _ if !fits => Err(DropReason::FragmentOverlap),
        0 => Ok(()),
        known if known == to - from => Err(DropReason::FragmentDuplicate),
        _ => Err(DropReason::FragmentOverlap),
    }
}

#[test]
fn overlaps_and_duplicates_are_told_apart() {
    for seed in 0..400 {
        let (mut bench, mut chance) = (Bench::new(), Chance(seed));
        let (mut there, mut end) = (alloc::vec![false; 400], None);
        for _ in 0..40 {
            let offset = 8 * chance.below(30);
            let to = offset + 8 * (1 + chance.below(6));
            let fragment = part(key(1, 5), (offset, to), chance.below(12) > 0);
            let wanted = naive(&there, end, &fragment);
            assert_eq!(bench.hold(&fragment), wanted, "seed {seed}: {fragment:?}");
            match wanted {
                Ok(()) => {
                    there[offset as usize..to as usize].fill(true);
                    end = if fragment.more { end } else { Some(to) };
                }
                Err(DropReason::FragmentOverlap) => {
                    there.fill(false);
                    end = None;
                }
                Err(_) => {}
            }
            if let Some(data) = bench.next_whole() {
                assert_eq!(Some(data.len() as u32), end);
                there.fill(false);
                end = None;
            }
        }
        bench.empty();
    }
}

#[test]
fn the_oldest_gives_way_when_all_is_full() {
    let mut bench = Bench::new();
    // Eight sources with 24 each fill the memory.
    for number in 0..192 {
        let (source, id) = ((number % 8) as u8, number);
        bench.hold(&part(key(source, id), (0, 64), true)).unwrap();
    }
    assert_eq!(bench.dropped(DropReason::FragmentMemory), 0);
    bench.hold(&part(key(200, 1), (0, 64), true)).unwrap();
    assert_eq!(bench.dropped(DropReason::FragmentMemory), 1);
    let known = |bench: &Bench, source, id| bench.datagrams.whose(bench.now, &key(source, id));
    assert_eq!(known(&bench, 0, 0), None, "it was the oldest");
    assert_eq!(known(&bench, 1, 1), Some(Whose::Unknown));
    assert_eq!(bench.stats.given_up, 1);
    bench.empty();
}

#[test]
fn a_source_harms_itself_alone() {
    let mut bench = Bench::new();
    bench.hold(&part(key(1, 1), (64, 128), false)).unwrap();
    for id in 0..1000 {
        bench.hold(&part(key(2, id), (0, 2040), true)).unwrap();
    }
    assert!(bench.dropped(DropReason::FragmentShare) > 900);
    assert_eq!(bench.dropped(DropReason::FragmentMemory), 0);
    bench.hold(&part(key(1, 1), (0, 64), true)).unwrap();
    assert!(bench.next_whole().is_some());
    bench.empty();
}

#[test]
fn a_datagram_larger_than_a_share_gives_itself_up() {
    let mut bench = Bench::new();
    let outcomes: Vec<_> = (0..60)
        .map(|n| bench.hold(&part(key(1, 1), (n * 8, n * 8 + 8), true)))
        .collect();
    assert_eq!(outcomes.iter().filter(|held| held.is_ok()).count(), 59);
    assert_eq!(outcomes[48], Err(DropReason::FragmentShare));
    bench.empty();
}

#[test]
fn time_is_counted_from_the_first_to_come() {
    let mut bench = Bench::new();
    bench.hold(&part(key(1, 1), (0, 64), true)).unwrap();
    bench.now = seconds(20);
    bench.hold(&part(key(1, 1), (64, 128), true)).unwrap();
    bench.now = bench.now + Duration::from_secs(10);
    let stats = &mut bench.stats;
    bench.datagrams.expire(bench.now, 10, stats);
    assert_eq!(bench.datagrams.held(), 2);
    bench.now = bench.now + Duration::from_secs(2);
    bench.datagrams.expire(bench.now, 10, stats);
    assert_eq!(bench.datagrams.held(), 0);
    assert_eq!(
        (stats.dropped(DropReason::FragmentTimeout), stats.given_up),
        (1, 2)
    );
    bench.empty();
}

#[test]
fn a_budget_bounds_what_is_given_up_at_once() {
    let mut bench = Bench::new();
    for id in 0..10 {
        bench.hold(&part(key(1, id), (0, 64), true)).unwrap();
    }
    bench.now = seconds(100);
    for left in [7, 4, 1, 0] {
        bench.datagrams.expire(bench.now, 3, &mut bench.stats);
        assert_eq!(bench.datagrams.held(), left);
    }
    bench.empty();
}

#[test]
fn what_is_the_hosts_is_known_until_its_time() {
    let mut bench = Bench::new();
    bench.hold(&part(key(1, 1), (64, 128), false)).unwrap();
    let (now, stats) = (bench.now, &mut bench.stats);
    bench.datagrams.tell(now, &key(1, 1), Whose::Hosts, stats);
    let (slot, why) = bench.datagrams.first_ready().unwrap();
    assert_eq!((why, bench.datagrams.count_of(slot)), (Ready::Hosts, 1));
    assert_eq!(bench.datagrams.finish(slot), 1);
    let whose = |bench: &Bench, at| bench.datagrams.whose(seconds(at), &key(1, 1));
    assert_eq!(whose(&bench, 30), Some(Whose::Hosts));
    assert_eq!(whose(&bench, 40), None);
    bench.empty();
}

#[test]
fn a_number_used_again_leaves_what_is_ready_alone() {
    let mut bench = Bench::new();
    bench.hold(&part(key(1, 1), (64, 128), false)).unwrap();
    let (now, stats) = (bench.now, &mut bench.stats);
    bench.datagrams.tell(now, &key(1, 1), Whose::Hosts, stats);
    let (ready, _) = bench.datagrams.first_ready().unwrap();
    // Nobody has fetched it when a service's datagram comes by that number.
    bench
        .datagrams
        .tell(now, &key(1, 1), Whose::Services, stats);
    bench.hold(&part(key(1, 1), (0, 64), true)).unwrap();
    bench.hold(&part(key(1, 1), (64, 72), false)).unwrap();
    assert_eq!(bench.datagrams.first_ready(), Some((ready, Ready::Hosts)));
    assert_eq!(bench.datagrams.finish(ready), 1);
    assert_eq!(bench.next_whole().map(|data| data.len()), Some(72));
    bench.empty();
}
