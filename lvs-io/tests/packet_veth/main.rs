//! Packet queues on a real link, between two network namespaces.
//!
//! ```text
//!   namespace near                          namespace far
//!   10.0.0.1, fd00::1 ── near ===veth=== far ── 10.0.0.2, fd00::2
//! ```
//!
//! `cargo test -p lvs-io --test packet_veth`, as root; skipped otherwise.

mod allocation;
mod frames;
mod lab;
mod link;
#[path = "../netlink/namespace.rs"]
mod namespace;
// The packets of the unit tests; not all are needed here.
#[allow(dead_code)]
#[path = "../../src/sample.rs"]
mod sample;
mod sharing;
mod supers;
