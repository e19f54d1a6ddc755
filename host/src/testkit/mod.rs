//! Tests of modules, in Rust: a whole host in one thread, with virtual clients, a virtual clock, databases in memory,
//! and faults on demand. [`TestHost::builder`] is the way in. Transcripts (`hassock test`) are played on the same
//! host, and their steps have the same names: `connect`, `send`, `disconnect`, `vanish`, `closed`, `advance`, `swap`,
//! `set`, `publish`, `fail_sql`, `fail_call`, `fail_instances`, `fail_outbox`, `failed`.
//!
//! Reading order: `host` (what a test says) → `in_process_host` (the runtime with a paused clock) → `client` →
//! `socket` (the client's side of a WebSocket, which also works over TCP).

mod builder;
mod client;
mod config;
mod database;
mod expect;
mod faults;
mod host;
mod in_process_host;
mod log;
pub(crate) mod socket;
mod token;

use std::fmt;

pub use hassock_transcript::backend::{
    Answer, CallFault, Connect, Cost, FailedCall, LogLine, Message, Publication, Received,
};

pub use crate::database::{BatchError, DatabaseError, RowSet, Value};
pub use builder::TestHostBuilder;
pub use client::Client;
pub use database::TestDatabase;
pub use host::TestHost;

use crate::config::Problems;

/// Why a test cannot do something, and what to do about it.
#[derive(Clone, thiserror::Error)]
#[error("{0}")]
pub struct TestError(pub(crate) String);

/// The same as `Display`, so that `unwrap` shows the text.
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
