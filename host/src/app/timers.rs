//! The timers of an app and of its connections. They live in the host, so they survive instances and swaps.
//!
//! A timer of a connection is handed to the session, which fires it in order with messages. The timers of an app are
//! fired here, one after the other, by a task of their own: their calls must not delay other timers.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

use super::connection::{Connection, DueTimer};
use super::{App, call};

/// The maximum length of a timer's name in bytes.
const MAX_NAME: usize = 256;

/// The longest delay. The host does not keep timers over a restart, so a longer delay is a mistake.
const MAX_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);

/// The shortest delay. A timer that always sets itself again without a delay would use a whole core, with one short
/// call after the other. Where time passes only on demand, as in a test, time would never advance past it.
const MIN_DELAY: Duration = Duration::from_millis(1);

/// The owner of a timer: a connection, or the app.
pub type Owner = Option<u64>;

/// When a timer fires.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// The delay of the first time, from now.
    pub after: Duration,
    /// If set, the timer fires again and again, each time this long after it has fired.
    pub every: Option<Duration>,
}

/// What happens to an existing timer with the same owner and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// It stays as it is.
    Keep,
}

/// Why a timer was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerError {
    /// The owner has the maximum number of timers.
    TooMany,
    /// The owner is a connection that has ended.
    Forgotten,
    /// An argument that is never valid. The text names it.
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
    /// Bytes of the payloads of timers of the app. Counted, because a sum would take long at each timer that is set.
    bytes_of_app: usize,
    /// The task that waits for the queue's next timer.
    waiting: Option<Waker>,
    /// Timers of the app that are due and not fired yet. They are among `owners`, so there are not more than may be set.
    due: VecDeque<DueTimer>,
    /// The task that waits for one of these.
    firing: Option<Waker>,
}

struct Due {
    owner: Owner,
    timer: DueTimer,
}

struct Set {
    generation: u64,
    /// None when the timer is due and waits for its session.
    key: Option<Key>,
    every: Option<Duration>,
    /// The length of the payload in bytes.
    payload: usize,
}

impl Timers {
    /// Wait for timers for as long as the app exists.
    pub(super) fn start(&self, app: &Arc<App>) {
        let app = Arc::downgrade(app);
        tokio::spawn(fire_due(Weak::clone(&app)));
        tokio::spawn(async move {
            while let Some(due) = next(&app).await {
                deliver(&app, due);
            }
        });
    }

    /// Set a timer. False if an existing timer with the same owner and name is kept.
    ///
    /// # Errors
    /// If the owner has ended or already has `most` others, or the name or a time is out of bounds.
    pub fn set(
        &self,
        owner: Option<&Connection>,
        name: &str,
        schedule: Schedule,
        payload: Bytes,
        most: usize,
        existing: Existing,
    ) -> Result<bool, TimerError> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(TimerError::Invalid(format!("a name has 1 to {MAX_NAME} bytes")));
        }
        if schedule.after.max(schedule.every.unwrap_or_default()) > MAX_DELAY {
            return Err(TimerError::Invalid("a time is more than 30 days".to_owned()));
        }
        let mut state = self.state.lock();
        let state = &mut *state;
        if owner.is_some_and(|connection| connection.is_forgotten.load(Ordering::Relaxed)) {
            return Err(TimerError::Forgotten);
        }
        let owner = owner.map(|connection| connection.id);
        let own = state.owners.get(&owner);
        let is_present = own.is_some_and(|own| own.contains_key(name));
        if is_present && existing == Existing::Keep {
            return Ok(false);
        }
        if !is_present && own.map_or(0, HashMap::len) >= most {
            return Err(TimerError::TooMany);
        }
        state.insert(owner, name.into(), schedule, payload);
        Ok(true)
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
        state.uncount(owner, &set);
        if let Some(key) = set.key {
            state.queue.remove(&key);
        }
        state.forget_due(owner, name);
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

    /// How many timers are set, of the app and of its connections.
    pub fn count(&self) -> usize {
        self.state.lock().owners.values().map(HashMap::len).sum()
    }

    /// How many bytes the timers of the app itself keep.
    pub fn bytes_of_app(&self) -> usize {
        self.state.lock().bytes_of_app
    }

    /// How many bytes the timers of each connection keep.
    pub fn bytes_by_connection(&self) -> HashMap<u64, usize> {
        let state = self.state.lock();
        let of = |own: &HashMap<Arc<str>, Set>| own.values().map(|set| set.payload).sum();
        state.owners.iter().filter_map(|(owner, own)| Some(((*owner)?, of(own)))).collect()
    }

    /// Whether a due timer is still to be fired, that is: it was neither replaced nor cancelled since. A timer that
    /// fires once is then forgotten, so that the call that it causes can use its name again. A timer that repeats is
    /// set again.
    pub fn claim(&self, owner: Owner, timer: &DueTimer) -> bool {
        let mut state = self.state.lock();
        let Some(own) = state.owners.get_mut(&owner) else { return false };
        let Some(set) = own.get(&timer.name).filter(|set| set.generation == timer.generation) else { return false };
        match set.every {
            Some(every) => {
                let schedule = Schedule { after: every, every: Some(every) };
                state.insert(owner, Arc::clone(&timer.name), schedule, timer.payload.clone());
            }
            None => {
                let fired = own.remove(&timer.name);
                if own.is_empty() {
                    state.owners.remove(&owner);
                }
                fired.iter().for_each(|set| state.uncount(owner, set));
            }
        }
        true
    }
}

