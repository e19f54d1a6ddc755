//! The sessions of one database with one access.

use super::super::engine::Health;
use super::super::error::{DatabaseError, Fault};
use super::super::limits::{self, Access};
use super::super::session::{Permits, closed};
use super::super::slots::{Slot, Slots};
use super::relay::Relay;
use super::{fault, prepare};
use crate::config::DatabaseConfig;
use parking_lot::Mutex;
use sqlx::Connection;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// How long a session may take to say goodbye, and the server to notice. One that takes longer does not count any more.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// The shortest time between two searches for sessions that were idle for too long.
const IDLE_CHECK: Duration = Duration::from_millis(100);

/// Bytes of an answer that do not count as a part of the result: the descriptions of its columns.
const DESCRIPTIONS: u64 = 2 << 20;

/// Bytes with which a row begins.
const ROW_HEAD: u64 = 8;

/// Idle sessions, and how to make more.
pub(crate) struct Pool {
    opening: Opening,
    health: Arc<Health>,
    shared: Arc<Shared>,
    _idle_check: AbortOnDropHandle<()>,
}

struct Opening {
    options: MySqlConnectOptions,
    access: Access,
    query_timeout: Duration,
    connect_timeout: Duration,
    most: u64,
}

struct Shared {
    /// Those that were used last are at the end. None when the pool is closed.
    idle: Mutex<Option<Vec<Resting>>>,
    idle_timeout: Duration,
    slots: Slots,
}

struct Resting {
    session: Session,
    since: Instant,
}

/// A session, and the task that bounds what it reads.
pub(super) struct Session {
    pub(super) connection: MySqlConnection,
    relay: Relay,
    /// The last of them, because fields are dropped in this order.
    slot: Slot,
}

/// A session that was taken from a pool, and returns there when it is dropped.
pub(crate) struct PooledSession {
    /// None only while this is dropped.
    session: Option<Session>,
    pool: Arc<Shared>,
    /// Those of the call, if the session is not used any more.
    discarded: Option<Permits>,
}

impl Pool {
    /// A pool that has not connected yet.
    pub(super) fn new(
        options: &MySqlConnectOptions,
        access: Access,
        config: &DatabaseConfig,
        health: Arc<Health>,
    ) -> Self {
        let idle_timeout = config.idle_timeout.get();
        let slots = Slots::new(config.max_connections.max(1));
        let shared = Shared { idle: Mutex::new(Some(Vec::new())), idle_timeout, slots };
        let shared = Arc::new(shared);
        let idle_check = tokio::spawn(close_idle(Arc::downgrade(&shared)));
        let opening = Opening {
            options: options.clone(),
            access,
            query_timeout: config.query_timeout.get(),
            connect_timeout: config.connect_timeout.get(),
            most: most_of_an_answer(config),
        };
        Self { opening, health, shared, _idle_check: AbortOnDropHandle::new(idle_check) }
    }

    /// The most sessions that the pool has.
    pub(super) fn max_sessions(&self) -> u32 {
        self.shared.slots.count()
    }

    /// The session that was used last, or a new one, within `connect_timeout`.
    pub(super) async fn acquire(&self) -> Result<PooledSession, DatabaseError> {
        let limit = self.opening.connect_timeout;
        let session = timeout(limit, self.find_or_open()).await.unwrap_or_else(|_| {
            Err(DatabaseError::ConnectionLost(format!("could not connect within {limit:?} (connect_timeout)")))
        })?;
        Ok(PooledSession { session: Some(session), pool: Arc::clone(&self.shared), discarded: None })
    }

    /// Close all sessions, and wait for those in use.
    pub(super) async fn close(&self) {
        let idle = self.shared.idle.lock().take();
        for resting in idle.into_iter().flatten() {
            resting.session.close(None);
        }
        self.shared.slots.close().await;
    }

