//! One statement in a session.

use super::super::error::{DatabaseError, Fault};
use super::super::limits::Meter;
use super::super::session::{MAX_KEPT_STATEMENT, Run};
use super::super::statement::Verb;
use super::super::value::{Outcome, RowSet, Value};
use super::{decode, fault};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlQueryResult, MySqlRow};
use sqlx::{Arguments, AssertSqlSafe, Column, Connection, Either, Executor, Row, SqlSafeStr, Statement};
use std::sync::Arc;

/// Columns of a statement that is kept prepared. The driver keeps some hundred bytes for each of them.
const MAX_KEPT_COLUMNS: usize = 100;

/// Run a statement and collect its rows.
pub(super) async fn query(session: &mut MySqlConnection, run: Run<'_>) -> Result<RowSet, Fault> {
    let keep = run.sql.len() <= MAX_KEPT_STATEMENT;
    let sql: Arc<str> = run.sql.into();
    let mut found = RowSet::default();
    let mut meter = Meter::new(run.config);
    let mut complete = false;
    let mut results = stream(session, Arc::clone(&sql), arguments(run.parameters)?, keep);
    while let Some(item) = results.try_next().await.map_err(fault)? {
        match item {
            // A procedure may return several results; the first one that has rows counts.
            Either::Left(_) => complete = !found.rows.is_empty(),
            Either::Right(row) if !complete => {
                if found.rows.is_empty() {
                    found.columns = names(row.columns());
                }
                let values = decode::row(&row).map_err(fault)?;
                // The server cannot be stopped from sending the rest, so the session has to be closed.
                meter.count(&values).map_err(Fault::fatal)?;
                found.rows.push(values);
            }
            Either::Right(_) => {}
        }
    }
    drop(results);
    if found.rows.is_empty() && run.verb != Verb::Define {
        found.columns = match columns(session, sql, keep).await {
            Ok(columns) => columns,
            // The names are optional: a statement that cannot be prepared twice has none.
            Err(sqlx::Error::Database(_)) => Vec::new(),
            Err(error) => return Err(fault(error)),
        };
    }
    if found.columns.len() > MAX_KEPT_COLUMNS {
        session.clear_cached_statements().await.map_err(fault)?;
    }
    Ok(found)
}

/// Run a statement and count the rows that it changed.
pub(super) async fn execute(session: &mut MySqlConnection, run: Run<'_>) -> Result<Outcome, Fault> {
    // A statement that only reads is rarely executed, and may have any number of columns, which are not known here.
    let keep = run.sql.len() <= MAX_KEPT_STATEMENT && run.verb != Verb::Read;
    let mut total = Outcome::default();
    let mut results = stream(session, run.sql.into(), arguments(run.parameters)?, keep);
    while let Some(item) = results.try_next().await.map_err(fault)? {
        if let Either::Left(result) = item {
            total.affected_rows = total.affected_rows.saturating_add(result.rows_affected());
            let id = Some(result.last_insert_id()).filter(|id| *id != 0);
            total.last_insert_id = id.or(total.last_insert_id);
        }
    }
    Ok(total)
}

type Results<'c> = BoxStream<'c, Result<Either<MySqlQueryResult, MySqlRow>, sqlx::Error>>;

fn stream(session: &mut MySqlConnection, sql: Arc<str>, arguments: MySqlArguments, keep: bool) -> Results<'_> {
    session.fetch_many(sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(keep))
}

/// The columns of a statement that returned no rows. This needs no round trip, because it has just been prepared.
async fn columns(session: &mut MySqlConnection, sql: Arc<str>, keep: bool) -> Result<Vec<String>, sqlx::Error> {
    let statement = session.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
    let names = names(statement.columns());
    if !keep {
        session.clear_cached_statements().await?;
    }
    Ok(names)
}

fn names(columns: &[impl Column]) -> Vec<String> {
    columns.iter().map(|column| column.name().to_owned()).collect()
}

fn arguments(values: Vec<Value>) -> Result<MySqlArguments, Fault> {
    let mut arguments = MySqlArguments::default();
    for value in values {
        let added = bind(&mut arguments, value);
        added.map_err(|error| Fault::harmless(DatabaseError::Other(error.to_string())))?;
    }
    Ok(arguments)
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
