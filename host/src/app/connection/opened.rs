//! An accepted connection. The host owes its module exactly one call of `closed`.

use std::sync::Arc;

use super::{Close, Connection, side_name};
use crate::app::{App, call};
use crate::config::AppLimits;
use crate::text::log_line;

/// A connection that the module has accepted. However it ends, the host calls the module's `closed` exactly once
/// (invariant 2): in [`finish`](Self::finish), or when this is dropped.
pub struct Opened {
    /// The app of the connection.
    pub app: Arc<App>,
    /// The limits of the connection, as they were when it was opened.
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
        // The client disappeared during the handshake, or a task was cancelled. `closed` still has to be called, and it
        // is asynchronous, so it needs a task.
        let (app, connection) = (Arc::clone(&self.app), Arc::clone(&self.connection));
        if tokio::runtime::Handle::try_current().is_ok() {
            let tasks = app.context.tasks.clone();
            tasks.spawn(async move { finish(&app, &connection, Close::lost("the handshake was cut off")).await });
        }
    }
}

async fn finish(app: &Arc<App>, connection: &Arc<Connection>, close: Close) {
    connection.note_end(&close);
    app.traffic.closed(&close);
    if close.is_out_of_memory() {
        app.context.memory.note_closed();
    }
    connection.outbox.shut();
    connection.end_resumption();
    app.topics.unsubscribe_all(connection);
    app.timers.cancel_all(connection.id);
    // A failure is already in the log, and the connection does not exist any more.
    let closing = close.to_closing();
    if call::closed_directly(app, connection, &closing).is_none() {
        let ending = app.one_more_ends();
        let _ = call::closed(app, connection, &closing).await;
        drop(ending);
    }
    // `closed` may have subscribed the connection again or set a timer; neither may outlive the connection.
    app.forget(connection);
    // The reason is the client's or the module's, and must not be able to forge lines of the log.
    let reason = log_line(&close.reason);
    tracing::debug!(app = %app.name, connection = connection.id, code = close.code, %reason, by = side_name(close.by), "closed");
}
