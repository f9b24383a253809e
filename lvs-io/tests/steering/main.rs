//! The steering program against a real kernel: what it decides of literal
//! packets, how its rules change, and what it does to live traffic.
//!
//! Each test works in a network namespace of its own; without root they say
//! that they were skipped.

mod attached;
mod bed;
mod frames;
mod icmp;
mod packets;
mod rules;
mod table;
