//! Real traffic through a real director, by every way frames can travel.
//!
//! ```text
//!                  native XDP   generic XDP   AF_PACKET
//!  masquerade          x             x            x        each in IPv4 and
//!  direct route        x             x            x        IPv6, TCP and UDP
//!  tunnel              x             x            x
//! ```
//!
//! Worlds are network namespaces of the test's own; root is needed to make
//! them. `cargo test -p lvs-bin --test traffic native_tunnel` runs one cell.

mod adm;
mod api;
mod changes;
mod fragments;
mod hosts;
mod jumbo;
mod local;
mod matrix;
mod metrics;
mod neighbours;
mod owners;
mod policy;
mod process;
mod queues;
mod running;
mod scripts;
mod setup;
#[path = "../../../lvs-io/af-xdp/tests/skip/mod.rs"]
mod skip;
mod two_directors;
mod watch;
