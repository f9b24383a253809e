//! Structs and calls of the kernel's ABI, and nothing else: the only place in
//! this crate where `unsafe` is allowed. Each file wraps one interface so that
//! no caller can misuse it.

pub(crate) mod bpf;
pub(crate) mod ethtool;
pub(crate) mod packet;
pub(crate) mod poll;
pub(crate) mod raw;
pub(crate) mod tun;
