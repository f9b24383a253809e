//! The fuzz targets as functions of any bytes; they panic on a finding.
//!
//! What they do is written with the tests of lvs-core and lvs-bin, which run it
//! too.

#[path = "../../lvs-core/tests/fuzz/bodies/mod.rs"]
mod bodies;
#[path = "../../lvs-core/tests/common/mod.rs"]
#[allow(dead_code, reason = "the targets use their part of it")]
mod common;
#[path = "../../lvs-bin/tests/fuzz/body.rs"]
mod config_file;

/// Any bytes as a frame.
pub fn parse(data: &[u8]) {
    bodies::parse::run(data);
}

/// Well-formed packets, forwarded and read again.
pub fn rewrite(data: &[u8]) {
    bodies::rewrite::run(data);
}

/// ICMP errors about a connection.
pub fn icmp_error(data: &[u8]) {
    bodies::icmp_error::run(data);
}

/// Fragments in any order.
pub fn fragments(data: &[u8]) {
    bodies::fragments::run(data);
}

/// Packets, time and changes in any order.
pub fn shard_ops(data: &[u8]) {
    bodies::shard_ops::run(data);
}

/// Any text as a configuration file.
pub fn config(data: &[u8]) {
    config_file::run(data);
}
