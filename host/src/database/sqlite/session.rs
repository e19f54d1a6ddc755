//! A session: a connection to SQLite, and the thread on which it works, because SQLite blocks.

use super::super::session::KEPT_STATEMENTS;
use rusqlite::{Connection, OpenFlags};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// The memory that all SQLite databases of the process may allocate together, including page caches and databases in
/// memory. Without this limit, one `SELECT zeroblob(1000000000)` allocates a gigabyte before the host sees its size.
const HEAP_LIMIT_BYTES: u32 = 536_870_912;

/// The number of instructions of SQLite's virtual machine between two checks of the clock: some ten microseconds.
const INSTRUCTIONS_PER_CHECK: i32 = 4096;

/// How to connect.
#[derive(Clone)]
pub(super) struct Opening {
    pub(super) path: PathBuf,
    pub(super) flags: OpenFlags,
    /// Statements that set the session up, after those that every session needs.
    pub(super) setup: &'static str,
    /// How long a statement waits for a lock.
    pub(super) busy_timeout: Duration,
    /// A session that was idle for this long is closed.
    pub(super) idle_timeout: Option<Duration>,
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
}

const USED: u8 = 0;
const IDLE: u8 = 1;
const ENDED: u8 = 2;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSession {
    #[error("cannot start a thread for it: {0}")]
    Thread(#[from] std::io::Error),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("its thread has ended")]
    Ended,
}

impl Session {
    /// Connect. The thread keeps `live` until the connection is closed.
    pub(super) async fn open(opening: Opening, live: watch::Receiver<()>) -> Result<Self, NoSession> {
        let state = Arc::new(State {
            began: Instant::now(),
            deadline: AtomicU64::new(u64::MAX),
            rolled_back: Arc::default(),
            stage: AtomicU8::new(USED),
        });
        let (jobs, work) = mpsc::channel();
        let (opened, result) = oneshot::channel();
        let shared = Arc::clone(&state);
        let serve = move || {
            let connection = match connect(&opening, &shared) {
                Ok(connection) => connection,
                Err(error) => return drop(opened.send(Err(error))),
            };
            if opened.send(Ok(())).is_ok() {
                serve(&connection, &work, &shared, opening.idle_timeout);
            }
            drop(connection);
            drop(live);
        };
        thread::Builder::new().name("sqlite".into()).spawn(serve)?;
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
        let job = Box::new(move |connection: &Connection| drop(done.send(work(connection))));
        self.jobs.send(job).map_err(|_| NoSession::Ended)?;
        result.await.map_err(|_| NoSession::Ended)
    }

    /// Give the running work its budget again.
    pub(crate) fn clock(&self, budget: Duration) -> impl Fn() + Send + 'static {
        let state = Arc::clone(&self.state);
        move || state.set_deadline(budget)
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
        let deadline = self.began.elapsed().saturating_add(budget).as_nanos();
        self.deadline.store(u64::try_from(deadline).unwrap_or(u64::MAX), Ordering::Relaxed);
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
    connection.busy_timeout(opening.busy_timeout)?;
    let limit = format!("PRAGMA hard_heap_limit = {HEAP_LIMIT_BYTES}; PRAGMA foreign_keys = ON;");
    connection.execute_batch(&limit)?;
    connection.execute_batch(opening.setup)?;
    connection.set_prepared_statement_cache_capacity(KEPT_STATEMENTS);
    let (clock, rolled_back) = (Arc::clone(state), Arc::clone(&state.rolled_back));
    connection.progress_handler(INSTRUCTIONS_PER_CHECK, Some(move || clock.is_over()))?;
    connection.rollback_hook(Some(move || rolled_back.store(true, Ordering::Relaxed)))?;
    Ok(connection)
}

fn serve(connection: &Connection, jobs: &Receiver<Job>, state: &State, idle_timeout: Option<Duration>) {
    loop {
        let job = match idle_timeout {
            Some(idle) => jobs.recv_timeout(idle),
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match job {
            Ok(job) => job(connection),
            Err(RecvTimeoutError::Timeout) if !state.enter(IDLE, ENDED) => {}
            Err(_) => return,
        }
    }
}
