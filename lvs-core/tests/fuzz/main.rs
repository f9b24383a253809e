//! The fuzz targets without a fuzzer: every file of the corpus, and as many
//! seeded random inputs as a second takes.
//!
//! The package `fuzz/` feeds the same bodies from libFuzzer.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod common;

mod bodies;

use std::fs;
use std::path::Path;

use common::random::Random;

/// Runs a target on its corpus, then on random inputs.
fn feed(name: &'static str, target: fn(&[u8]), inputs: usize) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let directory = corpus.join(name);
    let files =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for file in files {
        let path = file.expect("a directory entry").path();
        let input = fs::read(&path).expect("a corpus file");
        run(target, &path.display().to_string(), &input);
    }
    let mut random = Random::new(0x1ab5);
    for number in 0..inputs {
        let length = random.below(400);
        run(target, &format!("{name} {number}"), &random.bytes(length));
    }
}

/// Runs a target on one input, which is named should it panic.
fn run(target: fn(&[u8]), name: &str, input: &[u8]) {
    struct OnPanic<'a>(&'a str, &'a [u8]);
    impl Drop for OnPanic<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the input was {}: {:02x?}", self.0, self.1);
            }
        }
    }
    let _named = OnPanic(name, input);
    target(input);
}

#[test]
fn parse() {
    feed("parse", bodies::parse::run, 8_000);
}

#[test]
fn rewrite() {
    feed("rewrite", bodies::rewrite::run, 8_000);
}

#[test]
fn icmp_error() {
    feed("icmp_error", bodies::icmp_error::run, 8_000);
}

#[test]
fn fragments() {
    feed("fragments", bodies::fragments::run, 1_000);
}

#[test]
fn shard_ops() {
    feed("shard_ops", bodies::shard_ops::run, 1_500);
}
