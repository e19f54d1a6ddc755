//! The databases that the host owns and apps are granted: MySQL, MariaDB and SQLite behind one interface.
//!
//! A [`Database`] is one entry of the config. [`Database::grant`] returns a [`Handle`] with an access; the imports of a
//! module see nothing else. Reading order: [`Handle`] → `statement` (which statements are allowed) → `session` (pool,
//! limits; `slots` count what is open), `transaction` and `engine_transaction` → `mysql` and `sqlite` (the differences).
//! `outbox` is the table whose rows are published. `batch` is only for tests.

mod batch;
mod engine;
mod engine_transaction;
mod error;
mod limits;
mod mysql;
mod outbox;
mod scanner;
mod session;
mod slots;
mod sqlite;
mod statement;
mod stats;
#[cfg(test)]
mod tests;
mod transaction;
mod value;

pub use batch::BatchError;
pub use error::{DatabaseError, OpenError};
pub use limits::Access;
pub use outbox::{Created, Outbox, OutboxMessage, OutboxOrder, OutboxReport, Step, script as outbox_script};
pub(crate) use outbox::{MAX_TOPIC, OutboxHead, OutboxPayload, OutboxReader, OutboxRow};
#[cfg(fuzzing)]
pub(crate) use sqlite::properties;
pub use stats::{DatabaseReport, PoolReport};
use transaction::AnyTransaction;
pub use transaction::Transaction;
pub use value::{Outcome, RowSet, Value};

use crate::config::{DatabaseConfig, Sharer};
use engine::Engine;
use engine_transaction::EngineTransaction;
use session::{EnginePool, Part, Run};
use sqlite::Sqlite;
use sqlx::MySql;
use statement::{Context, Verb};
use stats::Stats;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell, Semaphore, watch};

/// One configured database with its pools: one pool for each [`Access`] that was granted.
pub struct Database {
    name: String,
    config: Arc<DatabaseConfig>,
    backend: Backend,
    /// Keeps a SQLite database in memory alive, even if all sessions of its pools are closed.
    anchor: Mutex<Option<sqlite::Session>>,
    /// Each handle holds a receiver.
    handles: watch::Sender<()>,
    stats: Stats,
    outbox: Option<Outbox>,
}

enum Backend {
    MySql(Box<Pools<MySql>>),
    Sqlite(Box<Pools<Sqlite>>),
}

