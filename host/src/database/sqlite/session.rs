//! A session: a connection to SQLite, and the thread on which it works, because SQLite blocks.

use super::super::session::KEPT_STATEMENTS;
use super::super::slots::Slot;
use super::{functions, guard};
use crate::priority::Thread;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

#[cfg(test)]
mod tests;

/// The memory that all SQLite databases of the process may allocate together. This is a backstop, because a statement that
/// reaches it may fail for what another one uses: values, caches and databases in memory have bounds of their own.
const HEAP_LIMIT_BYTES: u32 = 1 << 30;

/// From here on, sorters and temporary tables write to their files sooner, and caches give pages back, so that statements do
/// not reach the limit.
const HEAP_PRESSURE_BYTES: u32 = HEAP_LIMIT_BYTES / 2;

/// KiB of pages that a session keeps in memory. A session with a sorter or a temporary table needs this once more for each.
const CACHE: u32 = 2000;

/// The number of instructions of SQLite's virtual machine between two checks of the clock: usually some microseconds. An
/// instruction that calls a function with the longest values takes some ten milliseconds.
const INSTRUCTIONS_PER_CHECK: i32 = 256;

/// How long a statement that waits for a lock sleeps before it looks again.
const LOCK_CHECK: Duration = Duration::from_millis(5);

/// How long a session in use sleeps at least before it checks whether it is idle.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// Bytes of a thread's stack. Most of it is never touched: it is for statements that are nested as deeply as their length
/// allows.
pub(super) const STACK: usize = 64 << 20;

thread_local! {
    /// The session of this thread: SQLite passes nothing to the function that it calls while it waits for a lock.
    static HERE: RefCell<Option<Arc<State>>> = const { RefCell::new(None) };
}

/// How to connect.
#[derive(Clone)]
pub(super) struct Opening {
    pub(super) path: PathBuf,
    pub(super) flags: OpenFlags,
    /// All sessions share one database in memory, with locks instead of snapshots.
    pub(super) in_memory: bool,
    /// The most pages of a database in memory.
    pub(super) max_pages: usize,
    /// Statements that set the session up, after those that every session needs.
    pub(super) setup: &'static str,
    /// How long connecting waits for a lock.
    pub(super) busy_timeout: Duration,
    /// A session that was idle for this long is closed.
    pub(super) idle_timeout: Option<Duration>,
    /// Bytes of the longest value. None for a session that may do everything.
    pub(super) longest: Option<usize>,
}

/// A connection on a thread of its own. The thread ends when this is dropped, after what it does then.
pub(crate) struct Session {
    jobs: Sender<Job>,
    state: Arc<State>,
}

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// What the thread and the users of a session share.
struct State {
    began: Instant,
    /// When the running statement is stopped, in nanoseconds after `began`. 0 stops it at once.
    deadline: AtomicU64,
    rolled_back: Arc<AtomicBool>,
    stage: AtomicU8,
    thread: OnceLock<Thread>,
    /// Dropped when the connection is closed.
    kept: Mutex<Option<Box<dyn Send>>>,
}

const USED: u8 = 0;
const IDLE: u8 = 1;
const ENDED: u8 = 2;

/// Why a session cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSession {
    #[error("cannot start a thread for it: {0}")]
    Thread(#[from] std::io::Error),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("its thread has ended")]
    Ended,
    #[error("SQLite had no memory for the result, or the database is damaged")]
    Panicked,
}

impl Session {
    /// Connect. The thread keeps the slot until the connection is closed.
    pub(super) async fn open(opening: Opening, slot: Slot) -> Result<Self, NoSession> {
        let state = Arc::new(State {
            began: Instant::now(),
            deadline: AtomicU64::new(0),
            rolled_back: Arc::default(),
            stage: AtomicU8::new(USED),
            thread: OnceLock::new(),
            kept: Mutex::default(),
        });
        state.set_deadline(opening.busy_timeout);
        let (jobs, work) = mpsc::channel();
        let (opened, result) = oneshot::channel();
        let shared = Arc::clone(&state);
        let serve = move || {
            let _ = shared.thread.set(Thread::current());
            let connection = match connect(&opening, &shared) {
                Ok(connection) => connection,
                Err(error) => {
                    drop(slot);
                    return drop(opened.send(Err(error)));
                }
            };
            if opened.send(Ok(())).is_ok() {
                serve(&connection, &work, &shared, opening.idle_timeout);
            }
            drop(connection);
            drop((slot, shared.kept.lock().take()));
        };
        thread::Builder::new().name("sqlite".into()).stack_size(STACK).spawn(serve)?;
        result.await.map_err(|_| NoSession::Ended)??;
        Ok(Self { jobs, state })
    }

