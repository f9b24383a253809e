//! How evenly each scheduler spreads a thousand conversations.

use std::fmt::Write as _;

use lvs_core::{Protocol, RealServer, Scheduler, Service};

use crate::common::bed;
use crate::common::place::V4;
use crate::world::World;

/// How many clients the real servers 11, 12 and 13 of weights 1, 2 and 3 get of
/// a thousand conversations that begin and stay; and how many of a thousand
/// more, after all at 13 have closed. One row a scheduler and number of shards.
const TABLE: &str = "
rr    1  [ 333,  333,  334]  [ 333,  334,  333]
rr    4  [ 334,  333,  333]  [ 332,  333,  335]
wrr   1  [ 167,  333,  500]  [ 166,  334,  500]
wrr   4  [ 168,  333,  499]  [ 166,  333,  501]
lc    1  [ 333,  333,  334]  [ 222,  222,  556]
lc    4  [ 333,  333,  334]  [ 222,  222,  556]
wlc   1  [ 167,  333,  500]  [  83,  167,  750]
wlc   4  [ 167,  333,  500]  [  83,  167,  750]
lblc  1  [ 993,    3,    4]  [   0,    0, 1000]
lblc  4  [ 257,  234,  509]  [   0,    0, 1000]
lblcr 1  [ 167,  333,  500]  [  83,  167,  750]
lblcr 4  [ 257,  234,  509]  [  18,  157,  825]
sh    1  [ 160,  333,  507]  [ 160,  333,  507]
sh    4  [ 160,  333,  507]  [ 160,  333,  507]
dh    1  [   0,    0, 1000]  [   0,    0, 1000]
dh    4  [   0,    0, 1000]  [   0,    0, 1000]
mh    1  [ 179,  312,  509]  [ 179,  312,  509]
mh    4  [ 179,  312,  509]  [ 179,  312,  509]
sed   1  [ 166,  333,  501]  [  83,  167,  750]
sed   4  [ 166,  333,  501]  [  83,  167,  750]
nq    1  [ 166,  333,  501]  [  83,  167,  750]
nq    4  [ 166,  333,  501]  [  83,  167,  750]
fo    1  [   0,    0, 1000]  [   0,    0, 1000]
fo    4  [   0,    0, 1000]  [   0,    0, 1000]
ovf   1  [   2,    3,    4]  [   0,    0,    4]
ovf   4  [   2,    3,    4]  [   0,    0,    4]
twos  1  [ 166,  333,  501]  [  83,  166,  751]
twos  4  [ 167,  332,  501]  [  83,  167,  750]
";

#[test]
fn a_thousand_conversations_spread_as_they_always_did() {
    let mut table = String::from("\n");
    for scheduler in Scheduler::ALL {
        for shards in [1, 4] {
            let [first, both] = spread(scheduler, shards);
            writeln!(
                table,
                "{:5} {shards}  {first:4?}  {both:4?}",
                scheduler.name()
            )
            .expect("room");
        }
    }
    assert_eq!(table, TABLE, "now it is{table}");
}

/// How many clients each real server gets of the first thousand, and of the
/// second.
fn spread(scheduler: Scheduler, shards: usize) -> [Vec<usize>; 2] {
    let service = Service::new(Protocol::Tcp, V4.web, scheduler);
    let service =
        [(11, 1), (12, 2), (13, 3)]
            .into_iter()
            .fold(service, |service, (number, weight)| {
                service.real_server(RealServer::masquerade(V4.real_at(number, 8080)).weight(weight))
            });
    let mut memory = bed::memory(shards, 3000);
    let mut world = World::new(V4, &mut memory, &[service], 5);
    let mut counts = Vec::new();
    let mut before = vec![0; 3];
    for thousand in 0..2u16 {
        for number in 0..1000 {
            let client = V4.client_at((number % 251) as u8, 10_000 + thousand * 1000 + number);
            world.begin(Protocol::Tcp, client);
            world.run();
        }
        assert!(world.dropped.is_empty());
        let clients: Vec<usize> = world
            .servers
            .values()
            .map(|server| server.clients())
            .collect();
        counts.push(
            clients
                .iter()
                .zip(&before)
                .map(|(now, before)| now - before)
                .collect(),
        );
        before = clients;
        world.close_where(|conversation| conversation.server == Some(13));
        world.run();
    }
    counts.try_into().expect("two")
}
