//! What a change of a large configuration takes; see the README beside
//! `Cargo.toml`.
//!
//! ```text
//!  change/<size>/check          services to a checked configuration
//!  change/<size>/plan_all       all of it for a director that has none
//!  change/<size>/plan_weight    another weight of one real server
//!  change/<size>/adopt_all      what a worker does about the first of these
//!  change/<size>/adopt_weight   and about the second
//! ```
//!
//! `<size>` is services × real servers of each.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lvs_benches::change::Size;
use lvs_core::{Config, Line, Planner, Shard, ShardId};

fn change(criterion: &mut Criterion) {
    for size in Size::ALL {
        let mut group = criterion.benchmark_group(format!("change/{size}"));
        let count = u64::from(size.services * size.real_servers);
        group
            .throughput(Throughput::Elements(count))
            .sample_size(20);
        let (limits, network) = (size.limits(), size.network());
        let (config, lighter) = (size.config(None), size.config(Some(3)));
        let nothing = Config::new([]).expect("nothing is wrong with nothing");

        group.bench_function("check", |bencher| {
            let services = || size.services(None);
            bencher.iter_batched(services, Config::new, BatchSize::PerIteration);
        });

        let planner = |config| {
            let mut planner = Planner::new(limits);
            let snapshot = planner.plan(config, &network).expect("it fits");
            (planner, snapshot)
        };
        for (what, before, after) in [("all", &nothing, &config), ("weight", &config, &lighter)] {
            group.bench_function(format!("plan_{what}"), |bencher| {
                bencher.iter_batched(
                    || planner(before),
                    |(mut planner, before)| (planner.plan(after, &network), planner, before),
                    BatchSize::PerIteration,
                );
            });
            let mut memory = vec![Line::default(); Shard::memory_for(1)];
            group.bench_function(format!("adopt_{what}"), |bencher| {
                bencher.iter_custom(|iterations| {
                    let run = |_| {
                        let (mut planner, before) = planner(before);
                        let after = planner.plan(after, &network).expect("it fits");
                        let shard = Shard::new(ShardId(0), &mut memory, &limits, before);
                        let mut shard = shard.expect("a shard for one connection");
                        let began = std::time::Instant::now();
                        let old = shard.adopt(after);
                        let took = began.elapsed();
                        drop(old);
                        took
                    };
                    (0..iterations).map(run).sum()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, change);
criterion_main!(benches);
