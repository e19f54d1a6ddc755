//! Pools of sessions, and the execution of one statement in a session within the limits.
//!
//! A session is *busy* from the moment at which a statement is sent until it has ended in a known state. However a call
//! ends (an error, a time limit, a trap of the module that drops the future), a session that is still busy is closed
//! and never reused. So is one in which something may have changed that a statement cannot be seen to change.

use super::engine::{Engine, Health};
use super::error::{DatabaseError, Fault};
use super::limits::Access;
use super::statement::Verb;
use super::stats::PoolReport;
use super::value::{Outcome, RowSet, Value};
use crate::config::{DatabaseConfig, Place};
use crate::external::external;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How much longer than `query_timeout` the host waits for a statement. The database should have ended it by then.
const GRACE: Duration = Duration::from_millis(500);

/// Longer statements are not kept prepared, because each session keeps a hundred of them and the module chooses their
/// length.
pub(super) const MAX_KEPT_STATEMENT: usize = 16 * 1024;

/// How many statements each session keeps prepared.
pub(super) const KEPT_STATEMENTS: usize = 100;

/// The sessions of a pool that one app may use at a time: an equal part for each app that shares the pool. So an
/// app that uses all of its own leaves those of the others alone.
#[derive(Clone)]
pub(super) struct Part(Arc<Semaphore>);

/// The permits of a call: one of its part, and one of the pool.
pub(super) type Permits = [OwnedSemaphorePermit; 2];

/// A pool in which all sessions have the same access.
pub(super) struct EnginePool<E: Engine> {
    pool: E::Pool,
    /// The host's own permits, because the driver's pool does not distinguish "all busy" from "cannot connect".
    permits: Arc<Semaphore>,
    /// How many permits there are.
    size: usize,
    health: Arc<Health>,
    pub(super) config: Arc<DatabaseConfig>,
}

impl<E: Engine> EnginePool<E> {
    /// A pool that has not connected yet. With `alone`, its sessions wait for that semaphore.
    pub(super) fn new(
        source: &E::Source,
        access: Access,
        config: &Arc<DatabaseConfig>,
        alone: Option<Arc<Semaphore>>,
    ) -> Self {
        let health = Arc::new(Health::new());
        let pool = E::pool(source, access, config, Arc::clone(&health));
        let size = if alone.is_some() { 1 } else { usize::try_from(E::max_sessions(&pool)).unwrap_or(1) };
        let permits = alone.unwrap_or_else(|| Arc::new(Semaphore::new(size)));
        EnginePool { permits, size, pool, health, config: Arc::clone(config) }
    }

    /// Create the first session.
    ///
    /// # Errors
    /// The reason for which the session cannot be created.
    pub(super) async fn connect(&self) -> Result<(), DatabaseError> {
        external(E::acquire(&self.pool)).await.map(drop)
    }

    /// The part of the app at this place.
    pub(super) fn part(&self, place: Place) -> Part {
        let sessions = usize::try_from(E::max_sessions(&self.pool)).unwrap_or(1);
        Part(Arc::new(Semaphore::new(place.part(sessions))))
    }

    /// A session of the pool, for exclusive use.
    ///
    /// # Errors
    /// [`DatabaseError::PoolExhausted`] if all sessions of the part were busy for `acquire_timeout`; otherwise the reason
    /// why none could be opened.
    pub(super) async fn lease(&self, part: &Part) -> Result<Lease<E>, DatabaseError> {
        let (own, all) = (Arc::clone(&part.0), Arc::clone(&self.permits));
        // The parts are together no larger than the pool, except for calls that began before a reload of the config.
        let wait = async { Ok::<_, AcquireError>([own.acquire_owned().await?, all.acquire_owned().await?]) };
        let permits = match timeout(self.config.acquire_timeout.get(), wait).await {
            Err(_) => return Err(DatabaseError::PoolExhausted),
            Ok(Err(_)) => return Err(closed()),
            Ok(Ok(permits)) => permits,
        };
        let session = external(E::acquire(&self.pool)).await?;
        Ok(Lease { session, busy: false, is_changed: false, health: Arc::clone(&self.health), permits: Some(permits) })
    }

