#![no_main]
//! Feeds [`lvs_fuzz::parse`] from libFuzzer.

libfuzzer_sys::fuzz_target!(|data: &[u8]| lvs_fuzz::parse(data));
