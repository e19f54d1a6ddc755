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
use super::version_binding::VersionBinding;
use crate::app::recording::Tap;

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
    pub binding: VersionBinding,
    /// The topics that it is subscribed to. Locked after the topics' own lock, never before.
    pub(crate) topics: Mutex<BTreeSet<Arc<str>>>,
    due: Mutex<VecDeque<DueTimer>>,
    /// Where it is recorded, if it is.
    tap: OnceLock<Tap>,
    /// Something happened since the session last looked. One load instead of two locks for each poll.
    wakeup: AtomicBool,
    session: AtomicWaker,
}

impl Connection {
    /// A connection that is about to be opened.
    pub fn new(id: u64, outbox_bytes: usize) -> Self {
        Self {
            id,
            outbox: Outbox::new(outbox_bytes),
            attachment: Mutex::default(),
            binding: VersionBinding::default(),
            topics: Mutex::default(),
            due: Mutex::default(),
            tap: OnceLock::new(),
            wakeup: AtomicBool::new(true),
            session: AtomicWaker::new(),
        }
    }

    /// Have the session look at its outbox and timers.
    pub fn wake(&self) {
        self.wakeup.store(true, Ordering::Release);
        self.session.wake();
    }

    /// Record it from now on. It has just been opened, so nobody else does.
    pub(crate) fn record(&self, tap: Tap) {
        let _ = self.tap.set(tap);
    }

    /// Whoever records it learns of its end: before the client does, so that what the client does next comes after it.
    pub(crate) fn note_end(&self, close: &Close) {
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

    pub(crate) fn pop_due(&self) -> Option<DueTimer> {
        self.due.lock().pop_front()
    }

    /// Ready when there are messages to write.
    pub(crate) async fn messages(&self) {
        poll_fn(|context| {
            self.session.register(context.waker());
            if self.outbox.has_messages() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether something happened since the last time; if not, `waker` is woken when it does.
    pub(crate) fn take_wakeup(&self, waker: &Waker) -> bool {
        // First register, then look: what comes in between is seen or wakes.
        self.session.register(waker);
        self.wakeup.load(Ordering::Acquire) && self.wakeup.swap(false, Ordering::AcqRel)
    }
}
