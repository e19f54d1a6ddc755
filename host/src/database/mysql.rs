//! MySQL and MariaDB.

mod decode;
mod statement;

use super::engine::{Engine, Health};
use super::error::{DatabaseError, Fault, OpenError};
use super::limits::Access;
use super::scanner::Dialect;
use super::session::Run;
use super::statement::Verb;
use super::value::{Outcome, RowSet};
use crate::config::DatabaseConfig;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, MySql};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::time::timeout;

const SHAPE: &str = "it should look like `mysql://user:password@host:3306/database`";

/// Read the URL of a MySQL or MariaDB database. The errors quote no part of it, because any part may be the password.
pub(super) fn source(name: &str, url: &str) -> Result<MySqlConnectOptions, OpenError> {
    let refuse = |reason: String| OpenError::Url { name: name.to_owned(), reason };
    let (_, behind) = url.split_once("://").unwrap_or_default();
    let authority = behind.split(['/', '?', '#']).next().unwrap_or_default();
    if behind.contains('@') && !authority.contains('@') {
        return Err(refuse(format!(
            "a `/`, `?` or `#` in the user or password must be written as `%2F`, `%3F` or `%23`; {SHAPE}"
        )));
    }
    let options = MySqlConnectOptions::from_str(&format!("mysql://{behind}"))
        .map_err(|_| refuse(format!("it cannot be read; {SHAPE}")))?;
    if options.get_database().is_none() {
        return Err(refuse(format!("it names no database; {SHAPE}")));
    }
    // SQL has the same meaning as in every other client of this server, so `||` is not changed.
    Ok(options
        .charset("utf8mb4")
        .timezone(Some("+00:00".to_owned()))
        .pipes_as_concat(false)
        .disable_statement_logging())
}

/// Connect once, so that a server that does not run or a wrong password is reported at the start.
pub(super) async fn probe(name: &str, options: &MySqlConnectOptions, config: &DatabaseConfig) -> Result<(), OpenError> {
    let name = name.to_owned();
    let address = match options.get_socket() {
        Some(path) => path.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let work = async {
        let mut session = options.connect().await?;
        prepare(&mut session, Access::ReadWrite, config.query_timeout.get()).await?;
        session.close().await
    };
    match timeout(config.connect_timeout.get(), work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(sqlx::Error::Database(said))) => Err(OpenError::Refused { name, address, reason: said.to_string() }),
        Ok(Err(error)) => Err(OpenError::Unreachable { name, address, reason: error.to_string() }),
        Err(_) => Err(OpenError::NoAnswer { name, address, timeout: config.connect_timeout.get() }),
    }
}

/// Set the access and the limits of a new session. The server then enforces them.
async fn prepare(session: &mut MySqlConnection, access: Access, query_timeout: Duration) -> Result<(), sqlx::Error> {
    let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut *session).await?;
    // Neither server supports a time limit of zero; both take it for "no limit".
    let limit = query_timeout.max(Duration::from_millis(1));
    let statement_limit = if version.contains("MariaDB") {
        format!("max_statement_time = {:.3}", limit.as_secs_f64())
    } else {
        format!("max_execution_time = {}", limit.as_millis())
    };
    let seconds = limit.as_secs().max(1);
    // The statement scanner relies on backslash escapes.
    let settings = format!(
        "SET SESSION {statement_limit}, innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}, \
         sql_mode = REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')"
    );
    session.execute(AssertSqlSafe(settings)).await?;
    if access == Access::ReadOnly {
        session.execute("SET SESSION TRANSACTION READ ONLY").await?;
    }
    Ok(())
}

impl Engine for MySql {
    type Source = MySqlConnectOptions;
    type Pool = sqlx::Pool<MySql>;
    type Session = PoolConnection<MySql>;
    const DIALECT: Dialect = Dialect::MySql;

