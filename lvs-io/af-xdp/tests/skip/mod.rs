//! Tests that need more privileges than they have: what they do instead.

use std::env;
use std::fmt::Display;
use std::io::{self, Write};

/// Says that a test is skipped, and why.
///
/// # Panics
///
/// Where `LVS_TESTS_MUST_NOT_SKIP` is set: there somebody relies on the test.
pub(crate) fn say(why: impl Display) {
    assert!(
        env::var_os("LVS_TESTS_MUST_NOT_SKIP").is_none(),
        "skipped, though LVS_TESTS_MUST_NOT_SKIP is set: {why}"
    );
    // Not by `eprintln!`: the words of a passing test are kept from people.
    // If they cannot be told at all, there is nobody to tell.
    let _ = writeln!(io::stderr(), "skipped: {why}");
}
