//! The control API of a running director: HTTP/1.1 and JSON on a Unix socket.
//!
//! One thread of its own serves it, so that no worker ever meets it. It works on
//! a [`Site`], of which it only knows the operations an operator has; and it
//! knows no packets, no signals and no command line. `lvs adm` and `ipvsadm` are
//! its [`Client`], which is an [`ipvsadm::Control`](crate::ipvsadm::Control).
//!
//! | file | what it is |
//! |---|---|
//! | `shape/` | the JSON shapes |
//! | `routes/` | every method and path, what is done there, and the description of it all |
//! | `answer.rs` | what requests are answered with |
//! | `server.rs` | the thread: connections, limits, time |
//! | `socket.rs` | the Unix socket: made, taken over, taken away |
//! | `client.rs` | the other end |
//!
//! ```sh
//! curl --unix-socket /run/lvs.sock http://lvs/v1/openapi.json
//! ```

mod answer;
mod client;
mod routes;
mod server;
pub mod shape;
mod socket;

pub use answer::{Only, Site};
pub use client::{Client, ClientError};
pub use server::{ServeError, Server, converse};
pub use socket::DEFAULT_SOCKET;