    /// How many sessions calls use now.
    pub(super) fn report(&self, access: Access) -> PoolReport {
        let free = self.permits.available_permits();
        PoolReport { access: access.name(), busy: self.size.saturating_sub(free), limit: self.size }
    }

    /// Close all sessions. This waits for the calls that use them, but no longer than one statement may take: a session
    /// that is returned later is closed then. Later calls fail at once.
    pub(super) async fn close(&self) {
        self.permits.close();
        let close_timeout = self.config.query_timeout.get().saturating_add(GRACE);
        let closed = timeout(close_timeout, E::close(&self.pool)).await;
        if closed.is_err() {
            tracing::warn!("sessions are still in use; each is closed when its call ends");
        }
    }
}

/// The error of calls that come after the database was closed.
pub(super) fn closed() -> DatabaseError {
    DatabaseError::ConnectionLost("the host has closed the database".to_owned())
}

/// A session that was taken from the pool. It is returned to the pool unless it is busy.
pub(super) struct Lease<E: Engine> {
    // Before the permits: fields are dropped in this order, and the permits promise a free session.
    session: E::Session,
    busy: bool,
    /// A statement may have left something in the session that the host cannot see.
    is_changed: bool,
    health: Arc<Health>,
    /// None only while this is dropped.
    permits: Option<Permits>,
}

impl<E: Engine> Lease<E> {
    /// Run a statement and collect its rows.
    pub(super) async fn query(&mut self, run: Run<'_>) -> Result<RowSet, Fault> {
        let config = run.config;
        self.busy = true;
        self.is_changed |= E::may_change_session(run.verb);
        let result = within(config, E::query(&mut self.session, run)).await;
        self.settle(result)
    }

    /// Run a statement and count the rows that it changed.
    pub(super) async fn execute(&mut self, run: Run<'_>) -> Result<Outcome, Fault> {
        let config = run.config;
        self.busy = true;
        self.is_changed |= E::may_change_session(run.verb);
        let result = within(config, E::execute(&mut self.session, run)).await;
        self.settle(result)
    }

    /// Run a statement that begins or ends a transaction.
    pub(super) async fn control(&mut self, sql: &'static str, config: &DatabaseConfig) -> Result<(), Fault> {
        self.busy = true;
        let result = within(config, E::control(&mut self.session, sql, config)).await;
        self.settle(result)
    }

    /// See [`Engine::rollback_flag`].
    pub(super) fn rollback_flag(&self) -> Option<Arc<AtomicBool>> {
        E::rollback_flag(&self.session)
    }

    /// Close the session instead of reusing it.
    pub(super) fn discard(mut self) {
        self.busy = true;
    }

    /// Whether the end of a statement that was sent is unknown.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// The session is free again unless the fault makes it unusable.
    fn settle<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        self.busy = result.as_ref().is_err_and(|fault| fault.unusable);
        if let Err(Fault { error: DatabaseError::ConnectionLost(_), .. }) = &result {
            self.health.note_loss();
        }
        result
    }
}

impl<E: Engine> Drop for Lease<E> {
    fn drop(&mut self) {
        if (self.busy || self.is_changed)
            && let Some(permits) = self.permits.take()
        {
            E::discard(&mut self.session, permits);
        }
    }
}

/// A checked statement, ready to run.
pub(super) struct Run<'a> {
    pub(super) sql: &'a str,
    pub(super) parameters: Vec<Value>,
    pub(super) verb: Verb,
    pub(super) config: &'a Arc<DatabaseConfig>,
}

/// A backstop: the database has its own time limit, but may not be reachable to enforce it.
async fn within<T>(config: &DatabaseConfig, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match timeout(config.query_timeout.get().saturating_add(GRACE), external(work)).await {
        Ok(result) => result,
        Err(_) => Err(Fault::fatal(DatabaseError::Timeout)),
    }
}
