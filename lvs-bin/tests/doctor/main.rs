//! Things broken in networks of the test's own, and whether the doctor sees
//! them; and whether it is silent where all is well.
//!
//! Root is needed to make namespaces. What can only be broken together with the
//! machine (processors, memory, NICs with a bus) is made up in the unit tests
//! of `src/doctor/`.

mod clinic;
mod command;
mod director;
mod offloads;
mod real_server;
#[path = "../../../lvs-io/af-xdp/tests/skip/mod.rs"]
mod skip;
