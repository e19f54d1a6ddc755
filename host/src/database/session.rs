//! Pools of sessions, and the execution of one statement in a session within the limits.
//!
//! A session is *busy* from the moment at which a statement is sent until it has ended in a known state. However a call
//! ends (an error, a time limit, a trap of the module that drops the future), a session that is still busy is closed
//! and never reused.

use super::engine::{Engine, Health};
use super::error::{DatabaseError, Fault};
use super::limits::{Access, Meter};
use super::statement::Verb;
use super::value::{Outcome, RowSet, Value};
use crate::config::DatabaseConfig;
use crate::external::external;
use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::{Column, Either, Row};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How much longer than `query_timeout` the host waits for a statement. The database should have ended it by then.
const GRACE: Duration = Duration::from_millis(500);

/// Longer statements are not kept prepared, because each session keeps a hundred of them and the module chooses their
/// length.
const MAX_KEPT_STATEMENT: usize = 16 * 1024;

/// A pool in which all sessions have the same access.
pub(super) struct EnginePool<E: Engine> {
    pool: sqlx::Pool<E>,
    /// The host's own permits, because the driver's pool does not distinguish "all busy" from "cannot connect".
    permits: Arc<Semaphore>,
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
        let size = pool.options().get_max_connections();
        let permits = alone.unwrap_or_else(|| Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1))));
        EnginePool { permits, pool, health, config: Arc::clone(config) }
    }

    /// Create the first session.
    ///
    /// # Errors
    /// The reason for which the session cannot be created.
    pub(super) async fn connect(&self) -> Result<(), DatabaseError> {
        external(self.pool.acquire()).await.map(drop).map_err(|error| self.no_session(error))
    }

    /// A session of the pool, for exclusive use.
    ///
    /// # Errors
    /// [`DatabaseError::PoolExhausted`] if all sessions were busy for `acquire_timeout`; otherwise the reason for which
    /// there is no session.
    pub(super) async fn lease(&self) -> Result<Lease<E>, DatabaseError> {
        let wait = Arc::clone(&self.permits).acquire_owned();
        let permit = match timeout(self.config.acquire_timeout.get(), wait).await {
            Err(_) => return Err(DatabaseError::PoolExhausted),
            Ok(Err(_)) => return Err(closed()),
            Ok(Ok(permit)) => permit,
        };
        match external(self.pool.acquire()).await {
            Ok(session) => Ok(Lease { session, busy: false, health: Arc::clone(&self.health), _permit: permit }),
            Err(error) => Err(self.no_session(error)),
        }
    }

    /// Why the driver's pool returned no session although the host holds a permit. The pool retries a refused
    /// connection until its time is over, and only then reports a timeout.
    fn no_session(&self, error: sqlx::Error) -> DatabaseError {
        let timed_out = matches!(error, sqlx::Error::PoolTimedOut);
        if timed_out && self.pool.size() >= self.pool.options().get_max_connections() {
            return DatabaseError::PoolExhausted;
        }
        if timed_out {
            let limit = self.config.connect_timeout.get();
            return DatabaseError::ConnectionLost(format!("could not connect within {limit:?} (connect_timeout)"));
        }
        E::fault(error).error
    }

    /// Close all sessions. This waits for the calls that use them, but no longer than one statement may take: a session
    /// that is returned later is closed then. Later calls fail at once.
    pub(super) async fn close(&self) {
        self.permits.close();
        let close_timeout = self.config.query_timeout.get().saturating_add(GRACE);
        let closed = timeout(close_timeout, self.pool.close()).await;
        if closed.is_err() {
            tracing::warn!("sessions are still in use; each is closed when its call ends");
        }
    }
}

fn closed() -> DatabaseError {
    DatabaseError::ConnectionLost("the host has closed the database".to_owned())
}

/// A session that was taken from the pool. It is returned to the pool unless it is busy.
pub(super) struct Lease<E: Engine> {
    // Before the permit: fields are dropped in this order, and the permit promises a free session.
    session: PoolConnection<E>,
    busy: bool,
    health: Arc<Health>,
    _permit: OwnedSemaphorePermit,
}

impl<E: Engine> Lease<E> {
    /// Run a statement and collect its rows.
    pub(super) async fn query(&mut self, run: Run<'_>) -> Result<RowSet, Fault> {
        let arguments = E::arguments(run.parameters).map_err(Fault::harmless)?;
        let work = collect::<E>(&mut self.session, run.sql, arguments, run.verb, run.config);
        self.busy = true;
        let result = within(run.config, work).await;
        self.settle(result)
    }