impl Backend {
    fn system(&self) -> &'static str {
        match self {
            Self::MySql(_) => "mysql",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

struct Pools<E: Engine> {
    source: E::Source,
    /// The permit that sessions of both pools wait for if they would otherwise wait for each other in the database.
    alone: Option<Arc<Semaphore>>,
    read_only: OnceCell<Arc<EnginePool<E>>>,
    read_write: OnceCell<Arc<EnginePool<E>>>,
}

impl Database {
    /// Open the database with this `name` in the config, and connect once.
    ///
    /// The path of a SQLite file is relative to `base_dir`, and the file is created if it does not exist.
    ///
    /// # Errors
    /// [`OpenError`] if the URL is not valid, the database cannot be reached within `connect_timeout`, or it has an outbox in
    /// the config and no table for it.
    pub async fn open(name: &str, config: &DatabaseConfig, base_dir: &Path) -> Result<Arc<Database>, OpenError> {
        let database = Arc::new(Self::connect(name, config, base_dir).await?);
        if database.outbox.is_some()
            && let Err(error) = outbox::make_ready(&database).await
        {
            database.close().await;
            return Err(error);
        }
        Ok(database)
    }

    async fn connect(name: &str, config: &DatabaseConfig, base_dir: &Path) -> Result<Database, OpenError> {
        let (config, url) = (Arc::new(config.clone()), config.url.expose());
        let scheme = url.split(':').next().unwrap_or_default();
        let mut anchor = None;
        let backend = match scheme {
            "mysql" | "mariadb" => {
                let source = mysql::source(name, url)?;
                mysql::probe(name, &source, &config).await?;
                Backend::MySql(Box::new(Pools::new(source)))
            }
            "sqlite" => {
                let source = sqlite::source(name, url, base_dir, &config)?;
                anchor = sqlite::probe(name, &source, &config).await?;
                Backend::Sqlite(Box::new(Pools::new(source)))
            }
            _ => {
                return Err(OpenError::Url {
                    name: name.to_owned(),
                    reason: "it must begin with `mysql://`, `mariadb://`, `sqlite://` or be `sqlite::memory:`"
                        .to_owned(),
                });
            }
        };
        let handles = watch::Sender::new(());
        let outbox = Outbox::new(&config);
        Ok(Database {
            name: name.to_owned(),
            config,
            backend,
            anchor: Mutex::new(anchor),
            handles,
            stats: Stats::default(),
            outbox,
        })
    }

    /// A handle with this access for one of the apps that get equal parts of the sessions. The first handle with an access
    /// creates its pool and the pool's first session.
    ///
    /// # Errors
    /// [`OpenError::Grant`] if this session cannot be created.
    pub async fn grant(self: &Arc<Self>, access: Access, sharer: Sharer) -> Result<Handle, OpenError> {
        let pool = match &self.backend {
            Backend::MySql(pools) => pools.get(access, &self.config).await.map(AnyPool::MySql),
            Backend::Sqlite(pools) => pools.get(access, &self.config).await.map(AnyPool::Sqlite),
        };
        let pool =
            pool.map_err(|reason| OpenError::Grant { name: self.name.clone(), access: access.name(), reason })?;
        let place = match access {
            Access::ReadOnly => sharer.reading,
            Access::ReadWrite => sharer.writing,
        };
        let part = match &pool {
            AnyPool::MySql(pool) => pool.part(place),
            AnyPool::Sqlite(pool) => pool.part(place),
        };
        Ok(Handle { database: Arc::clone(self), access, pool, part, sharer, _handle: self.handles.subscribe() })
    }

    /// What is known about the statements and the pools.
    pub fn report(&self) -> DatabaseReport {
        let pools = match &self.backend {
            Backend::MySql(pools) => pools.report(),
            Backend::Sqlite(pools) => pools.report(),
        };
        DatabaseReport {
            database: self.name.clone(),
            pools,
            times: self.stats.times(),
            errors: self.stats.errors(),
            outbox: self.outbox.as_ref().map(|outbox| outbox.stats.report()),
        }
    }

    /// Its name in the config.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Wait until all handles have been dropped.
    pub async fn unused(&self) {
        self.handles.closed().await;
    }

    /// Close all sessions. This waits for the calls that use them, for at most about a `query_timeout`. Later calls
    /// fail with [`DatabaseError::ConnectionLost`].
    pub async fn close(&self) {
        match &self.backend {
            Backend::MySql(pools) => pools.close().await,
            Backend::Sqlite(pools) => pools.close().await,
        }
        drop(self.anchor.lock().await.take());
    }
}

impl<E: Engine> Pools<E> {
    fn new(source: E::Source) -> Self {
        let alone = E::one_at_a_time(&source).then(|| Arc::new(Semaphore::new(1)));
        Pools { source, alone, read_only: OnceCell::new(), read_write: OnceCell::new() }
    }

    async fn get(&self, access: Access, config: &Arc<DatabaseConfig>) -> Result<Arc<EnginePool<E>>, DatabaseError> {
        let cell = match access {
            Access::ReadOnly => &self.read_only,
            Access::ReadWrite => &self.read_write,
        };
        let make = || async {
            let pool = EnginePool::new(&self.source, access, config, self.alone.clone());
            pool.connect().await?;
            Ok(Arc::new(pool))
        };
        cell.get_or_try_init(make).await.map(Arc::clone)
    }

    fn report(&self) -> Vec<PoolReport> {
        let pools = [(Access::ReadOnly, &self.read_only), (Access::ReadWrite, &self.read_write)];
        pools.into_iter().filter_map(|(access, pool)| Some(pool.get()?.report(access))).collect()
    }

    async fn close(&self) {
        for pool in [self.read_only.get(), self.read_write.get()].into_iter().flatten() {
            pool.close().await;
        }
    }
}

/// A database that an app was granted. Clones share the pool and the app's part of it.
#[derive(Clone)]
pub struct Handle {
    database: Arc<Database>,
    access: Access,
    pool: AnyPool,
    part: Part,
    sharer: Sharer,
    /// Counts the handle.
    _handle: watch::Receiver<()>,
}

#[derive(Clone)]
enum AnyPool {
    MySql(Arc<EnginePool<MySql>>),
    Sqlite(Arc<EnginePool<Sqlite>>),
}

impl Handle {
    /// The database's name in the config.
    pub fn name(&self) -> &str {
        &self.database.name
    }

    /// The kind of database, as OpenTelemetry names it.
    pub fn system(&self) -> &'static str {
        self.database.backend.system()
    }

    /// A handle of the same app to the same database that only reads.
    ///
    /// # Errors
    /// The same as for [`Database::grant`].
    pub async fn reading(&self) -> Result<Handle, OpenError> {
        match self.access {
            // It uses the same part.
            Access::ReadOnly => Ok(self.clone()),
            Access::ReadWrite => self.database.grant(Access::ReadOnly, self.sharer).await,
        }
    }

    /// The most bytes of a statement with its parameters.
    pub fn max_statement_bytes(&self) -> usize {
        self.database.config.max_statement_bytes.bytes()
    }

    /// What the handle allows.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Run one statement that returns rows.
    ///
    /// # Errors
    /// See [`DatabaseError`]. Dropping the future stops the statement.
    pub async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<RowSet, DatabaseError> {
        let stats = &self.database.stats;
        match &self.pool {
            // Boxed, because the driver's futures are large, and would be moved with every statement for SQLite, too.
            AnyPool::MySql(pool) => stats.measure(Box::pin(query(pool, self, statement, parameters))).await,
            AnyPool::Sqlite(pool) => {
                let found = stats.measure(query(pool, self, statement, parameters)).await;
                self.database.note_change(self.access);
                found
            }
        }
    }

    /// Run one statement that returns no rows.
    ///
    /// # Errors
    /// See [`DatabaseError`]. Dropping the future stops the statement if the database can be told to stop it. MySQL
    /// cannot stop a change that it has begun.
    pub async fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<Outcome, DatabaseError> {
        let stats = &self.database.stats;
        match &self.pool {
            AnyPool::MySql(pool) => stats.measure(Box::pin(execute(pool, self, statement, parameters))).await,
            AnyPool::Sqlite(pool) => {
                let done = stats.measure(execute(pool, self, statement, parameters)).await;
                self.database.note_change(self.access);
                done
            }
        }
    }

    /// Begin a transaction, which holds one connection of the pool until it ends.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn begin(&self) -> Result<Transaction, DatabaseError> {
        let stats = &self.database.stats;
        let inner = match &self.pool {
            AnyPool::MySql(pool) => {
                let begin = Box::pin(EngineTransaction::begin(pool, &self.part, self.access));
                AnyTransaction::MySql(Box::new(stats.measure(begin).await?))
            }
            AnyPool::Sqlite(pool) => {
                let begin = EngineTransaction::begin(pool, &self.part, self.access);
                AnyTransaction::Sqlite(Box::new(stats.measure(begin).await?))
            }
        };
        Ok(Transaction { inner, access: self.access, database: Arc::clone(&self.database), has_published: false })
    }
}

