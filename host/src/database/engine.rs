//! The differences between MySQL and SQLite, behind one trait.

use super::error::{DatabaseError, Fault};
use super::limits::Access;
use super::scanner::Dialect;
use super::statement::Verb;
use super::value::{Outcome, Value};
use crate::config::DatabaseConfig;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::Either;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The items that the driver streams for a statement.
pub(super) type Results<'c, E> =
    BoxStream<'c, Result<Either<<E as sqlx::Database>::QueryResult, <E as sqlx::Database>::Row>, sqlx::Error>>;

/// The differences between MySQL and SQLite.
pub(super) trait Engine: sqlx::Database {
    /// The information that a connection to the database needs.
    type Source: Send + Sync;
    /// Exists while a statement runs. Dropping it may stop the statement.
    type Watch: Send;
    /// The dialect of the statements.
    const DIALECT: Dialect;
    /// The database cannot be stopped from sending the rows of a session that were not read, so the session has to be
    /// closed.
    const CLOSE_UNREAD: bool;

    /// A pool of sessions with this access. It connects on demand.
    fn pool(source: &Self::Source, access: Access, config: &DatabaseConfig, health: Arc<Health>) -> sqlx::Pool<Self>;
    /// Whether all sessions wait for each other, whatever their access is. They then wait in the host, which has time
    /// limits for waiting and knows which calls wait.
    fn one_at_a_time(source: &Self::Source) -> bool;
    /// The statement that begins a transaction.
    fn begin(access: Access) -> &'static str;
    /// Encode parameters.
    fn arguments(values: Vec<Value>) -> Result<Self::Arguments, DatabaseError>;
    /// Run a statement.
    fn stream(
        session: &mut Self::Connection,
        sql: Arc<str>,
        arguments: Self::Arguments,
        keep: bool,
    ) -> Results<'_, Self>;
    /// The column names of a statement that returned no rows.
    fn columns(
        session: &mut Self::Connection,
        sql: Arc<str>,
        keep: bool,
    ) -> BoxFuture<'_, Result<Vec<String>, sqlx::Error>>;
    /// Decode a row.
    fn row(row: &Self::Row) -> Result<Vec<Value>, sqlx::Error>;
    /// The outcome of a statement.
    fn outcome(result: &Self::QueryResult, verb: Verb) -> Outcome;
    /// Begin or end a transaction.
    fn control<'c>(session: &'c mut Self::Connection, sql: &'static str) -> BoxFuture<'c, Result<(), sqlx::Error>>;
    /// Translate an error.
    fn fault(error: sqlx::Error) -> Fault;
    /// Make the session stop the next statement after `budget`.
    fn watch(session: &mut Self::Connection, budget: Duration) -> BoxFuture<'_, Result<Self::Watch, sqlx::Error>>;
    /// A flag that is set when the database itself rolls back the session's transaction, if the engine can detect that.
    fn rollback_flag(session: &mut Self::Connection) -> BoxFuture<'_, Result<Option<Arc<AtomicBool>>, sqlx::Error>>;
}

/// Remembers when a session was last lost. The other idle sessions of the pool are then tested before they are used, so
/// that after a restart of the server only the first few calls fail.
#[derive(Debug)]
pub(super) struct Health {
    start: Instant,
    /// Milliseconds after `start`, rounded up.
    lost: AtomicU64,
}

impl Health {
    pub(super) fn new() -> Self {
        Health { start: Instant::now(), lost: AtomicU64::new(0) }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn note_loss(&self) {
        self.lost.store(self.elapsed() + 1, Ordering::Relaxed);
    }

    /// Whether a session that was idle for this long should be tested before it is used.
    pub(super) fn doubts(&self, idle: Duration) -> bool {
        let idle_since = u128::from(self.elapsed()).saturating_sub(idle.as_millis());
        idle > Duration::from_secs(1) || idle_since < u128::from(self.lost.load(Ordering::Relaxed))
    }
}
