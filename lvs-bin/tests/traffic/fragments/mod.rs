//! Datagrams in fragments: of services, both ways, and the host's own; and
//! packets that the director must cut.

mod carry;
mod cut;
mod host;
mod lost;
mod scattered;

use std::time::Duration;

use lvs::world::traffic::udp;
use lvs::world::{Family, Plan};

use crate::setup::Setup;

/// Has a service echo a datagram of so many bytes.
///
/// In IPv6 only senders fragment, and to what goes through a tunnel in one piece:
/// a sender who is told of a smaller MTU has to try once more.
fn echo(setup: &Setup, family: Family, length: usize) {
    let ask = || udp(Plan::echo(family), length, DEADLINE);
    let mut echoed = setup.world.client().run(ask);
    if family == Family::V6 && echoed.is_err() {
        echoed = setup.world.client().run(ask);
    }
    assert!(
        echoed.is_ok(),
        "{family}, {length} bytes: {echoed:?}\n{}",
        setup.stats()
    );
}

const DEADLINE: Duration = Duration::from_secs(5);
