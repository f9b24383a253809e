//! Datagrams in fragments: of services, both ways, and the host's own; and
//! packets that the director must cut.

mod carry;
mod cut;
mod host;
mod scattered;
