//! The session of a relay: it reads committed rows, and deletes those that were published.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sqlx::MySql;

use super::super::engine::Engine;
use super::super::error::DatabaseError;
use super::super::limits::Access;
use super::super::scanner::Dialect;
use super::super::session::{EnginePool, Lease, Part, Run};
use super::super::sqlite::Sqlite;
use super::super::statement::Verb;
use super::super::value::{RowSet, Value};
use super::super::{Backend, Database};
use super::row::{self, OutboxHead, OutboxRow};
use super::{OutboxStats, own_config, schema};
use crate::config::{DatabaseConfig, Sharer};

/// Ids that one statement names. Statements are kept prepared, so there are few sizes.
const SIZES: [usize; 5] = [1, 8, 64, 256, LARGEST];

const LARGEST: usize = 1024;

/// A session of its own, which takes no part of those of apps. It connects on demand, and after any error anew.
///
/// It holds a lock, so that one host publishes the rows of a database: on MySQL one of the session, for SQLite one of a file
/// beside the database. Both end with the process.
pub(crate) struct OutboxReader {
    database: Arc<Database>,
    session: AnySession,
}

enum AnySession {
    MySql(Box<Session<MySql>>),
    Sqlite(Box<Session<Sqlite>>, FileLock),
}

/// The lock of a file, which the system ends when the file is closed.
struct FileLock {
    /// None for a database of this process alone.
    path: Option<PathBuf>,
    held: Option<File>,
}

struct Session<E: Engine> {
    pool: EnginePool<E>,
    part: Part,
    /// The pool waits for its turn with those of the same database, and must not be closed before them.
    is_shared: bool,
    config: Arc<DatabaseConfig>,
    lease: Option<Lease<E>>,
    /// Whether it has the lock.
    leads: bool,
}

impl OutboxReader {
    /// A reader that has not connected yet. None if the config of the database has no outbox.
    pub(crate) fn new(database: &Arc<Database>) -> Option<Self> {
        database.outbox.as_ref()?;
        let config = own_config(&database.config);
        let session = match &database.backend {
            Backend::MySql(pools) => AnySession::MySql(Box::new(Session::new(&pools.source, config, None))),
            Backend::Sqlite(pools) => {
                let source = pools.source.for_outbox();
                let session = Box::new(Session::new(&source, config, pools.alone.clone()));
                AnySession::Sqlite(session, FileLock { path: source.outbox_lock(), held: None })
            }
        };
        Some(Self { database: Arc::clone(database), session })
    }

    /// Whether it is this host that publishes the rows now.
    ///
    /// # Errors
    /// See [`DatabaseError`]; the next call connects again. This is so for all functions.
    pub(crate) async fn leads(&mut self) -> Result<bool, DatabaseError> {
        let stats = self.stats();
        let session = match &mut self.session {
            AnySession::MySql(session) => session,
            AnySession::Sqlite(_, lock) => return lock.take().map_err(|error| no_lock(&error)),
        };
        if session.lease.is_none() {
            session.execute(&stats, schema::PREPARE, Vec::new(), Verb::Call).await?;
        }
        if !session.leads {
            // The lock is one of the session, so the session does not go back to its pool.
            session.leads = row::is_one(session.query(&stats, schema::LEAD, Vec::new(), Verb::Call).await?);
        }
        Ok(session.leads)
    }

    /// What is known of the next rows of these apps, in the order in which they are to be published. At most `most` of each app.
    pub(crate) async fn heads(&mut self, apps: &[&str], most: usize) -> Result<Vec<OutboxHead>, DatabaseError> {
        let sql = schema::heads(self.dialect(), apps.len());
        let most = Value::S64(i64::try_from(most).unwrap_or(i64::MAX));
        let parameters = apps.iter().flat_map(|app| [Value::Text((*app).to_owned()), most.clone()]).collect();
        row::heads(self.query(&sql, parameters).await?)
    }

    /// Those of these rows that are still there, in any order.
    pub(crate) async fn rows(&mut self, ids: &[u64]) -> Result<Vec<OutboxRow>, DatabaseError> {
        let mut rows = Vec::with_capacity(ids.len());
        for ids in ids.chunks(LARGEST) {
            let (size, parameters) = padded(ids);
            rows.extend(row::rows(self.query(&schema::rows(size), parameters).await?)?);
        }
        Ok(rows)
    }

    /// Remove rows.
    pub(crate) async fn remove(&mut self, ids: &[u64]) -> Result<(), DatabaseError> {
        for ids in ids.chunks(LARGEST) {
            let (size, parameters) = padded(ids);
            self.execute(&schema::remove(size), parameters).await?;
        }
        Ok(())
    }

    /// Some apps that are not among these, and how many rows of each wait.
    pub(crate) async fn strangers(&mut self, apps: &[&str]) -> Result<Vec<(String, u64)>, DatabaseError> {
        let parameters = apps.iter().map(|app| Value::Text((*app).to_owned())).collect();
        row::counts(self.query(&schema::strangers(apps.len()), parameters).await?)
    }

    /// Nothing is read for a while. The session of SQLite lets others work, and that of MySQL keeps its lock.
    pub(crate) fn rest(&mut self) {
        if let AnySession::Sqlite(session, _) = &mut self.session {
            session.lease = None;
        }
    }

