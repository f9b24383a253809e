//! The core's hot path by packet class, in nanoseconds of processor time per
//! packet; see the README beside `Cargo.toml`.
//!
//! ```text
//!  floor/<headers>/{restore,touch}                no director at all
//!  hit/<class>/<flows>/{lvs,naive}                packets of known connections
//!  new/<class>/<flows>/{lvs,naive}                first packets of connections
//!  setup/<scheduler>/<real servers>/<shards>/lvs  the same by what is chosen from
//!  end/<class>/<flows>/lvs                        connections whose time has come
//! ```

mod cpu_time;

use std::time::Duration;

use af_xdp::{HugePages, Region};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use lvs_benches::class::{Class, FLOWS, Family, Headers, Size, Transport, Way};
use lvs_benches::director::{Director, Lvs, Nothing, Touch};
use lvs_benches::naive::Naive;
use lvs_benches::run::Run;
use lvs_benches::setup::{SETUP_FLOWS, Setup};
use lvs_core::{Line, Shard};

use cpu_time::CpuTime;

/// Every class packets of known connections are measured in.
fn hit_classes() -> Vec<Class> {
    let ways = [
        Way::DirectRoute,
        Way::Tunnel,
        Way::MasqueradeRequest,
        Way::MasqueradeReply,
    ];
    let families = [Family::V4, Family::V6];
    let mut classes: Vec<_> = ways
        .iter()
        .flat_map(|way| families.map(|family| Class::short_tcp(*way, family)))
        .collect();
    let other = |way, transport, size| Class {
        way,
        family: Family::V4,
        transport,
        size,
    };
    classes.push(other(Way::MasqueradeRequest, Transport::Udp, Size::Short));
    classes.push(other(Way::DirectRoute, Transport::Tcp, Size::Mtu));
    classes.push(other(Way::MasqueradeRequest, Transport::Tcp, Size::Mtu));
    classes
}

/// Every class connections begin in.
fn new_classes() -> Vec<Class> {
    let begins = |class: &Class| class.way != Way::MasqueradeReply && class.size == Size::Short;
    hit_classes().into_iter().filter(begins).collect()
}

fn floors(criterion: &mut Criterion<CpuTime>) {
    let short = |family| Class::short_tcp(Way::DirectRoute, family);
    let mtu = Class {
        size: Size::Mtu,
        ..short(Family::V4)
    };
    for class in [short(Family::V4), short(Family::V6), mtu] {
        let mut group = criterion.benchmark_group(format!("floor/{}", Headers(class)));
        measure(&mut group, "restore", || Run::frames_only(class, Nothing));
        measure(&mut group, "touch", || Run::frames_only(class, Touch));
    }
}

fn hits(criterion: &mut Criterion<CpuTime>) {
    let mut memory = memory();
    for (class, (name, flows)) in product(hit_classes()) {
        let lines = memory_for(&mut memory, flows);
        let mut group = criterion.benchmark_group(format!("hit/{class}/{name}"));
        measure(&mut group, "lvs", || {
            Run::established(class, flows, Lvs::new(class, lines))
        });
        measure(&mut group, "naive", || {
            Run::established(class, flows, Naive::new(class, flows))
        });
    }
}

fn beginnings(criterion: &mut Criterion<CpuTime>) {
    let mut memory = memory();
    for (class, (name, flows)) in product(new_classes()) {
        let lines = memory_for(&mut memory, flows);
        let mut group = criterion.benchmark_group(format!("new/{class}/{name}"));
        measure(&mut group, "lvs", || {
            Run::beginning(class, flows, Lvs::new(class, lines))
        });
        measure(&mut group, "naive", || {
            Run::beginning(class, flows, Naive::new(class, flows))
        });
    }
}

fn setups(criterion: &mut Criterion<CpuTime>) {
    let mut memory = memory();
    for setup in Setup::all() {
        let lines = memory_for(&mut memory, SETUP_FLOWS);
        let mut group = criterion.benchmark_group(format!("setup/{setup}"));
        measure(&mut group, "lvs", || {
            let lvs = Lvs::with_plan(setup.plan(), lines);
            Run::beginning(Setup::class(), SETUP_FLOWS, lvs)
        });
    }
}

fn endings(criterion: &mut Criterion<CpuTime>) {
    let mut memory = memory();
    for way in [Way::DirectRoute, Way::MasqueradeRequest] {
        for (name, flows) in FLOWS {
            let class = Class::short_tcp(way, Family::V4);
            let lines = memory_for(&mut memory, flows);
            let mut group = criterion.benchmark_group(format!("end/{class}/{name}"));
            measure_by(
                &mut group,
                "lvs",
                || Run::beginning(class, flows, Lvs::new(class, lines)),
                Run::time_endings,
            );
        }
    }
}

/// Times packets of a run, which is only made if it is asked for.
fn measure<D: Director>(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    name: &str,
    make: impl FnOnce() -> Run<D>,
) {
    measure_by(group, name, make, Run::time);
}

/// Times a run by `time`.
fn measure_by<D: Director>(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    name: &str,
    make: impl FnOnce() -> Run<D>,
    time: impl Fn(&mut Run<D>, u64) -> Duration,
) {
    let (mut make, mut run) = (Some(make), None);
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |bencher| {
        let run = run.get_or_insert_with(|| make.take().expect("made once")());
        bencher.iter_custom(|amount| time(run, amount));
    });
}

/// All classes, each with every number of flows.
fn product(classes: Vec<Class>) -> impl Iterator<Item = (Class, (&'static str, u32))> {
    classes
        .into_iter()
        .flat_map(|class| FLOWS.map(|flows| (class, flows)))
}

/// Memory for the largest table, used by one after the other.
fn memory() -> Region {
    let most = FLOWS.iter().map(|(_, flows)| *flows).max().unwrap_or(0);
    let bytes = Shard::memory_for(most as usize) * size_of::<Line>();
    Region::new(bytes, HugePages::Prefer).expect("200 MB for a table")
}

/// As much of it as a table for `flows` takes.
fn memory_for(memory: &mut Region, flows: u32) -> &mut [Line] {
    &mut memory.lines_mut()[..Shard::memory_for(flows as usize)]
}

fn criterion() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime)
}

criterion_group! {
    name = hot_path;
    config = criterion();
    targets = floors, hits, beginnings, setups, endings
}
criterion_main!(hot_path);