    /// Do some work on the thread. Its statements are stopped after `budget`, or when the future is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        budget: Duration,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, NoSession> {
        let _stop = self.stop_after(budget);
        let (done, result) = oneshot::channel();
        // The driver panics if SQLite has no memory for a value. The session is not used after that.
        let work = move |connection: &Connection| catch_unwind(AssertUnwindSafe(|| work(connection)));
        let job = Box::new(move |connection: &Connection| drop(done.send(work(connection))));
        self.jobs.send(job).map_err(|_| NoSession::Ended)?;
        result.await.map_err(|_| NoSession::Ended)?.map_err(|_| NoSession::Panicked)
    }

    /// Gives the running work its budget again. False if nothing waits for the work any more.
    pub(crate) fn clock(&self, budget: Duration) -> impl Fn() -> bool + Send + 'static {
        let state = Arc::clone(&self.state);
        move || state.extend_deadline(budget)
    }

    /// The session is not used any more. Keep something until the connection is closed. A statement that still runs
    /// then, although it was stopped, leaves the cores to others.
    pub(super) fn keep_until_closed(&self, kept: impl Send + 'static) {
        *self.state.kept.lock() = Some(Box::new(kept));
        if let Some(thread) = self.state.thread.get() {
            thread.lower_priority();
        }
    }

    /// A flag that is set when SQLite rolls back a transaction. It is clear now.
    pub(super) fn rollback_flag(&self) -> Arc<AtomicBool> {
        self.state.rolled_back.store(false, Ordering::Relaxed);
        Arc::clone(&self.state.rolled_back)
    }

    /// The session waits for its next user, and may end meanwhile.
    pub(super) fn rest(&self) {
        self.state.stage.store(IDLE, Ordering::Release);
    }

    /// Use a session that rests. False if it has ended.
    pub(super) fn resume(&self) -> bool {
        self.state.enter(IDLE, USED)
    }

    fn stop_after(&self, budget: Duration) -> StopOnDrop<'_> {
        self.state.set_deadline(budget);
        StopOnDrop(&self.state)
    }
}

/// Stops the running statement as soon as no call waits for it any more.
struct StopOnDrop<'a>(&'a State);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.deadline.store(0, Ordering::Relaxed);
    }
}

impl State {
    fn set_deadline(&self, budget: Duration) {
        self.deadline.store(self.deadline_after(budget), Ordering::Relaxed);
    }

    /// False if the work was stopped.
    fn extend_deadline(&self, budget: Duration) -> bool {
        let new = self.deadline_after(budget);
        let extend = |old| (old != 0).then_some(new);
        self.deadline.fetch_update(Ordering::Relaxed, Ordering::Relaxed, extend).is_ok()
    }

    fn deadline_after(&self, budget: Duration) -> u64 {
        let deadline = self.began.elapsed().saturating_add(budget).as_nanos();
        u64::try_from(deadline).unwrap_or(u64::MAX)
    }

    fn is_over(&self) -> bool {
        self.began.elapsed().as_nanos() >= u128::from(self.deadline.load(Ordering::Relaxed))
    }

    fn enter(&self, from: u8, to: u8) -> bool {
        self.stage.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

fn connect(opening: &Opening, state: &Arc<State>) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(&opening.path, opening.flags)?;
    HERE.set(Some(Arc::clone(state)));
    connection.busy_handler(Some(wait_for_lock))?;
    // What is temporary goes to a file when the cache is full, also that of a database in memory.
    let bounds = format!(
        "PRAGMA hard_heap_limit = {HEAP_LIMIT_BYTES}; PRAGMA soft_heap_limit = {HEAP_PRESSURE_BYTES}; \
         PRAGMA cache_size = -{CACHE}; PRAGMA temp_store = FILE; PRAGMA foreign_keys = ON;"
    );
    connection.execute_batch(&bounds)?;
    if opening.in_memory {
        connection.execute_batch(&format!("PRAGMA max_page_count = {}", opening.max_pages))?;
    }
    connection.execute_batch(opening.setup)?;
    connection.set_prepared_statement_cache_capacity(KEPT_STATEMENTS);
    let (clock, rolled_back) = (Arc::clone(state), Arc::clone(&state.rolled_back));
    connection.progress_handler(INSTRUCTIONS_PER_CHECK, Some(move || clock.is_over()))?;
    connection.rollback_hook(Some(move || rolled_back.store(true, Ordering::Relaxed)))?;
    if let Some(longest) = opening.longest {
        functions::install(&connection, longest)?;
        guard::install(&connection, longest)?;
    }
    Ok(connection)
}

/// Whether to look again for a lock. SQLite's own `busy_timeout` would also wait for a statement that was stopped.
fn wait_for_lock(_: i32) -> bool {
    let is_over = || HERE.with_borrow(|state| state.as_ref().is_none_or(|state| state.is_over()));
    if is_over() {
        return false;
    }
    thread::sleep(LOCK_CHECK);
    !is_over()
}

fn serve(connection: &Connection, jobs: &Receiver<Job>, state: &State, idle_timeout: Option<Duration>) {
    let mut wait = idle_timeout;
    loop {
        let job = match wait {
            Some(idle) => jobs.recv_timeout(idle),
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match job {
            Ok(job) => {
                job(connection);
                wait = idle_timeout;
            }
            Err(RecvTimeoutError::Timeout) if !state.enter(IDLE, ENDED) => {
                wait = wait.map(|wait| wait.max(IDLE_CHECK));
            }
            Err(_) => return,
        }
    }
}
