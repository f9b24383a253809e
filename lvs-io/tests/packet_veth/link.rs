//! A link that goes down and comes back.

use std::thread;
use std::time::{Duration, Instant};

use lvs_io::Queue;
use lvs_io::netlink::Network;

use crate::lab::{FAR, Lab, NEAR, experiment};

#[test]
fn a_link_that_was_down_carries_again() {
    let Some(lab) = Lab::new(1500) else { return };
    let (mut near, mut far) = (lab.station("near"), lab.station("far"));
    for (namespace, end) in [(&lab.near, "near"), (&lab.far, "far")] {
        let before = near.queue.counters();
        namespace.run(|| Network::open().unwrap().set_down(end).unwrap());
        for _ in 0..3 {
            near.load(&experiment(FAR, NEAR, &[1; 60]), 1792);
            // Taken and lost, as on a wire that was cut. That the other end is
            // down the kernel tells a little later; until then it is busy.
            near.send(&experiment(FAR, NEAR, &[1; 60]), 1792);
            near.receive();
            far.receive();
        }
        let after = near.queue.counters();
        assert_eq!(after.transmitted, before.transmitted, "{end} is down");
        assert!(after.kicks_link_down >= before.kicks_link_down + 3);
        assert!(end == "far" || after.kicks_busy == before.kicks_busy);

        namespace.run(|| Network::open().unwrap().set_up(end).unwrap());
        // The kernel tells this a little later, too.
        let deadline = Instant::now() + Duration::from_secs(20);
        let running = || Network::open().unwrap().link("near").unwrap().running;
        while !lab.near.run(running) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let frame = experiment(FAR, NEAR, end.as_bytes());
        near.send(&frame, 1792);
        assert_eq!(far.experiment().bytes, frame);
        let back = experiment(NEAR, FAR, end.as_bytes());
        far.send(&back, 1792);
        assert_eq!(near.experiment().bytes, back);
    }
}

#[test]
fn a_nic_that_is_gone_stops_nobody() {
    let Some(lab) = Lab::new(1500) else { return };
    let mut near = lab.station("near");
    lab.near
        .run(|| Network::open().unwrap().delete_link("near").unwrap());
    for _ in 0..3 {
        near.send(&experiment(FAR, NEAR, &[1; 60]), 1792);
        near.receive();
    }
    assert!(near.queue.counters().kicks_link_down >= 3);
    assert_eq!(near.queue.counters().transmitted, 0);
}