    /// Close the session, and with it end the lock.
    pub(crate) async fn close(mut self) {
        match &mut self.session {
            AnySession::MySql(session) => session.close().await,
            AnySession::Sqlite(session, _) => session.close().await,
        }
    }

    /// Whether the table can be used as the config wants.
    pub(super) async fn check(&mut self) -> Result<(), DatabaseError> {
        self.heads(&[""], 0).await?;
        self.rows(&[0]).await?;
        self.execute(schema::REMOVE_NOTHING, Vec::new()).await
    }

    fn dialect(&self) -> Dialect {
        match &self.session {
            AnySession::MySql(_) => Dialect::MySql,
            AnySession::Sqlite(..) => Dialect::Sqlite,
        }
    }

    /// Those of the database. Boxed futures borrow nothing of `self` but the session.
    fn stats(&self) -> StatsOf {
        StatsOf(Arc::clone(&self.database))
    }

    async fn query(&mut self, sql: &str, parameters: Vec<Value>) -> Result<RowSet, DatabaseError> {
        let stats = self.stats();
        match &mut self.session {
            AnySession::MySql(session) => Box::pin(session.query(&stats, sql, parameters, Verb::Read)).await,
            AnySession::Sqlite(session, _) => session.query(&stats, sql, parameters, Verb::Read).await,
        }
    }

    async fn execute(&mut self, sql: &str, parameters: Vec<Value>) -> Result<(), DatabaseError> {
        let stats = self.stats();
        match &mut self.session {
            AnySession::MySql(session) => Box::pin(session.execute(&stats, sql, parameters, Verb::Modify)).await,
            AnySession::Sqlite(session, _) => session.execute(&stats, sql, parameters, Verb::Modify).await,
        }
    }
}

/// The database whose outbox counts statements.
struct StatsOf(Arc<Database>);

impl StatsOf {
    fn count(&self) {
        if let Some(stats) = self.0.outbox.as_ref().map(|outbox| &outbox.stats) {
            OutboxStats::note_statement(stats);
        }
    }
}

impl<E: Engine> Session<E> {
    fn new(source: &E::Source, config: Arc<DatabaseConfig>, alone: Option<Arc<tokio::sync::Semaphore>>) -> Self {
        let is_shared = alone.is_some();
        let pool = EnginePool::new(source, Access::ReadWrite, &config, alone);
        let part = pool.part(Sharer::ALONE.writing);
        Self { pool, part, is_shared, config, lease: None, leads: false }
    }

    async fn query(
        &mut self,
        stats: &StatsOf,
        sql: &str,
        parameters: Vec<Value>,
        verb: Verb,
    ) -> Result<RowSet, DatabaseError> {
        let config = Arc::clone(&self.config);
        let lease = self.lease().await?;
        stats.count();
        let result = lease.query(Run { sql, parameters, verb, config: &config }).await;
        result.map_err(|fault| self.give_up(fault.error))
    }

    async fn execute(
        &mut self,
        stats: &StatsOf,
        sql: &str,
        parameters: Vec<Value>,
        verb: Verb,
    ) -> Result<(), DatabaseError> {
        let config = Arc::clone(&self.config);
        let lease = self.lease().await?;
        stats.count();
        let result = lease.execute(Run { sql, parameters, verb, config: &config }).await;
        result.map(drop).map_err(|fault| self.give_up(fault.error))
    }

    async fn lease(&mut self) -> Result<&mut Lease<E>, DatabaseError> {
        let lease = match self.lease.take() {
            // A future that was dropped has left it in the middle of a statement.
            Some(lease) if !lease.is_busy() => lease,
            _ => {
                self.leads = false;
                self.pool.lease(&self.part).await?
            }
        };
        Ok(self.lease.insert(lease))
    }

    /// After an error nothing is known about the session, its lock and its transaction.
    fn give_up(&mut self, error: DatabaseError) -> DatabaseError {
        self.leads = false;
        if let Some(lease) = self.lease.take() {
            lease.discard();
        }
        error
    }

    async fn close(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.discard();
        }
        if !self.is_shared {
            self.pool.close().await;
        }
    }
}

impl FileLock {
    /// Whether the lock is held now.
    fn take(&mut self) -> io::Result<bool> {
        let Some(path) = self.path.as_ref().filter(|_| self.held.is_none()) else { return Ok(true) };
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                self.held = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn no_lock(error: &io::Error) -> DatabaseError {
    DatabaseError::Other(format!("the lock file of the outbox cannot be used: {error}"))
}

/// Ids as the parameters of a statement of one of the sizes. The last one fills it up.
fn padded(ids: &[u64]) -> (usize, Vec<Value>) {
    let size = SIZES.into_iter().find(|size| *size >= ids.len()).unwrap_or(ids.len());
    let last = ids.last().copied().unwrap_or_default();
    let all = ids.iter().copied().chain(std::iter::repeat(last)).take(size);
    // Both engines count ids from 1, so they are no larger than a signed number.
    (size, all.map(|id| Value::S64(i64::try_from(id).unwrap_or(i64::MAX))).collect())
}
