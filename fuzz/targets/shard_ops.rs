#![no_main]
//! Feeds [`lvs_fuzz::shard_ops`] from libFuzzer.

libfuzzer_sys::fuzz_target!(|data: &[u8]| lvs_fuzz::shard_ops(data));
