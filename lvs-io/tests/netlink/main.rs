//! Netlink against a real kernel, in network namespaces of the tests' own.

mod configure;
mod follow;
mod namespace;
mod resolve;
mod warm;
mod world;
