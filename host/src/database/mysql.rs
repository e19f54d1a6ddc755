//! MySQL and MariaDB.

mod decode;

use super::engine::{Engine, Health, Results};
use super::error::{DatabaseError, Fault, OpenError};
use super::limits::Access;
use super::scanner::Dialect;
use super::statement::Verb;
use super::value::{Outcome, Value};
use crate::config::DatabaseConfig;
use futures_util::future::BoxFuture;
use sqlx::mysql::{
    MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlPoolOptions, MySqlQueryResult,
    MySqlRow,
};
use sqlx::{Arguments, AssertSqlSafe, Column, ConnectOptions, Connection, Executor, MySql, SqlSafeStr, Statement};
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
    type Watch = ();
    const DIALECT: Dialect = Dialect::MySql;
    const CLOSE_UNREAD: bool = true;

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

    fn one_at_a_time(_: &Self::Source) -> bool {
        false
    }

    fn begin(access: Access) -> &'static str {
        match access {
            Access::ReadOnly => "START TRANSACTION READ ONLY",
            Access::ReadWrite => "START TRANSACTION",
        }
    }

    fn arguments(values: Vec<Value>) -> Result<MySqlArguments, DatabaseError> {
        let mut arguments = MySqlArguments::default();
        for value in values {
            bind(&mut arguments, value).map_err(|error| DatabaseError::Other(error.to_string()))?;
        }
        Ok(arguments)
    }

    fn stream(
        session: &mut MySqlConnection,
        sql: Arc<str>,
        arguments: MySqlArguments,
        keep: bool,
    ) -> Results<'_, MySql> {
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
        session.fetch_many(query.persistent(keep))
    }

    fn columns(
        session: &mut MySqlConnection,
        sql: Arc<str>,
        keep: bool,
    ) -> BoxFuture<'_, Result<Vec<String>, sqlx::Error>> {
        Box::pin(async move {
            // This needs no round trip, because the statement has just been prepared.
            let statement = session.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
            let columns = statement.columns().iter();
            let names = columns.map(|column| column.name().to_owned()).collect();
            if !keep {
                session.clear_cached_statements().await?;
            }
            Ok(names)
        })
    }

    fn row(row: &MySqlRow) -> Result<Vec<Value>, sqlx::Error> {
        decode::row(row)
    }

    fn outcome(result: &MySqlQueryResult, _: Verb) -> Outcome {
        Outcome {
            affected_rows: result.rows_affected(),
            last_insert_id: Some(result.last_insert_id()).filter(|id| *id != 0),
        }
    }

    fn control<'c>(session: &'c mut MySqlConnection, sql: &'static str) -> BoxFuture<'c, Result<(), sqlx::Error>> {
        Box::pin(async move { session.execute(sql).await.map(drop) })
    }

    fn fault(error: sqlx::Error) -> Fault {
        Fault::from_driver(error, answer)
    }

    fn watch(_: &mut MySqlConnection, _: Duration) -> BoxFuture<'_, Result<(), sqlx::Error>> {
        // The server enforces the time limit: see `prepare`.
        Box::pin(async { Ok(()) })
    }

    fn rollback_flag(_: &mut MySqlConnection) -> BoxFuture<'_, Result<Option<Arc<AtomicBool>>, sqlx::Error>> {
        // `answer` handles the errors that roll back.
        Box::pin(async { Ok(None) })
    }
}

async fn bounded<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

fn bind(arguments: &mut MySqlArguments, value: Value) -> Result<(), sqlx::error::BoxDynError> {
    match value {
        Value::Null => arguments.add(None::<String>),
        Value::Boolean(value) => arguments.add(value),
        Value::S64(value) => arguments.add(value),
        Value::U64(value) => arguments.add(value),
        Value::F64(value) => arguments.add(value),
        Value::Bytes(value) => arguments.add(value),
        // The session's time zone is UTC, and MySQL does not accept a `Z`.
        Value::Timestamp(text) => arguments.add(text.trim_end_matches('Z')),
        Value::Decimal(text)
        | Value::Text(text)
        | Value::Date(text)
        | Value::Time(text)
        | Value::Datetime(text)
        | Value::Json(text) => arguments.add(text),
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
