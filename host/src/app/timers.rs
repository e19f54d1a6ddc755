//! The timers of an app and of its connections. They live in the host, so they survive instances and swaps.
//!
//! A connection's timer is handed to its session, which fires it in turn with messages; an app's timers
//! are fired here, one after the other.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

use super::connection::DueTimer;
use super::{App, call};

/// Bytes of a timer's name.
const MAX_NAME: usize = 256;

/// The longest delay: the host does not keep timers over a restart, so longer ones are a mistake.
const MAX_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);

/// The shortest delay. A timer that always sets itself again for now would take a whole core, one short call after
/// the other; and where time stands still, as in a test, it would never let it pass.
const MIN_DELAY: Duration = Duration::from_millis(1);

/// Who set a timer: a connection, or the app.
pub type Owner = Option<u64>;

/// Why a timer was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerError {
    /// The owner has as many as it may.
    TooMany,
    /// An argument that can never be right; says which.
    Invalid(String),
}

/// All timers of an app.
#[derive(Default)]
pub struct Timers {
    state: Mutex<TimerTable>,
}

#[derive(Default)]
struct TimerTable {
    queue: DelayQueue<Due>,
    owners: HashMap<Owner, HashMap<Arc<str>, Set>>,
    generation: u64,
    /// The task that waits for the queue's next timer.
    waiting: Option<Waker>,
}

struct Due {
    owner: Owner,
    timer: DueTimer,
}

struct Set {
    generation: u64,
    /// None once it is due and waits for its session.
    key: Option<Key>,
}

impl Timers {
    /// Wait for timers for as long as the app lives.
    pub(super) fn start(&self, app: &Arc<App>) {
        let app = Arc::downgrade(app);
        tokio::spawn(async move {
            while let Some(due) = next(&app).await {
                deliver(&app, due).await
            }
        });
    }

    /// Set a timer; one of the same owner and name is replaced.
    ///
    /// # Errors
    /// If the owner already has `most` others, or the name or delay is out of bounds.
    pub fn set(
        &self,
        owner: Owner,
        name: &str,
        after: Duration,
        payload: Bytes,
        most: usize,
    ) -> Result<(), TimerError> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(TimerError::Invalid(format!("a name has 1 to {MAX_NAME} bytes")));
        }
        if after > MAX_DELAY {
            return Err(TimerError::Invalid("the delay is more than 30 days".to_owned()));
        }
        let mut state = self.state.lock();
        let state = &mut *state;
        let own = state.owners.entry(owner).or_default();
        if own.len() >= most && !own.contains_key(name) {
            return Err(TimerError::TooMany);
        }
        state.generation += 1;
        let (name, generation): (Arc<str>, u64) = (name.into(), state.generation);
        let timer = DueTimer { name: Arc::clone(&name), generation, payload };
        let key = state.queue.insert(Due { owner, timer }, after.max(MIN_DELAY));
        if let Some(Set { key: Some(old), .. }) = own.insert(name, Set { generation, key: Some(key) }) {
            state.queue.remove(&old);
        }
        if let Some(waiting) = state.waiting.take() {
            waiting.wake();
        }
        Ok(())
    }

    /// Forget a timer. True if there was one.
    pub fn cancel(&self, owner: Owner, name: &str) -> bool {
        let mut state = self.state.lock();
        let state = &mut *state;
        let Some(own) = state.owners.get_mut(&owner) else { return false };
        let Some(set) = own.remove(name) else { return false };
        if own.is_empty() {
            state.owners.remove(&owner);
        }
        if let Some(key) = set.key {
            state.queue.remove(&key);
        }
        true
    }

    /// Forget all timers of a connection.
    pub fn cancel_all(&self, connection: u64) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let own = state.owners.remove(&Some(connection)).unwrap_or_default();
        for key in own.into_values().filter_map(|set| set.key) {
            state.queue.remove(&key);
        }
    }

    /// Whether a due timer is still to be fired, that is: neither replaced nor cancelled since. It is
    /// then forgotten, so that its name is free for the call that it causes.
    pub fn claim(&self, owner: Owner, timer: &DueTimer) -> bool {
        let mut state = self.state.lock();
        let Some(own) = state.owners.get_mut(&owner) else { return false };
        let current = own.get(&timer.name).is_some_and(|set| set.generation == timer.generation);
        if current {
            own.remove(&timer.name);
            if own.is_empty() {
                state.owners.remove(&owner);
            }
        }
        current
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        // The task sees that the app is gone, and ends.
        if let Some(waiting) = self.state.get_mut().waiting.take() {
            waiting.wake();
        }
    }
}

/// The next timer that is due, or none when the app is gone.
async fn next(app: &Weak<App>) -> Option<Due> {
    poll_fn(|context| match app.upgrade() {
        Some(app) => poll_next(&app.timers, context),
        None => Poll::Ready(None),
    })
    .await
}

fn poll_next(timers: &Timers, context: &mut Context<'_>) -> Poll<Option<Due>> {
    let mut state = timers.state.lock();
    let state = &mut *state;
    match state.queue.poll_expired(context) {
        Poll::Ready(Some(expired)) => {
            let due = expired.into_inner();
            let set = state.owners.get_mut(&due.owner).and_then(|own| own.get_mut(&due.timer.name));
            if let Some(set) = set.filter(|set| set.generation == due.timer.generation) {
                set.key = None;
            }
            Poll::Ready(Some(due))
        }
        // An empty queue is ready at once; what is set later wakes this task.
        Poll::Ready(None) | Poll::Pending => {
            state.waiting = Some(context.waker().clone());
            Poll::Pending
        }
    }
}

async fn deliver(app: &Weak<App>, due: Due) {
    let Some(app) = app.upgrade() else { return };
    match due.owner {
        Some(id) => {
            if let Some(connection) = app.connections.get(id) {
                connection.push_due(due.timer);
            }
        }
        None if app.timers.claim(None, &due.timer) => fire(&app, &due.timer).await,
        None => {}
    }
}

async fn fire(app: &Arc<App>, timer: &DueTimer) {
    app.recorder.fired();
    // An error is in the log already, and there is no connection to close.
    let _ = call::fired(app, None, &timer.name, &timer.payload).await;
}
