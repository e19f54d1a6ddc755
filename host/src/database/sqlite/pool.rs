//! The sessions of one database with one access.

use super::session::{NoSession, Opening, Session};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;

/// Idle sessions, and how to make more.
pub(crate) struct Pool {
    opening: Opening,
    pub(super) max: u32,
    shared: Arc<Shared>,
}

struct Shared {
    /// None when the pool is closed.
    idle: Mutex<Option<Vec<Arc<Session>>>>,
    /// Each session holds a receiver.
    live: watch::Sender<()>,
    /// Each session that was discarded holds a receiver until it is closed. The pools of a database share this.
    closing: watch::Sender<()>,
}

/// A session that was taken from a pool, and returns there when it is dropped.
pub(crate) struct PooledSession {
    pub(super) session: Arc<Session>,
    pool: Arc<Shared>,
    pub(super) is_discarded: bool,
}

impl Pool {
    pub(super) fn new(opening: Opening, max: u32, closing: &watch::Sender<()>) -> Self {
        let idle = Mutex::new(Some(Vec::new()));
        let shared = Shared { idle, live: watch::Sender::new(()), closing: closing.clone() };
        Self { opening, max, shared: Arc::new(shared) }
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
        Ok(PooledSession { session, pool: Arc::clone(&self.shared), is_discarded: false })
    }

    async fn open(&self) -> Result<Session, NoSession> {
        if self.shared.live.receiver_count() >= self.max as usize {
            // It counts until it is closed.
            self.shared.closing.closed().await;
        }
        Session::open(self.opening.clone(), self.shared.live.subscribe()).await
    }

    /// Close all sessions, and wait for those in use.
    pub(super) async fn close(&self) {
        drop(self.shared.idle.lock().take());
        self.shared.live.closed().await;
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

impl Drop for PooledSession {
    fn drop(&mut self) {
        if self.is_discarded {
            return self.session.keep_until_closed(self.pool.closing.subscribe());
        }
        if let Some(idle) = &mut *self.pool.idle.lock() {
            self.session.rest();
            idle.push(Arc::clone(&self.session));
        }
    }
}
