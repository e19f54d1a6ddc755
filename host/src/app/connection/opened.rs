//! An accepted connection, which owes its module one `closed`.

use std::sync::Arc;

use super::{Close, Connection};
use crate::app::{App, call};
use crate::config::AppLimits;

/// A connection that the module has accepted. Whatever becomes of it, the module's `closed` is called
/// exactly once (invariant 2): by [`finish`](Self::finish), or when this is dropped.
pub struct Opened {
    /// Its app.
    pub app: Arc<App>,
    /// Its bounds: those of the moment at which it was opened.
    pub limits: Arc<AppLimits>,
    /// The connection.
    pub connection: Arc<Connection>,
    finished: bool,
}

impl Opened {
    /// The module's `open` has just accepted `connection`.
    pub fn new(app: Arc<App>, limits: Arc<AppLimits>, connection: Arc<Connection>) -> Self {
        Self { app, limits, connection, finished: false }
    }

    /// Tell the module that the connection has ended, and forget it.
    pub async fn finish(mut self, close: Close) {
        self.finished = true;
        finish(&self.app, &self.connection, close).await;
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // The client vanished during the handshake, or a task was ended: `closed` still has to be called,
        // and that takes time, which a drop does not have.
        let (app, connection) = (Arc::clone(&self.app), Arc::clone(&self.connection));
        if tokio::runtime::Handle::try_current().is_ok() {
            let tasks = app.context.tasks.clone();
            tasks.spawn(async move { finish(&app, &connection, Close::lost("the handshake was cut off")).await });
        }
    }
}

async fn finish(app: &Arc<App>, connection: &Arc<Connection>, close: Close) {
    connection.note_end(&close);
    connection.outbox.shut();
    app.topics.unsubscribe_all(connection);
    app.timers.cancel_all(connection.id);
    // An error is in the log already, and the connection is gone anyway.
    let _ = call::closed(app, connection, &close.to_closing()).await;
    // `closed` may have subscribed it again or set a timer; neither may outlive it.
    app.forget(connection);
    tracing::debug!(app = %app.name, connection = connection.id, code = close.code, reason = %close.reason, by = ?close.by, "closed");
}
