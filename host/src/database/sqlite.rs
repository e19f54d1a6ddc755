//! SQLite: a file, or a database in memory that exists as long as the [`super::Database`].
//!
//! Each session has a thread of its own (`session`), and returns to a pool (`pool`). `statement` is what a thread does,
//! `guard` what it may do, and `functions` what nothing could interrupt otherwise.

mod functions;
mod guard;
mod pool;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod session;
mod statement;

use super::engine::{Engine, Health};
use super::error::{DatabaseError, Fault, OpenError};
use super::limits::Access;
use super::scanner::Dialect;
use super::session::{Permits, Run};
use super::slots::Slots;
use super::statement::Verb;
use super::value::{Outcome, RowSet};
use crate::config::DatabaseConfig;
use crate::external::external;
use percent_encoding::percent_decode_str;
use pool::{Pool, PooledSession};
use rusqlite::{Connection, OpenFlags};
pub(super) use session::Session;
use session::{NoSession, Opening};
pub(super) use statement::finish;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The longest time that a statement waits for a lock. SQLite counts it in milliseconds that must fit into 32 bits.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Bytes of a page, unless a statement of the host says otherwise, which none does.
const PAGE: usize = 4096;

/// This engine.
pub(super) struct Sqlite;

/// The data that is needed to open the database.
pub(super) struct Source {
    path: PathBuf,
    in_memory: bool,
    busy_timeout: Duration,
    idle_timeout: Duration,
    connect_timeout: Duration,
    /// Bytes of the longest value.
    longest: usize,
    /// See [`Opening`].
    max_pages: usize,
    /// See [`Pool`].
    closing: watch::Sender<()>,
}

/// The sessions with one access.
pub(super) struct Sessions {
    pool: Pool,
    connect_timeout: Duration,
}

/// Read the URL of a SQLite database.
pub(super) fn source(name: &str, url: &str, base_dir: &Path, config: &DatabaseConfig) -> Result<Source, OpenError> {
    let refuse = |reason: &str| OpenError::Url {
        name: name.to_owned(),
        reason: format!("{reason}; it should look like `sqlite://file.db` or `sqlite::memory:`"),
    };
    if url.contains('?') {
        return Err(refuse("the host sets SQLite's options, so the url must not contain a `?`"));
    }
    let file = url.strip_prefix("sqlite:").unwrap_or(url);
    let file = percent_decode_str(file.strip_prefix("//").unwrap_or(file)).decode_utf8();
    let file = file.map_err(|_| refuse("it cannot be read"))?;
    let in_memory = config.is_in_memory();
    let path = match &*file {
        "" => return Err(refuse("it names no file")),
        _ if in_memory => name_in_memory(),
        // SQLite takes what begins with `file:` for a URI.
        file if base_dir.as_os_str().is_empty() => Path::new(".").join(file),
        file => base_dir.join(file),
    };
    Ok(Source {
        path,
        in_memory,
        busy_timeout: config.query_timeout.get().min(LONGEST_WAIT),
        idle_timeout: config.idle_timeout.get(),
        connect_timeout: config.connect_timeout.get(),
        longest: config.max_value_bytes.bytes(),
        max_pages: (config.max_memory_bytes.bytes() / PAGE).max(1),
        closing: watch::Sender::new(()),
    })
}