    async fn find_or_open(&self) -> Result<Session, DatabaseError> {
        while let Some(Resting { mut session, since }) = self.shared.take()? {
            let is_doubtful = self.health.doubts(since.elapsed());
            // Half of the time is for a new session, in case this one is dead.
            if !is_doubtful || session.responds_within(self.opening.connect_timeout / 2).await {
                return Ok(session);
            }
        }
        // Sessions that are being closed hold slots.
        let slot = self.shared.slots.take().await.ok_or_else(closed)?;
        self.opening.open(slot).await.map_err(|error| fault(error).error)
    }
}

impl Opening {
    async fn open(&self, slot: Slot) -> Result<Session, sqlx::Error> {
        let (connection, relay) = Relay::connect(&self.options, self.most).await?;
        let mut session = Session { connection, relay, slot };
        prepare(&mut session.connection, self.access, self.query_timeout).await?;
        Ok(session)
    }
}

/// The most bytes of an answer whose result is small enough. A value has as many bytes as it counts, and at most an eighth
/// more for its length and the mark that it is not NULL.
fn most_of_an_answer(config: &DatabaseConfig) -> u64 {
    let bytes = u64::try_from(config.max_result_bytes.bytes()).unwrap_or(u64::MAX);
    let rows = u64::try_from(config.max_rows).unwrap_or(u64::MAX).saturating_mul(ROW_HEAD);
    bytes.saturating_add(bytes / 4).saturating_add(rows).saturating_add(DESCRIPTIONS)
}

impl Session {
    /// Replace the result of a statement in a session that was cut off.
    pub(super) fn judge<T>(&self, result: Result<T, Fault>, config: &DatabaseConfig) -> Result<T, Fault> {
        match self.relay.is_cut_off() {
            true => Err(Fault::fatal(limits::too_many_bytes(config))),
            false => result,
        }
    }

    async fn responds_within(&mut self, limit: Duration) -> bool {
        matches!(timeout(limit, self.connection.ping()).await, Ok(Ok(())))
    }

    /// Tell the server that the session ends, without waiting for that. The slot and the permits are free when the server has
    /// closed the session.
    fn close(self, permits: Option<Permits>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let Self { connection, relay, slot } = self;
        runtime.spawn(async move {
            // A server that is gone or hangs finds out by itself.
            let _ = timeout(GOODBYE, async {
                let _ = connection.close().await;
                relay.end().await;
            })
            .await;
            drop((slot, permits));
        });
    }
}

impl PooledSession {
    /// The session.
    pub(super) fn get(&mut self) -> Result<&mut Session, Fault> {
        self.session.as_mut().ok_or_else(|| Fault::fatal(closed()))
    }

    /// Close the session when this is dropped, and keep the permits until then.
    pub(super) fn discard(&mut self, permits: Permits) {
        self.discarded = Some(permits);
    }
}

impl Drop for PooledSession {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if let Some(permits) = self.discarded.take() {
            return session.close(Some(permits));
        }
        match &mut *self.pool.idle.lock() {
            Some(idle) => idle.push(Resting { session, since: Instant::now() }),
            None => session.close(None),
        }
    }
}

impl Shared {
    fn take(&self) -> Result<Option<Resting>, DatabaseError> {
        let mut idle = self.idle.lock();
        idle.as_mut().map(Vec::pop).ok_or_else(closed)
    }

    /// Close the sessions that were idle for too long. Returns when the next one will have been.
    fn close_expired(&self) -> Duration {
        let mut idle = self.idle.lock();
        let Some(idle) = idle.as_mut() else { return self.idle_timeout };
        let count = idle.partition_point(|resting| resting.since.elapsed() >= self.idle_timeout);
        for resting in idle.drain(..count) {
            resting.session.close(None);
        }
        let oldest = idle.first().map(|resting| resting.since.elapsed());
        self.idle_timeout.saturating_sub(oldest.unwrap_or_default())
    }
}

async fn close_idle(pool: Weak<Shared>) {
    while let Some(next) = pool.upgrade().map(|pool| pool.close_expired()) {
        sleep(next.max(IDLE_CHECK)).await;
    }
}
