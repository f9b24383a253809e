#![no_main]
//! Feeds [`lvs_fuzz::icmp_error`] from libFuzzer.

libfuzzer_sys::fuzz_target!(|data: &[u8]| lvs_fuzz::icmp_error(data));
