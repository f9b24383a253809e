#![no_main]
//! Feeds [`lvs_fuzz::config`] from libFuzzer.

libfuzzer_sys::fuzz_target!(|data: &[u8]| lvs_fuzz::config(data));
