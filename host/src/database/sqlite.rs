//! SQLite: a file, or memory that lives as long as the [`super::Database`].

use super::engine::{Engine, Health, Results};
use super::error::{DatabaseError, Fault, OpenError};
use super::limits::{Access, DatabaseLimits};
use super::scanner::Dialect;
use super::statement::Verb;
use super::value::{Outcome, Value};
use crate::external::external;
use futures_util::future::BoxFuture;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteQueryResult,
    SqliteRow, SqliteValueRef,
};
use sqlx::{
    Arguments, AssertSqlSafe, Column, ConnectOptions, Decode, Executor, Row, SqlSafeStr, Sqlite, Statement, TypeInfo,
    ValueRef,
};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What all SQLite databases of the process may allocate together, page caches and databases in memory included. Without it
/// one `SELECT zeroblob(1000000000)` allocates a gigabyte before the host sees its size.
const HEAP_LIMIT_BYTES: &str = "536870912";

/// Rows that SQLite's thread may be ahead of the host; each may be large.
const ROWS_AHEAD: usize = 8;

/// Instructions of SQLite's virtual machine between two looks at the clock: some ten microseconds.
pub(super) const INSTRUCTIONS_PER_CHECK: i32 = 4096;

/// How to open the database.
pub(super) struct Source {
    options: SqliteConnectOptions,
    in_memory: bool,
}

/// Read the URL of a SQLite database.
pub(super) fn source(name: &str, url: &str, base_dir: &Path, limits: &DatabaseLimits) -> Result<Source, OpenError> {
    let refuse = |reason: &str| OpenError::Url {
        name: name.to_owned(),
        reason: format!("{reason}; it should look like `sqlite://file.db` or `sqlite::memory:`"),
    };
    if url.contains('?') {
        return Err(refuse("the host sets SQLite's options, so that there is no `?` in the url"));
    }
    let options = SqliteConnectOptions::from_str(url).map_err(|_| refuse("it cannot be read"))?;
    let in_memory = matches!(url, "sqlite::memory:" | "sqlite://:memory:");
    let options = if in_memory {
        options
    } else if options.get_filename().as_os_str().is_empty() {
        return Err(refuse("it names no file"));
    } else {
        let path = base_dir.join(options.get_filename());
        options.filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
    };
    // The schema may change under a statement that the driver keeps, and the driver would not notice.
    let options = options
        .foreign_keys(true)
        .busy_timeout(limits.query_timeout.min(Duration::from_hours(1)))
        .statement_cache_capacity(0)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("hard_heap_limit", HEAP_LIMIT_BYTES)
        .disable_statement_logging();
    Ok(Source { options, in_memory })
}

