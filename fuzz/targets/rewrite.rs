#![no_main]
//! Feeds [`lvs_fuzz::rewrite`] from libFuzzer.

libfuzzer_sys::fuzz_target!(|data: &[u8]| lvs_fuzz::rewrite(data));
