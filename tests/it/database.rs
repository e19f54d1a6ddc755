//! Databases as modules use them, and databases that fail.

mod outage;
mod sql;
mod transactions;
