//! Network namespaces and what fills them: the demo's and the tests' network.
//!
//! Everything here exists only inside namespaces that this process made and
//! that die with it; the machine's own interfaces, routes and settings are
//! never touched. It knows nothing of the director: a world is the network a
//! director is put into.

mod address;
mod build;
mod machine;
mod namespace;
mod ping;
mod plan;
pub mod traffic;
mod unpack;
mod wiring;

pub use address::Family;
pub use build::World;
pub use machine::RealServerMachine;
pub use namespace::Namespace;
pub use ping::ping;
pub use plan::{Layout, Method, Plan, UnknownMethod};
pub use unpack::Unpacker;

#[cfg(test)]
mod tests;
