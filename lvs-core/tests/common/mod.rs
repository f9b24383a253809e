//! What the tests of the core are written in: packets built and read in words,
//! a place with a client, a director and real servers, and the director itself.
//!
//! Nothing here uses the crate's own packet code: builder, reader and checksums
//! are written a second time, the slow and obvious way, so that a mistake would
//! have to be made twice to go unseen.
//!
//! ```text
//!      client 198.51.100.7
//!        |
//!      gateway 192.0.2.254
//!        |  port 0, 192.0.2.1, MTU 1500
//!      director                             services at 192.0.2.10
//!        |  port 1, 10.0.0.1, MTU 1500
//!        +----------+----------+---- ...
//!      real server 11   real server 12      10.0.0.11, 10.0.0.12 ...
//! ```
//!
//! and the same once more in IPv6; see [`place`].

pub(crate) mod bed;
pub(crate) mod frame;
pub(crate) mod icmp;
pub(crate) mod packet;
pub(crate) mod place;
pub(crate) mod random;
pub(crate) mod read;
pub(crate) mod sum;
