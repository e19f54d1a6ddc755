//! The differences between MySQL and SQLite, behind one trait.

use super::error::{DatabaseError, Fault};
use super::limits::Access;
use super::scanner::Dialect;
use super::session::{Permits, Run};
use super::statement::Verb;
use super::value::{Outcome, RowSet};
use crate::config::DatabaseConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The differences between MySQL and SQLite.
pub(super) trait Engine: Sized + Send + Sync + 'static {
    /// The information that a connection to the database needs.
    type Source: Send + Sync;
    /// Sessions with one access.
    type Pool: Send + Sync;
    /// A session that was taken from a pool. It returns there when it is dropped.
    type Session: Send;
    /// The dialect of the statements.
    const DIALECT: Dialect;

    /// A pool of sessions with this access. It connects on demand.
    fn pool(source: &Self::Source, access: Access, config: &DatabaseConfig, health: Arc<Health>) -> Self::Pool;
    /// The most sessions that the pool has.
    fn max_sessions(pool: &Self::Pool) -> u32;
    /// Take a session from the pool, or connect.
    fn acquire(pool: &Self::Pool) -> impl Future<Output = Result<Self::Session, DatabaseError>> + Send;
    /// Close all sessions, those in use when they are returned.
    fn close(pool: &Self::Pool) -> impl Future<Output = ()> + Send;
    /// Whether all sessions wait for each other, whatever their access is. They then wait in the host, which has time
    /// limits for waiting and knows which calls wait.
    fn one_at_a_time(source: &Self::Source) -> bool;
    /// The statement that begins a transaction.
    fn begin(access: Access) -> &'static str;
    /// Run a statement and collect its rows. If the future is dropped, the statement is stopped if possible.
    fn query(session: &mut Self::Session, run: Run<'_>) -> impl Future<Output = Result<RowSet, Fault>> + Send;
    /// Run a statement and count the rows that it changed.
    fn execute(session: &mut Self::Session, run: Run<'_>) -> impl Future<Output = Result<Outcome, Fault>> + Send;
    /// Whether such a statement may change the session in a way that only its text in the database tells.
    fn may_change_session(verb: Verb) -> bool;
    /// Begin or end a transaction.
    fn control(
        session: &mut Self::Session,
        sql: &'static str,
        config: &DatabaseConfig,
    ) -> impl Future<Output = Result<(), Fault>> + Send;
    /// A flag that is set when the database itself rolls back the session's transaction, if the engine can detect that.
    /// It is clear now.
    fn rollback_flag(session: &Self::Session) -> Option<Arc<AtomicBool>>;
    /// The session is closed instead of returning to its pool. Its permits are free when it is closed, so that no call opens
    /// one more meanwhile.
    fn discard(session: &mut Self::Session, permits: Permits);
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
