//! What people look at while a director runs: `lvs status` and `lvs top`.
//!
//! Both ask a running director by its API, as anybody can, and know nothing else
//! of it.
//!
//! | file | what it is |
//! |---|---|
//! | `status.rs` | `lvs status`: one look, as text |
//! | `history.rs` | what passes from look to look |
//! | `rows.rs`, `state.rs` | what `lvs top` lists, and what keys do |
//! | `screen/` | how that is drawn |
//! | `top.rs` | the terminal and the clock |
//! | `amount.rs` | numbers for people |

mod amount;
mod history;
mod rows;
mod screen;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod top;

pub use status::status;
pub use top::{TopError, top, top_json};
