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
}

/// A session that was taken from a pool, and returns there when it is dropped.
pub(crate) struct PooledSession {
    pub(super) session: Arc<Session>,
    pool: Arc<Shared>,
    pub(super) is_discarded: bool,
}

impl Pool {
    pub(super) fn new(opening: Opening, max: u32) -> Self {
        let shared = Shared { idle: Mutex::new(Some(Vec::new())), live: watch::Sender::new(()) };
        Self { opening, max, shared: Arc::new(shared) }
    }

    /// The session that was used last, or a new one.
    pub(super) async fn acquire(&self) -> Result<PooledSession, NoSession> {
        let session = match self.shared.take()? {
            Some(session) => session,
            None => Arc::new(Session::open(self.opening.clone(), self.shared.live.subscribe()).await?),
        };
        Ok(PooledSession { session, pool: Arc::clone(&self.shared), is_discarded: false })
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
            return;
        }
        if let Some(idle) = &mut *self.pool.idle.lock() {
            self.session.rest();
            idle.push(Arc::clone(&self.session));
        }
    }
}
