//! Two queues, two workers: replies that land with the other worker are handed
//! to the one that owns the connection.

use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Request, http, http_many, udp_many};
use lvs::world::{Family, Method, Plan};

use crate::setup::Setup;

fn two_workers(mode: WantedMode, method: Method) {
    let plan = Plan {
        queues: 2,
        ..Plan::new(method)
    };
    let Some(setup) = Setup::new(plan, mode, 2) else {
        return;
    };
    for family in Family::BOTH {
        let (web, echo) = (Plan::web(family), Plan::echo(family));
        setup
            .world
            .client()
            .run(|| {
                for result in http_many(web, Request::Name, 100, DEADLINE) {
                    assert!(result.is_ok(), "{family} {result:?}");
                }
                for result in udp_many(echo, 500, 40, DEADLINE) {
                    assert!(result.is_ok(), "{family} {result:?}");
                }
                let body = http(web, Request::Download(4 << 20), DEADLINE);
                assert!(body.is_ok(), "{family} {body:?}");
                Ok(())
            })
            .unwrap();
    }
    setup.check_nothing_dropped();
    let stats = setup.stats();
    let workers = &stats.per_worker;
    assert_eq!(workers.len(), 2);
    assert!(
        workers.iter().all(|worker| worker.connections > 0),
        "{workers:?}"
    );
    assert_eq!(stats.workers.handed_off, stats.workers.taken_over);
    match method {
        Method::Masquerade => {
            assert!(
                workers.iter().all(|worker| worker.handed_off > 0),
                "{workers:?}"
            );
        }
        // Seen in one direction only: they live where they land.
        Method::DirectRoute | Method::Tunnel => assert_eq!(stats.workers.handed_off, 0),
    }
}

#[test]
fn native_masquerade_hands_over() {
    two_workers(WantedMode::Native, Method::Masquerade);
}

#[test]
fn packet_masquerade_hands_over() {
    two_workers(WantedMode::Packet, Method::Masquerade);
}

#[test]
fn native_tunnel_stays_where_it_lands() {
    two_workers(WantedMode::Native, Method::Tunnel);
}

const DEADLINE: Duration = Duration::from_secs(30);