    fn pool(
        source: &MySqlConnectOptions,
        access: Access,
        config: &DatabaseConfig,
        health: Arc<Health>,
    ) -> sqlx::Pool<MySql> {
        let query_timeout = config.query_timeout.get();
        let connect_timeout = config.connect_timeout.get();
        MySqlPoolOptions::new()
            .max_connections(config.max_connections.max(1))
            .acquire_timeout(connect_timeout)
            .idle_timeout(config.idle_timeout.get())
            .test_before_acquire(false)
            .after_connect(move |session, _| Box::pin(prepare(session, access, query_timeout)))
            .before_acquire(move |session, meta| {
                let doubtful = health.doubts(meta.idle_for);
                Box::pin(async move {
                    if doubtful {
                        // Keep half of the time for a new session, in case this one is dead.
                        bounded(connect_timeout / 2, session.ping()).await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(source.clone())
    }

    fn max_sessions(pool: &sqlx::Pool<MySql>) -> u32 {
        pool.options().get_max_connections()
    }

    async fn acquire(pool: &sqlx::Pool<MySql>) -> Result<PoolConnection<MySql>, DatabaseError> {
        pool.acquire().await.map_err(|error| no_session(pool, error))
    }

    async fn close(pool: &sqlx::Pool<MySql>) {
        pool.close().await;
    }

    fn one_at_a_time(_: &Self::Source) -> bool {
        false
    }

    fn begin(access: Access) -> &'static str {
        match access {
            Access::ReadOnly => "START TRANSACTION READ ONLY",
            Access::ReadWrite => "START TRANSACTION",
        }
    }

    async fn query(session: &mut PoolConnection<MySql>, run: Run<'_>) -> Result<RowSet, Fault> {
        statement::query(session, run).await
    }

    async fn execute(session: &mut PoolConnection<MySql>, run: Run<'_>) -> Result<Outcome, Fault> {
        statement::execute(session, run).await
    }

    async fn control(session: &mut PoolConnection<MySql>, sql: &'static str, _: &DatabaseConfig) -> Result<(), Fault> {
        session.execute(sql).await.map(drop).map_err(fault)
    }

    fn may_change_session(verb: Verb) -> bool {
        // A procedure may run `SET SESSION`, or make a temporary table.
        matches!(verb, Verb::Call | Verb::Define)
    }

    fn rollback_flag(_: &PoolConnection<MySql>) -> Option<Arc<AtomicBool>> {
        // `answer` handles the errors that roll back.
        None
    }

    fn discard(session: &mut PoolConnection<MySql>) {
        session.close_on_drop();
    }
}

/// Why the driver's pool returned no session although the host holds a permit. The pool retries a refused
/// connection until its time is over, and only then reports a timeout.
fn no_session(pool: &sqlx::Pool<MySql>, error: sqlx::Error) -> DatabaseError {
    let timed_out = matches!(error, sqlx::Error::PoolTimedOut);
    if timed_out && pool.size() >= pool.options().get_max_connections() {
        return DatabaseError::PoolExhausted;
    }
    if timed_out {
        let limit = pool.options().get_acquire_timeout();
        return DatabaseError::ConnectionLost(format!("could not connect within {limit:?} (connect_timeout)"));
    }
    fault(error).error
}

async fn bounded<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// Convert a driver's error.
///
/// Every error that the database did not report leaves the protocol in an unknown state, and is therefore fatal.
fn fault(error: sqlx::Error) -> Fault {
    use sqlx::Error;
    match error {
        Error::Database(said) => answer(said.as_ref()),
        Error::Io(_) | Error::Tls(_) | Error::PoolClosed | Error::PoolTimedOut | Error::WorkerCrashed => {
            Fault::fatal(DatabaseError::ConnectionLost(error.to_string()))
        }
        Error::Protocol(text) if text.contains("parameter") => Fault::fatal(DatabaseError::Syntax(text)),
        other => Fault::fatal(DatabaseError::Other(other.to_string())),
    }
}

/// Convert an error of the server. Error numbers come first, because SQLSTATE is coarse, and wrong for some errors.
fn answer(said: &dyn sqlx::error::DatabaseError) -> Fault {
    let text = said.to_string();
    let number = said.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number);
    match number {
        1044 | 1045 | 1142 | 1143 | 1227 | 1290 | 1792 | 1836 => {
            return Fault::harmless(DatabaseError::Denied(text));
        }
        1317 | 1969 | 3024 => return Fault::harmless(DatabaseError::Timeout),
        // With `innodb_rollback_on_timeout`, a lock timeout rolls back the whole transaction, as a deadlock always
        // does.
        1205 => return Fault::fatal(DatabaseError::Timeout),
        1213 => return Fault::fatal(DatabaseError::Other(text)),
        1040 | 1203 | 1226 => return Fault::fatal(DatabaseError::PoolExhausted),
        1153 => return Fault::fatal(DatabaseError::TooLarge(text)),
        1053 | 1927 | 2006 | 2013 => return Fault::fatal(DatabaseError::ConnectionLost(text)),
        _ => {}
    }
    let state = said.code().unwrap_or_default();
    if state.starts_with("23") || !matches!(said.kind(), sqlx::error::ErrorKind::Other) {
        Fault::harmless(DatabaseError::Constraint(text))
    } else if state.starts_with("42") {
        Fault::harmless(DatabaseError::Syntax(text))
    } else if state.starts_with("08") {
        Fault::fatal(DatabaseError::ConnectionLost(text))
    } else {
        Fault::harmless(DatabaseError::Other(text))
    }
}
