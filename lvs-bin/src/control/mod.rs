//! The director's side of what an operator does while it runs: operations on
//! its configuration with the kernel's errors, and the counters as they are
//! shown.
//!
//! Nothing here knows of words, sockets, packets or clocks: operations and
//! numbers come in, a [`Draft`](lvs_core::Draft) and numbers go out.
//!
//! [`Operator`] is all of it on a running [`Director`](crate::Director).

mod accounts;
mod connections;
mod counters;
mod daemons;
mod estimator;
mod keeper;
mod operator;
mod plan;
mod stretches;
mod table;
mod worker_loads;

pub use counters::{Counted, Counts, Estimators, Ledger};
pub use daemons::Daemons;
pub use estimator::{Estimator, PERIOD};
pub use keeper::{KeepError, Keeper, Taken, Terms};
pub use operator::Operator;
pub use plan::{Change, ChangeKind, Changed, FieldChange, Plan};
pub use table::Table;
