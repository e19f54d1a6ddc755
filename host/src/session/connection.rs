//! One accepted WebSocket, as the rest of the host sees it.

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::close::Close;
use super::outbox::Outbox;
use super::seat::Seat;
use crate::app::App;
use crate::config::AppLimits;
use crate::module::call;
use crate::record::Tap;

/// A timer of a connection whose time has come.
#[derive(Debug)]
pub struct DueTimer {
    /// Its name.
    pub name: Arc<str>,
    /// Which setting of that name: one that was replaced or cancelled since is not fired.
    pub generation: u64,
    /// What the module gave along.
    pub payload: Bytes,
}

/// What the host keeps for a connection. The session's task has the socket; everybody else has this.
pub struct Connection {
    /// Its number, never used twice.
    pub id: u64,
    /// What is to be written.
    pub outbox: Outbox,
    /// The module's bytes.
    pub attachment: Mutex<Bytes>,
    /// The version that serves it.
    pub seat: Seat,
    /// The topics that it is subscribed to. Locked after the topics' own lock, never before.
    pub(crate) topics: Mutex<BTreeSet<Arc<str>>>,
    due: Mutex<VecDeque<DueTimer>>,
    /// Where it is recorded, if it is.
    tap: OnceLock<Tap>,
    /// Something happened since the session last looked. One load instead of two locks for each poll.
    mail: AtomicBool,
    session: AtomicWaker,
}

impl Connection {
    /// A connection that is about to be opened.
    pub fn new(id: u64, outbox_bytes: usize) -> Self {
        Self {
            id,
            outbox: Outbox::new(outbox_bytes),
            attachment: Mutex::default(),
            seat: Seat::default(),
            topics: Mutex::default(),
            due: Mutex::default(),
            tap: OnceLock::new(),
            mail: AtomicBool::new(true),
            session: AtomicWaker::new(),
        }
    }

    /// Have the session look at its outbox and timers.
    pub fn wake(&self) {
        self.mail.store(true, Ordering::Release);
        self.session.wake();
    }

    /// Record it from now on. It has just been opened, so nobody else does.
    pub(crate) fn record(&self, tap: Tap) {
        let _ = self.tap.set(tap);
    }

    /// Whoever records it learns of its end: before the client does, so that what the client does next comes after it.
    pub(super) fn note_end(&self, close: &Close) {
        if let Some(tap) = self.tap() {
            tap.ended(close);
        }
    }

    /// Where it is recorded, if it is.
    pub(crate) fn tap(&self) -> Option<&Tap> {
        self.tap.get()
    }

    /// A timer's time has come.
    pub fn push_due(&self, timer: DueTimer) {
        self.due.lock().push_back(timer);
        self.wake();
    }

    pub(super) fn pop_due(&self) -> Option<DueTimer> {
        self.due.lock().pop_front()
    }

    /// Ready when there are messages to write.
    pub(super) async fn messages(&self) {
        poll_fn(|context| {
            self.session.register(context.waker());
            if self.outbox.has_messages() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether something happened since the last time; if not, `waker` is woken when it does.
    pub(super) fn has_mail(&self, waker: &Waker) -> bool {
        // First register, then look: what comes in between is seen or wakes.
        self.session.register(waker);
        self.mail.load(Ordering::Acquire) && self.mail.swap(false, Ordering::AcqRel)
    }
}

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
            let tasks = app.surroundings.tasks.clone();
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