/// Check the statement before a session is taken, so that an invalid statement does not occupy a session of the pool.
fn check<E: Engine>(
    config: &DatabaseConfig,
    access: Access,
    in_transaction: bool,
    statement: &str,
    parameters: &[Value],
) -> Result<Verb, DatabaseError> {
    limits::check_size(statement, parameters, config)?;
    let context = Context { dialect: E::DIALECT, access, in_transaction };
    statement::check(statement, parameters.len(), context)
}

async fn query<E: Engine>(
    pool: &EnginePool<E>,
    handle: &Handle,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<RowSet, DatabaseError> {
    let verb = check::<E>(&pool.config, handle.access, false, sql, &parameters)?;
    let run = Run { sql, parameters, verb, config: &pool.config };
    let mut lease = pool.lease(&handle.part).await?;
    lease.query(run).await.map_err(|fault| fault.error)
}

async fn execute<E: Engine>(
    pool: &EnginePool<E>,
    handle: &Handle,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<Outcome, DatabaseError> {
    let verb = check::<E>(&pool.config, handle.access, false, sql, &parameters)?;
    let run = Run { sql, parameters, verb, config: &pool.config };
    let mut lease = pool.lease(&handle.part).await?;
    lease.execute(run).await.map_err(|fault| fault.error)
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Database({})", self.name)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Handle({}, {:?})", self.name(), self.access)
    }
}
