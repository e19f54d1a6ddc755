//! Messages on their way into the stream. Those of one topic are stored one after the other, so that they stay in their order
//! also when one of them has to be tried again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};

use crate::app::connection::MESSAGE_OVERHEAD;
use crate::app::publish::PublishError;
use crate::cluster::{AppStream, ClusterError, Outgoing, Stored};

/// How long a message waits before it is tried again, at first and at last.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Who waits for a message to be stored.
pub(super) type Waiter = oneshot::Sender<Result<Stored, PublishError>>;

/// The messages of an app that are not stored yet.
pub(super) struct Queues {
    stream: Arc<AppStream>,
    app: String,
    state: Mutex<State>,
    empty: Notify,
}

#[derive(Default)]
struct State {
    /// A topic that is here has a task that stores its messages.
    by_topic: HashMap<Arc<str>, VecDeque<Pending>>,
    bytes: usize,
}

struct Pending {
    message: Outgoing,
    waiter: Option<Waiter>,
    since: Instant,
}

impl Pending {
    fn bytes(&self) -> usize {
        self.message.message.payload_len() + MESSAGE_OVERHEAD
    }
}

impl Queues {
    pub(super) fn new(stream: Arc<AppStream>, app: &str) -> Self {
        Self { stream, app: app.to_owned(), state: Mutex::default(), empty: Notify::new() }
    }

    /// Store a message after those of its topic that were pushed before it.
    ///
    /// # Errors
    /// If too many wait.
    pub(super) fn push(
        self: &Arc<Self>,
        topic: &str,
        message: Outgoing,
        waiter: Option<Waiter>,
    ) -> Result<(), PublishError> {
        let pending = Pending { message, waiter, since: Instant::now() };
        let mut state = self.state.lock();
        if state.bytes + pending.bytes() > self.stream.cluster().config().queue_bytes.bytes() {
            return Err(PublishError::Unavailable);
        }
        state.bytes += pending.bytes();
        if let Some(queue) = state.by_topic.get_mut(topic) {
            queue.push_back(pending);
            return Ok(());
        }
        let topic: Arc<str> = topic.into();
        state.by_topic.insert(Arc::clone(&topic), VecDeque::from([pending]));
        tokio::spawn(Arc::clone(self).store_all(topic));
        Ok(())
    }

    /// Wait until everything is stored.
    pub(super) async fn are_empty(&self) {
        loop {
            let empty = self.empty.notified();
            if self.state.lock().by_topic.is_empty() {
                return;
            }
            empty.await;
        }
    }

    async fn store_all(self: Arc<Self>, topic: Arc<str>) {
        while let Some(pending) = self.next(&topic) {
            let bytes = pending.bytes();
            self.store(&topic, pending).await;
            self.state.lock().bytes -= bytes;
        }
    }

    /// The next message of a topic. If there is none, another task begins with the one after it.
    fn next(&self, topic: &str) -> Option<Pending> {
        let mut state = self.state.lock();
        let pending = state.by_topic.get_mut(topic)?.pop_front();
        if pending.is_none() {
            state.by_topic.remove(topic);
            if state.by_topic.is_empty() {
                self.empty.notify_waiters();
            }
        }
        pending
    }

    async fn store(&self, topic: &str, pending: Pending) {
        let Pending { message, waiter, since } = pending;
        let until = since + self.stream.cluster().config().publish_timeout.get();
        let name = match &message.id {
            Some(id) => self.stream.name_of(topic, id),
            None => self.stream.name_of_next(),
        };
        let mut interruptions = self.stream.cluster().interruptions();
        let mut pause = PAUSE;
        let stored = loop {
            // Somebody who does not wait any more was told that it is not stored.
            if waiter.as_ref().is_some_and(oneshot::Sender::is_closed) {
                return;
            }
            if Instant::now() >= until {
                tracing::warn!(
                    app = self.app,
                    topic,
                    "a message was not published: NATS was away for `publish_timeout`"
                );
                break Err(PublishError::Unavailable);
            }
            // The client would keep it, and send it much later.
            if !self.stream.cluster().is_connected() {
                sleep(pause).await;
                continue;
            }
            interruptions.borrow_and_update();
            let stored = tokio::select! {
                stored = self.stream.store(topic, &name, &message) => stored,
                // The answer may be lost.
                Ok(()) = interruptions.changed() => continue,
            };
            match stored {
                Ok(stored) => break Ok(stored),
                Err(ClusterError::TooLarge) => break Err(PublishError::TooLarge),
                Err(error) => tracing::debug!(app = self.app, topic, %error, "a message is tried again"),
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        };
        if let Some(waiter) = waiter {
            // Nobody may wait any more.
            let _ = waiter.send(stored);
        }
    }
}