/// Connect once: this makes the file. The session that keeps a database in memory alive is handed out.
pub(super) async fn probe(
    name: &str,
    source: &Source,
    limits: &DatabaseLimits,
) -> Result<Option<SqliteConnection>, OpenError> {
    use sqlx::Connection;
    let path = source.options.get_filename().display().to_string();
    let failed = |reason: String| OpenError::File { name: name.to_owned(), path: path.clone(), reason };
    let connect = async {
        let mut session = source.options.connect().await?;
        // A file that is no database is noticed at the first read.
        session.execute("SELECT count(*) FROM sqlite_schema").await?;
        Ok::<_, sqlx::Error>(session)
    };
    let session = timeout(limits.connect_timeout, external(connect))
        .await
        .map_err(|_| failed("it stayed locked for connect_timeout".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    if source.in_memory {
        return Ok(Some(session));
    }
    external(session.close()).await.map_err(|error| failed(error.to_string()))?;
    Ok(None)
}

/// A session beside those of the pools.
pub(super) async fn connect(source: &Source) -> Result<SqliteConnection, sqlx::Error> {
    source.options.connect().await
}

/// Stops the statement that it belongs to as soon as nobody waits for it any more.
pub(super) struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Engine for Sqlite {
    type Source = Source;
    type Watch = StopOnDrop;
    const DIALECT: Dialect = Dialect::Sqlite;
    const CLOSE_UNREAD: bool = false;

    fn pool(source: &Source, access: Access, limits: &DatabaseLimits, _: Arc<Health>) -> sqlx::Pool<Sqlite> {
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(limits.connect_timeout)
            .test_before_acquire(false)
            .max_lifetime(None);
        let options = source.options.clone();
        if source.in_memory {
            let options = match access {
                Access::ReadOnly => options.pragma("query_only", "ON"),
                Access::ReadWrite => options,
            };
            return pool.max_connections(1).idle_timeout(None).connect_lazy_with(options);
        }
        // Wal is a property of the file; a session that cannot write has no say in it.
        let options = match access {
            Access::ReadOnly => options.read_only(true).create_if_missing(false),
            Access::ReadWrite => options,
        };
        pool.max_connections(limits.max_connections.max(1)).idle_timeout(limits.idle_timeout).connect_lazy_with(options)
    }

    fn one_at_a_time(source: &Source) -> bool {
        // In shared memory readers have no snapshot. They wait for writers, and writers for them, in a place where
        // nobody can interrupt them.
        source.in_memory
    }

    fn begin(access: Access) -> &'static str {
        match access {
            Access::ReadOnly => "BEGIN",
            // Two transactions that both read first and write later would refuse each other at once, without waiting.
            Access::ReadWrite => "BEGIN IMMEDIATE",
        }
    }

    fn arguments(values: Vec<Value>) -> Result<SqliteArguments, DatabaseError> {
        let mut arguments = SqliteArguments::default();
        for value in values {
            if matches!(value, Value::F64(number) if number.is_nan()) {
                return Err(DatabaseError::Other("SQLite has no NaN and would store NULL".to_owned()));
            }
            bind(&mut arguments, value).map_err(|error| DatabaseError::Other(error.to_string()))?;
        }
        Ok(arguments)
    }

    fn stream(
        session: &mut SqliteConnection,
        sql: Arc<str>,
        arguments: SqliteArguments,
        _: bool,
    ) -> Results<'_, Sqlite> {
        session.fetch_many(sqlx::query_with(AssertSqlSafe(sql), arguments))
    }

    fn columns(
        session: &mut SqliteConnection,
        sql: Arc<str>,
        _: bool,
    ) -> BoxFuture<'_, Result<Vec<String>, sqlx::Error>> {
        Box::pin(async move {
            let statement = session.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
            let columns = statement.columns().iter();
            Ok(columns.map(|column| column.name().to_owned()).collect())
        })
    }

    fn row(row: &SqliteRow) -> Result<Vec<Value>, sqlx::Error> {
        let columns = row.columns().iter();
        columns
            .map(|column| {
                let raw = row.try_get_raw(column.ordinal())?;
                value(raw, column.type_info().name()).map_err(sqlx::Error::Decode)
            })
            .collect()
    }

    fn outcome(result: &SqliteQueryResult, verb: Verb) -> Outcome {
        // Both numbers are those of the session's last change, whichever statement made it.
        let affected_rows = match verb {
            Verb::Insert | Verb::Modify => result.rows_affected(),
            Verb::Read | Verb::Define | Verb::Call => 0,
        };
        let inserted = verb == Verb::Insert && affected_rows > 0;
        let id = u64::try_from(result.last_insert_rowid()).ok();
        Outcome { affected_rows, last_insert_id: id.filter(|_| inserted) }
    }

    fn control<'c>(session: &'c mut SqliteConnection, sql: &'static str) -> BoxFuture<'c, Result<(), sqlx::Error>> {
        Box::pin(async move { session.execute(sql).await.map(drop) })
    }

    fn fault(error: sqlx::Error) -> Fault {
        Fault::from_driver(error, answer)
    }

    fn watch(session: &mut SqliteConnection, budget: Duration) -> BoxFuture<'_, Result<StopOnDrop, sqlx::Error>> {
        Box::pin(async move {
            let stop = Arc::new(AtomicBool::new(false));
            let stopped = Arc::clone(&stop);
            let start = Instant::now();
            let mut handle = session.lock_handle().await?;
            handle.set_progress_handler(INSTRUCTIONS_PER_CHECK, move || {
                !stopped.load(Ordering::Relaxed) && start.elapsed() < budget
            });
            Ok(StopOnDrop(stop))
        })
    }

    fn rollback_flag(session: &mut SqliteConnection) -> BoxFuture<'_, Result<Option<Arc<AtomicBool>>, sqlx::Error>> {
        Box::pin(async move {
            let flag = Arc::new(AtomicBool::new(false));
            let raised = Arc::clone(&flag);
            let mut handle = session.lock_handle().await?;
            handle.set_rollback_hook(move || raised.store(true, Ordering::Relaxed));
            Ok(Some(flag))
        })
    }
}