    /// Run a statement and count the rows that it changed.
    pub(super) async fn execute(&mut self, run: Run<'_>) -> Result<Outcome, Fault> {
        let arguments = E::arguments(run.parameters).map_err(Fault::harmless)?;
        let work = count::<E>(&mut self.session, run.sql, arguments, run.verb, run.config);
        self.busy = true;
        let result = within(run.config, work).await;
        self.settle(result)
    }

    /// Run a statement that begins or ends a transaction.
    pub(super) async fn control(&mut self, sql: &'static str, config: &DatabaseConfig) -> Result<(), Fault> {
        let session: &mut E::Connection = &mut self.session;
        let work = async { E::control(session, sql).await.map_err(E::fault) };
        self.busy = true;
        let result = within(config, work).await;
        self.settle(result)
    }

    /// See [`Engine::rollback_flag`].
    pub(super) async fn rollback_flag(&mut self, config: &DatabaseConfig) -> Result<Option<Arc<AtomicBool>>, Fault> {
        let session: &mut E::Connection = &mut self.session;
        let work = async { E::rollback_flag(session).await.map_err(E::fault) };
        self.busy = true;
        let result = within(config, work).await;
        self.settle(result)
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
        if self.busy {
            self.session.close_on_drop();
        }
    }
}

/// A checked statement, ready to run.
pub(super) struct Run<'a> {
    pub(super) sql: &'a str,
    pub(super) parameters: Vec<Value>,
    pub(super) verb: Verb,
    pub(super) config: &'a DatabaseConfig,
}

/// A backstop: the database has its own time limit, but may not be reachable to enforce it.
async fn within<T>(config: &DatabaseConfig, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match timeout(config.query_timeout.get().saturating_add(GRACE), external(work)).await {
        Ok(result) => result,
        Err(_) => Err(Fault::fatal(DatabaseError::Timeout)),
    }
}

async fn collect<E: Engine>(
    session: &mut E::Connection,
    sql: &str,
    arguments: E::Arguments,
    verb: Verb,
    config: &DatabaseConfig,
) -> Result<RowSet, Fault> {
    let _watch = E::watch(session, config.query_timeout.get()).await.map_err(E::fault)?;
    let keep = sql.len() <= MAX_KEPT_STATEMENT;
    let sql: Arc<str> = sql.into();
    let mut found = RowSet::default();
    let mut meter = Meter::new(config);
    let mut complete = false;
    let mut results = E::stream(session, Arc::clone(&sql), arguments, keep);
    while let Some(item) = results.try_next().await.map_err(E::fault)? {
        match item {
            // A procedure may return several results; the first one that has rows counts.
            Either::Left(_) => complete = !found.rows.is_empty(),
            Either::Right(row) if !complete => {
                if found.rows.is_empty() {
                    found.columns = names::<E>(&row);
                }
                let values = E::row(&row).map_err(E::fault)?;
                meter.count(&values).map_err(|error| Fault { error, unusable: E::CLOSE_UNREAD })?;
                found.rows.push(values);
            }
            Either::Right(_) => {}
        }
    }
    drop(results);
    if found.rows.is_empty() && verb != Verb::Define {
        // The column names are optional: a statement that cannot be prepared twice has none.
        found.columns = E::columns(session, sql, keep).await.unwrap_or_default();
    }
    Ok(found)
}

fn names<E: Engine>(row: &E::Row) -> Vec<String> {
    let columns = row.columns().iter();
    columns.map(|column| column.name().to_owned()).collect()
}

async fn count<E: Engine>(
    session: &mut E::Connection,
    sql: &str,
    arguments: E::Arguments,
    verb: Verb,
    config: &DatabaseConfig,
) -> Result<Outcome, Fault> {
    let _watch = E::watch(session, config.query_timeout.get()).await.map_err(E::fault)?;
    let keep = sql.len() <= MAX_KEPT_STATEMENT;
    let mut total = Outcome::default();
    let mut results = E::stream(session, sql.into(), arguments, keep);
    while let Some(item) = results.try_next().await.map_err(E::fault)? {
        if let Either::Left(result) = item {
            let outcome = E::outcome(&result, verb);
            total.affected_rows = total.affected_rows.saturating_add(outcome.affected_rows);
            total.last_insert_id = outcome.last_insert_id.or(total.last_insert_id);
        }
    }
    Ok(total)
}
