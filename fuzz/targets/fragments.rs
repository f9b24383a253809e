#![no_main]
//! Feeds [`lvs_fuzz::fragments`] from libFuzzer.

libfuzzer_sys::fuzz_target!(|data: &[u8]| lvs_fuzz::fragments(data));