fn bind(arguments: &mut SqliteArguments, value: Value) -> Result<(), sqlx::error::BoxDynError> {
    match value {
        Value::Null => arguments.add(None::<String>),
        Value::Boolean(value) => arguments.add(value),
        Value::S64(value) => arguments.add(value),
        Value::U64(value) => match i64::try_from(value) {
            Ok(value) => arguments.add(value),
            // Bytes sort after all numbers, and these in their own order.
            Err(_) => arguments.add(value.to_be_bytes().to_vec()),
        },
        Value::F64(value) => arguments.add(value),
        Value::Bytes(value) => arguments.add(value),
        Value::Decimal(text)
        | Value::Text(text)
        | Value::Date(text)
        | Value::Time(text)
        | Value::Datetime(text)
        | Value::Timestamp(text)
        | Value::Json(text) => arguments.add(text),
    }
}

/// SQLite's columns hold values of any type: what a value is depends on itself and on what the column is declared to hold.
fn value(raw: SqliteValueRef<'_>, declared: &str) -> Result<Value, sqlx::error::BoxDynError> {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let held = raw.type_info().name().to_owned();
    match held.as_str() {
        "INTEGER" => {
            let number = <i64 as Decode<Sqlite>>::decode(raw)?;
            Ok(match (declared, number) {
                ("BOOLEAN", 0 | 1) => Value::Boolean(number == 1),
                _ => Value::S64(number),
            })
        }
        "REAL" => <f64 as Decode<Sqlite>>::decode(raw).map(Value::F64),
        "TEXT" => {
            let bytes = <Vec<u8> as Decode<Sqlite>>::decode(raw)?;
            // SQLite does not check that text is UTF-8.
            Ok(match String::from_utf8(bytes) {
                Ok(text) => textual(text, declared),
                Err(invalid) => Value::Bytes(invalid.into_bytes()),
            })
        }
        _ => {
            let bytes = <Vec<u8> as Decode<Sqlite>>::decode(raw)?;
            Ok(match <[u8; 8]>::try_from(bytes.as_slice()) {
                Ok(whole @ [first, ..]) if first >= 0x80 && declared == "INTEGER" => {
                    Value::U64(u64::from_be_bytes(whole))
                }
                _ => Value::Bytes(bytes),
            })
        }
    }
}

fn textual(text: String, declared: &str) -> Value {
    match declared {
        "DATE" => Value::Date(text),
        "TIME" => Value::Time(text),
        "DATETIME" if text.ends_with('Z') => Value::Timestamp(text),
        "DATETIME" => Value::Datetime(text),
        _ => Value::Text(text),
    }
}

/// Translate SQLite's result code; the low byte is the kind, the rest a detail.
///
/// None is fatal for the session. Whether it ended the transaction, the rollback hook tells.
fn answer(said: &dyn sqlx::error::DatabaseError) -> Fault {
    let text = said.message().to_owned();
    let code: i32 = said.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    Fault::harmless(match code & 0xff {
        1 | 25 => DatabaseError::Syntax(text),
        // Permission, read-only, authorization.
        3 | 8 | 23 => DatabaseError::Denied(text),
        // Busy, locked, interrupted.
        5 | 6 | 9 => DatabaseError::Timeout,
        7 => DatabaseError::TooLarge("the statement needs more memory than SQLite may use".to_owned()),
        18 => DatabaseError::TooLarge(text),
        14 => DatabaseError::ConnectionLost(text),
        19 => DatabaseError::Constraint(text),
        _ => DatabaseError::Other(text),
    })
}