/// A name that no other database in memory of this process has. All its sessions see the same data.
fn name_in_memory() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("file:hassock-{}?mode=memory&cache=shared", NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

impl Source {
    /// The file whose lock a relay holds. None for a database of this process alone.
    pub(super) fn outbox_lock(&self) -> Option<PathBuf> {
        let mut name = self.path.clone().into_os_string();
        name.push("-outbox");
        (!self.in_memory).then(|| name.into())
    }

    /// For sessions that read what any program has written, however long it is.
    pub(super) fn for_outbox(&self) -> Self {
        Self { path: self.path.clone(), longest: usize::MAX, closing: self.closing.clone(), ..*self }
    }

    fn opening(&self, access: Access) -> Opening {
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let changing = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let (flags, setup) = match (self.in_memory, access) {
            (true, Access::ReadOnly) => (changing | OpenFlags::SQLITE_OPEN_URI, "PRAGMA query_only = ON"),
            (true, Access::ReadWrite) => (changing | OpenFlags::SQLITE_OPEN_URI, ""),
            // WAL is a property of the file; a session that cannot write cannot set it.
            (false, Access::ReadOnly) => (flags | OpenFlags::SQLITE_OPEN_READ_ONLY, ""),
            (false, Access::ReadWrite) => (changing, "PRAGMA journal_mode = WAL"),
        };
        Opening {
            path: self.path.clone(),
            flags,
            in_memory: self.in_memory,
            max_pages: self.max_pages,
            setup,
            busy_timeout: self.busy_timeout,
            idle_timeout: (!self.in_memory).then_some(self.idle_timeout),
            longest: Some(self.longest),
        }
    }
}

/// Connect once, which creates the file. Returns the session that keeps a database in memory alive.
pub(super) async fn probe(name: &str, source: &Source, config: &DatabaseConfig) -> Result<Option<Session>, OpenError> {
    let path = if source.in_memory { ":memory:".to_owned() } else { source.path.display().to_string() };
    let failed = |reason: String| OpenError::File { name: name.to_owned(), path, reason };
    let slots = Slots::new(1);
    let connect = async {
        let slot = slots.take().await.ok_or(NoSession::Ended)?;
        let session = Session::open(source.opening(Access::ReadWrite), slot).await?;
        // A file that is not a database is detected at the first read.
        session.run(source.connect_timeout, statement::look).await??;
        Ok::<_, NoSession>(session)
    };
    let session = match timeout(config.connect_timeout.get(), external(connect)).await {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed("it was locked for connect_timeout".to_owned())),
    };
    if source.in_memory {
        return Ok(Some(session));
    }
    close(session, &slots).await;
    Ok(None)
}

/// A session that does not belong to a pool and may do everything, and what tells when it is closed.
pub(super) async fn connect(source: &Source) -> Result<(Session, Slots), DatabaseError> {
    let slots = Slots::new(1);
    let opening = Opening { longest: None, ..source.opening(Access::ReadWrite) };
    let connect = async {
        let slot = slots.take().await.ok_or(NoSession::Ended)?;
        Session::open(opening, slot).await
    };
    let session = external(connect).await.map_err(no_session)?;
    Ok((session, slots))
}

/// Do some work of the host itself, such as to create tables.
///
/// # Errors
/// What SQLite says.
pub(super) async fn administer<T: Send + 'static>(
    source: &Source,
    budget: Duration,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, DatabaseError> {
    let (session, slots) = connect(source).await?;
    let work = move |connection: &Connection| work(connection).map_err(|error| answer(error).error);
    let done = external(session.run(budget, work)).await;
    close(session, &slots).await;
    done.unwrap_or_else(|error| Err(no_session(error)))
}

/// Close a session, and wait for that.
pub(super) async fn close(session: Session, slots: &Slots) {
    drop(session);
    external(slots.close()).await;
}

fn no_session(error: NoSession) -> DatabaseError {
    match error {
        NoSession::Sqlite(error) => answer(error).error,
        NoSession::Panicked => DatabaseError::TooLarge(error.to_string()),
        error => DatabaseError::ConnectionLost(error.to_string()),
    }
}

impl Engine for Sqlite {
    type Source = Source;
    type Pool = Sessions;
    type Session = PooledSession;
    const DIALECT: Dialect = Dialect::Sqlite;

    fn pool(source: &Source, access: Access, config: &DatabaseConfig, _: Arc<Health>) -> Sessions {
        let max = if source.in_memory { 1 } else { config.max_connections.max(1) };
        let pool = Pool::new(source.opening(access), max, &source.closing);
        Sessions { pool, connect_timeout: source.connect_timeout }
    }