impl TimerTable {
    /// Insert a timer, and replace one with the same owner and name.
    fn insert(&mut self, owner: Owner, name: Arc<str>, schedule: Schedule, payload: Bytes) {
        self.forget_due(owner, &name);
        self.generation += 1;
        let generation = self.generation;
        let length = payload.len();
        let timer = DueTimer { name: Arc::clone(&name), generation, payload };
        let key = self.queue.insert(Due { owner, timer }, schedule.after.max(MIN_DELAY));
        let set = Set { generation, key: Some(key), every: schedule.every, payload: length };
        if owner.is_none() {
            self.bytes_of_app += length;
        }
        if let Some(replaced) = self.owners.entry(owner).or_default().insert(name, set) {
            self.uncount(owner, &replaced);
            if let Some(old) = replaced.key {
                self.queue.remove(&old);
            }
        }
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// A timer is not set any more.
    fn uncount(&mut self, owner: Owner, set: &Set) {
        if owner.is_none() {
            self.bytes_of_app -= set.payload;
        }
    }

    /// A timer that was replaced or cancelled is not to be fired any more.
    fn forget_due(&mut self, owner: Owner, name: &str) {
        if owner.is_none() {
            self.due.retain(|due| &*due.name != name);
        }
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        // The tasks notice that the app does not exist any more, and end.
        for task in [state.waiting.take(), state.firing.take()].into_iter().flatten() {
            task.wake();
        }
    }
}

/// The next timer that is due. None when the app does not exist any more.
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
        // An empty queue is ready at once; a timer that is set later wakes this task.
        Poll::Ready(None) | Poll::Pending => {
            state.waiting = Some(context.waker().clone());
            Poll::Pending
        }
    }
}

fn deliver(app: &Weak<App>, due: Due) {
    let Some(app) = app.upgrade() else { return };
    match due.owner {
        Some(id) => {
            if let Some(connection) = app.connections.get(id) {
                connection.push_due(due.timer);
            }
        }
        None => {
            let mut state = app.timers.state.lock();
            state.due.push_back(due.timer);
            if let Some(firing) = state.firing.take() {
                firing.wake();
            }
        }
    }
}

/// Fire the timers of the app, one after the other, for as long as the app exists.
async fn fire_due(app: Weak<App>) {
    while let Some((app, timer)) = next_due(&app).await {
        // When the host has no time left, nothing is called any more.
        if !app.context.out_of_time.is_cancelled() && app.timers.claim(None, &timer) {
            fire(&app, &timer).await;
        }
    }
}

/// The timer of the app to fire next. None when the app does not exist any more.
async fn next_due(app: &Weak<App>) -> Option<(Arc<App>, DueTimer)> {
    poll_fn(|context| {
        let Some(app) = app.upgrade() else { return Poll::Ready(None) };
        let mut state = app.timers.state.lock();
        let timer = state.due.pop_front();
        if timer.is_none() {
            state.firing = Some(context.waker().clone());
        }
        drop(state);
        timer.map_or(Poll::Pending, |timer| Poll::Ready(Some((app, timer))))
    })
    .await
}

async fn fire(app: &Arc<App>, timer: &DueTimer) {
    app.recorder.fired();
    // An error is already in the log, and there is no connection to close.
    let _ = call::app_timer(app, &timer.name, &timer.payload).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of another connection found it a moment before it ended.
    #[tokio::test]
    async fn a_connection_that_has_ended_gets_no_timer() {
        let (timers, connection) = (Timers::default(), Connection::new(1, 100));
        let schedule = Schedule { after: MAX_DELAY, every: None };
        let set = || timers.set(Some(&connection), "late", schedule, Bytes::new(), 1, Existing::Replace);
        assert_eq!(set(), Ok(true));
        connection.is_forgotten.store(true, Ordering::Relaxed);
        timers.cancel_all(connection.id);
        assert_eq!(set(), Err(TimerError::Forgotten));
        assert!(timers.state.lock().owners.is_empty());
    }

    #[tokio::test]
    async fn the_bytes_of_the_app_are_those_of_the_timers_that_are_set() {
        let timers = Timers::default();
        let set = |name: &str, bytes: usize, every| {
            let schedule = Schedule { after: MAX_DELAY, every };
            timers.set(None, name, schedule, vec![0; bytes].into(), 10, Existing::Replace).unwrap();
            timers.bytes_of_app()
        };
        assert_eq!((set("a", 10, None), set("b", 20, None), set("a", 5, None)), (10, 30, 25));
        assert_eq!(set("again", 100, Some(MAX_DELAY)), 125);
        let due =
            |name: &str, generation| DueTimer { name: name.into(), generation, payload: Bytes::from(vec![0; 100]) };
        assert!(timers.claim(None, &due("again", 4)) && timers.bytes_of_app() == 125, "it is set again");
        assert!(timers.claim(None, &due("b", 2)) && timers.cancel(None, "a") && timers.cancel(None, "again"));
        assert_eq!(timers.bytes_of_app(), 0);
    }
}
