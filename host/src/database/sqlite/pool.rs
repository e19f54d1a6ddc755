//! The sessions of one database with one access.

use super::super::session::Permits;
use super::super::slots::Slots;
use super::session::{NoSession, Opening, Session};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;

/// Idle sessions, and how to make more.
pub(crate) struct Pool {
    opening: Opening,
    shared: Arc<Shared>,
}

struct Shared {
    /// None when the pool is closed.
    idle: Mutex<Option<Vec<Arc<Session>>>>,
    slots: Slots,
    in_memory: bool,
    /// Each session of a database in memory that was discarded holds a receiver until it is closed. The pools of the database
    /// share this.
    closing: watch::Sender<()>,
}

/// A session that was taken from a pool, and returns there when it is dropped.
pub(crate) struct PooledSession {
    pub(super) session: Arc<Session>,
    pool: Arc<Shared>,
    /// Those of the call, if the session is not used any more.
    discarded: Option<Permits>,
}

impl Pool {
    pub(super) fn new(opening: Opening, max: u32, closing: &watch::Sender<()>) -> Self {
        let idle = Mutex::new(Some(Vec::new()));
        let in_memory = opening.in_memory;
        let shared = Shared { idle, slots: Slots::new(max), in_memory, closing: closing.clone() };
        Self { opening, shared: Arc::new(shared) }
    }

    /// The most sessions that the pool has.
    pub(super) fn max_sessions(&self) -> u32 {
        self.shared.slots.count()
    }

    /// The session that was used last, or a new one.
    pub(super) async fn acquire(&self) -> Result<PooledSession, NoSession> {
        if self.opening.in_memory {
            // A session that is being closed may still hold a lock, which this one would not wait for.
            self.shared.closing.closed().await;
        }
        let session = match self.shared.take()? {
            Some(session) => session,
            None => Arc::new(self.open().await?),
        };
        Ok(PooledSession { session, pool: Arc::clone(&self.shared), discarded: None })
    }

    async fn open(&self) -> Result<Session, NoSession> {
        // A session counts until it is closed, also one whose call ended while it was opened.
        let slot = self.shared.slots.take().await.ok_or(NoSession::Ended)?;
        Session::open(self.opening.clone(), slot).await
    }

    /// Close all sessions, and wait for those in use.
    pub(super) async fn close(&self) {
        drop(self.shared.idle.lock().take());
        self.shared.slots.close().await;
    }
}

impl Shared {
    fn take(&self) -> Result<Option<Arc<Session>>, NoSession> {
        let mut idle = self.idle.lock();
        let idle = idle.as_mut().ok_or(NoSession::Ended)?;
        while let Some(session) = idle.pop() {
            if session.resume() {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }
}

impl PooledSession {
    /// Close the session when this is dropped, and keep the permits until then.
    pub(super) fn discard(&mut self, permits: Permits) {
        self.discarded = Some(permits);
    }
}

impl Drop for PooledSession {
    fn drop(&mut self) {
        if let Some(permits) = self.discarded.take() {
            return match self.pool.in_memory {
                // Calls wait for it when they have their permits: in a simulation, time does not pass then.
                true => self.session.keep_until_closed(self.pool.closing.subscribe()),
                false => self.session.keep_until_closed(permits),
            };
        }
        if let Some(idle) = &mut *self.pool.idle.lock() {
            self.session.rest();
            idle.push(Arc::clone(&self.session));
        }
    }
}
