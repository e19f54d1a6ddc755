//! MySQL and MariaDB.
//!
//! A session's bytes pass through a task that bounds them (`relay`). Sessions return to a pool (`pool`). `statement` is what
//! a session does, and `decode` reads its rows.

mod administration;
mod decode;
mod pool;
mod relay;
mod statement;

use super::engine::{Engine, Health};
use super::error::{DatabaseError, Fault, OpenError};
use super::limits::Access;
use super::scanner::Dialect;
use super::session::{Permits, Run};
use super::statement::Verb;
use super::value::{Outcome, RowSet};
use crate::config::DatabaseConfig;
pub(super) use administration::Administration;
use pool::{GOODBYE, Pool, PooledSession};
use relay::Relay;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError};
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
        let (mut session, relay) = Relay::connect(options, u64::MAX).await?;
        prepare(&mut session, Access::ReadWrite, config.query_timeout.get()).await?;
        // An encrypted session says goodbye twice, and the server may be gone when it does so again.
        let _ = session.close().await;
        Ok(relay)
    };
    match timeout(config.connect_timeout.get(), work).await {
        Ok(Ok(relay)) => {
            // The server may allow no more sessions than the pool will have.
            let _ = timeout(GOODBYE, relay.end()).await;
            Ok(())
        }
        Ok(Err(sqlx::Error::Database(said))) => Err(OpenError::Refused { name, address, reason: said.to_string() }),
        Ok(Err(error)) if is_about_tls(&error) => {
            Err(OpenError::NotSecure { name, address, reason: error.to_string() })
        }
        Ok(Err(error)) => Err(OpenError::Unreachable { name, address, reason: error.to_string() }),
        Err(_) => Err(OpenError::NoAnswer { name, address, timeout: config.connect_timeout.get() }),
    }
}

/// The driver reports a certificate that does not match as an error of the socket.
fn is_about_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.to_string().contains("certificate"),
        _ => false,
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
    type Pool = Pool;
    type Session = PooledSession;
    const DIALECT: Dialect = Dialect::MySql;

    fn pool(source: &MySqlConnectOptions, access: Access, config: &DatabaseConfig, health: Arc<Health>) -> Pool {
        Pool::new(source, access, config, health)
    }

    fn max_sessions(pool: &Pool) -> u32 {
        pool.max_sessions()
    }

    async fn acquire(pool: &Pool) -> Result<PooledSession, DatabaseError> {
        pool.acquire().await
    }

    async fn close(pool: &Pool) {
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

    async fn query(session: &mut PooledSession, run: Run<'_>) -> Result<RowSet, Fault> {
        let (session, config) = (session.get()?, run.config);
        let result = statement::query(&mut session.connection, run).await;
        session.judge(result, config)
    }

    async fn execute(session: &mut PooledSession, run: Run<'_>) -> Result<Outcome, Fault> {
        let (session, config) = (session.get()?, run.config);
        let result = statement::execute(&mut session.connection, run).await;
        session.judge(result, config)
    }

    async fn control(session: &mut PooledSession, sql: &'static str, _: &DatabaseConfig) -> Result<(), Fault> {
        session.get()?.connection.execute(sql).await.map(drop).map_err(fault)
    }

    fn may_change_session(verb: Verb) -> bool {
        // A procedure may run `SET SESSION`, or make a temporary table.
        matches!(verb, Verb::Call | Verb::Define)
    }

    fn rollback_flag(_: &PooledSession) -> Option<Arc<AtomicBool>> {
        // `answer` handles the errors that roll back.
        None
    }

    fn discard(session: &mut PooledSession, permits: Permits) {
        session.discard(permits);
    }
}

/// Convert a driver's error.
///
/// Every error that the database did not report leaves the protocol in an unknown state, and is therefore fatal.
fn fault(error: sqlx::Error) -> Fault {
    use sqlx::Error;
    match error {
        Error::Database(said) => answer(said.as_ref()),
        Error::Io(_) | Error::Tls(_) => Fault::fatal(DatabaseError::ConnectionLost(error.to_string())),
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
