//! `lvs status` and `lvs top` of a running director.

use lvs::api::shape::{Status, key_text};
use lvs::lvs_core::{Protocol, ServiceKey};
use lvs::world::{Family, Method, Plan};

use crate::running::Running;

#[test]
fn status_and_top_say_what_passes() {
    let plan = Plan::new(Method::Masquerade);
    let Some(mut running) = Running::start(plan, "native") else {
        return;
    };
    let service = key_text(&ServiceKey::Address {
        protocol: Protocol::Tcp,
        address: Plan::web(Family::V4),
    });
    let began = running.look(&["status", "--json"]);
    assert_eq!(began.connections.opened, 0);
    assert_eq!(began.connections.capacity, began.workers[0].capacity);
    for _ in 0..ASKED {
        assert!(running.served().is_some());
    }
    let look = loop {
        let look = running.look(&["top", "--json", "-n", "1"]);
        if look.connections.opened == ASKED {
            break look;
        }
    };
    // SYN, ACK, request and FIN at least, each way.
    assert!(look.packets.transmitted >= 6 * ASKED, "{look:?}");
    assert_eq!((look.connections.held, look.packets.dropped), (ASKED, 0));
    assert_eq!(look.workers.len(), 1);
    assert_eq!(look.workers[0].connection_setup.count, ASKED);
    assert!(look.workers[0].load < 1.0, "{look:?}");
    let mut services = look.services.iter();
    let web = services
        .find(|it| key_text(&it.service) == service)
        .unwrap();
    let held = web.real_servers.iter().flatten();
    let held: u32 = held.map(|it| it.active + it.inactive).sum();
    assert_eq!(u64::from(held), ASKED);

    let nic = format!("{}: native", plan.director_links()[0]);
    let (status, said) = running.lvs(&["status"]);
    assert_eq!(status, 0, "{said}");
    for part in [
        &nic,
        "connections  9 of ",
        "worker  load",
        &service,
        "  10.",
        " nat ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // Looks are an interval apart, and end with the director.
    let (status, said) = running.lvs(&["top", "--json", "-n", "3", "-d", "0.1"]);
    assert_eq!((status, said.lines().count()), (0, 3), "{said}");
    let (status, said) = running.lvs(&["top"]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("use lvs status, or lvs top --json"), "{said}");
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.child.wait().unwrap();
    for command in ["status", "top"] {
        let (status, said) = running.lvs(&[command, "--json"]);
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("start it with lvs run"), "{said}");
    }
}

impl Running {
    fn look(&self, words: &[&str]) -> Status {
        let (status, said) = self.lvs(words);
        assert_eq!(status, 0, "{said}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}

const ASKED: u64 = 9;