    fn max_sessions(sessions: &Sessions) -> u32 {
        sessions.pool.max_sessions()
    }

    async fn acquire(sessions: &Sessions) -> Result<PooledSession, DatabaseError> {
        match timeout(sessions.connect_timeout, sessions.pool.acquire()).await {
            Ok(acquired) => acquired.map_err(no_session),
            Err(_) => Err(DatabaseError::ConnectionLost(format!(
                "could not connect within {:?} (connect_timeout)",
                sessions.connect_timeout
            ))),
        }
    }

    async fn close(sessions: &Sessions) {
        sessions.pool.close().await;
    }

    fn one_at_a_time(source: &Source) -> bool {
        // In shared memory, readers have no snapshot. They wait for writers, and writers wait for them, in a place
        // where the host cannot interrupt them.
        source.in_memory
    }

    fn begin(access: Access) -> &'static str {
        match access {
            Access::ReadOnly => "BEGIN",
            // Two transactions that both read first and write later would refuse each other at once, without waiting.
            Access::ReadWrite => "BEGIN IMMEDIATE",
        }
    }

    async fn query(session: &mut PooledSession, run: Run<'_>) -> Result<RowSet, Fault> {
        let budget = run.config.query_timeout.get();
        let statement = statement::Statement::new(run)?;
        finished(session.session.run(budget, move |connection| statement.query(connection)).await)
    }

    async fn execute(session: &mut PooledSession, run: Run<'_>) -> Result<Outcome, Fault> {
        let budget = run.config.query_timeout.get();
        let statement = statement::Statement::new(run)?;
        finished(session.session.run(budget, move |connection| statement.execute(connection)).await)
    }

    async fn control(session: &mut PooledSession, sql: &'static str, config: &DatabaseConfig) -> Result<(), Fault> {
        let budget = config.query_timeout.get();
        let control = move |connection: &Connection| guard::own(|| connection.execute_batch(sql)).map_err(answer);
        finished(session.session.run(budget, control).await)
    }

    fn may_change_session(_: Verb) -> bool {
        // See `guard`.
        false
    }

    fn rollback_flag(session: &PooledSession) -> Option<Arc<AtomicBool>> {
        Some(session.session.rollback_flag())
    }

    fn discard(session: &mut PooledSession, permits: Permits) {
        session.discard(permits);
    }
}

fn finished<T>(result: Result<Result<T, Fault>, NoSession>) -> Result<T, Fault> {
    result.unwrap_or_else(|error| Err(Fault::fatal(no_session(error))))
}

/// Convert SQLite's result code. The low byte is the kind, and the rest is a detail.
///
/// No error is fatal for the session. The rollback hook reports whether the error ended the transaction.
pub(super) fn answer(error: rusqlite::Error) -> Fault {
    let (code, text) = match error {
        rusqlite::Error::SqliteFailure(code, Some(text)) => (code.extended_code, text),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, msg),
        rusqlite::Error::SqliteFailure(code, None) => (code.extended_code, code.to_string()),
        other => return Fault::harmless(DatabaseError::Other(other.to_string())),
    };
    // For some actions the code is that of a wrong statement.
    if let Some(reason) = guard::take_reason() {
        return Fault::harmless(DatabaseError::Denied(reason));
    }
    Fault::harmless(match code & 0xff {
        1 | 25 => DatabaseError::Syntax(text),
        // Permission, read-only, authorization.
        3 | 8 | 23 => DatabaseError::Denied(text),
        // Busy, locked, interrupted.
        5 | 6 | 9 => DatabaseError::Timeout,
        7 => DatabaseError::TooLarge("the statement is too long, or needs more memory than SQLite may use".to_owned()),
        18 => DatabaseError::TooLarge(text),
        13 => DatabaseError::Other(format!("{text} (a database in memory may have max_memory_bytes)")),
        14 => DatabaseError::ConnectionLost(text),
        19 => DatabaseError::Constraint(text),
        _ => DatabaseError::Other(text),
    })
}
