//! The kernel's links, addresses, routes and neighbours, over netlink.
//!
//! [`Mirror`] follows them, to know where packets go and to which MAC, and
//! keeps chosen neighbours resolved. [`Network`] changes them, to build a
//! topology in a namespace of one's own. Both speak of the same plain data:
//! [`Link`], [`Address`], [`Route`], [`Neighbour`], [`Rule`].

mod abilities;
mod address;
mod apply;
mod configure;
mod error;
mod link;
mod list;
mod mirror;
mod neighbour;
mod prefix;
mod request;
mod route;
mod rule;
mod source_rule;
mod table;
mod view;
mod warm;

pub use abilities::XdpAbilities;
pub use address::Address;
pub use configure::{Network, VethEnd};
pub use error::Error;
pub use link::Link;
pub use mirror::{Mirror, MirrorCounters};
pub use neighbour::Neighbour;
pub use prefix::{Prefix, PrefixError};
pub use route::{Hop, Route, RouteKind};
pub use rule::Rule;
pub use source_rule::SourceRule;
pub use view::{NextHop, Resolution, View};
pub use warm::Warmth;
