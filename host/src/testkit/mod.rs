//! Tests of modules, in Rust: a whole host in one thread, with virtual clients, time that passes when it is
//! told to, databases in memory, and faults on demand. [`TestHost`] is where to begin; transcripts
//! (`hassock test`) are played on it too.
//!
//! Reading order: `host` (what a test says) → `stand` (the runtime whose time stands still) → `client` →
//! `socket` (the client's side of a WebSocket, which also works over TCP).

mod client;
mod config;
mod database;
mod expect;
mod host;
mod log;
pub(crate) mod socket;
mod stand;
mod types;

use std::fmt;

pub use crate::database::{BatchError, DatabaseError, RowSet, Value};
pub use crate::sim::{CallFault, Cost};
pub use client::Client;
pub use database::TestDatabase;
pub use host::{TestHost, TestHostBuilder};
pub use types::{Answer, Connect, LogLine, Message, Received};

use crate::config::Problems;

/// What a test cannot do, with what to do about it.
#[derive(thiserror::Error)]
#[error("{0}")]
pub struct TestError(pub(crate) String);

/// As for people: `unwrap` shows it, and the text has all that there is to know.
impl fmt::Debug for TestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<Problems> for TestError {
    fn from(problems: Problems) -> Self {
        Self(problems.to_string())
    }
}
