//! One statement on the thread of its session.

use super::super::error::{DatabaseError, Fault};
use super::super::limits::Meter;
use super::super::session::{MAX_KEPT_STATEMENT, Run};
use super::super::statement::Verb;
use super::super::value::{Outcome, RowSet, Value};
use super::answer;
use crate::config::DatabaseConfig;
use rusqlite::types::{Null, ValueRef};
use rusqlite::{CachedStatement, Connection, Row, Rows, StatementStatus, ToSql};
use std::sync::Arc;

/// Bytes of a statement that is kept prepared. Usual ones need a few thousand.
const MAX_KEPT_MEMORY: usize = 32 << 10;

/// A checked statement with its parameters.
pub(super) struct Statement {
    sql: String,
    parameters: Vec<Value>,
    verb: Verb,
    config: Arc<DatabaseConfig>,
}

/// Read something, which shows whether a file is a database.
pub(super) fn look(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

impl Statement {
    pub(super) fn new(run: Run<'_>) -> Result<Self, Fault> {
        if run.parameters.iter().any(|value| matches!(value, Value::F64(number) if number.is_nan())) {
            let error = DatabaseError::Other("SQLite has no NaN and would store NULL".to_owned());
            return Err(Fault::harmless(error));
        }
        let Run { sql, parameters, verb, config } = run;
        Ok(Self { sql: sql.to_owned(), parameters, verb, config: Arc::clone(config) })
    }

    /// Collect the rows.
    pub(super) fn query(&self, connection: &Connection) -> Result<RowSet, Fault> {
        let mut statement = self.prepare(connection)?;
        let (mut found, mut meter) = (RowSet::default(), Meter::new(&self.config));
        let mut declared = Vec::new();
        let mut rows = statement.get().raw_query();
        while let Some(row) = rows.next().map_err(answer)? {
            if found.rows.is_empty() {
                // Now, because SQLite prepares a statement again if the schema has changed since.
                (found.columns, declared) = columns(row.as_ref());
            }
            let values = values(row, &declared).map_err(answer)?;
            meter.count(&values).map_err(Fault::harmless)?;
            found.rows.push(values);
        }
        drop(rows);
        if found.rows.is_empty() && self.verb != Verb::Define {
            found.columns = columns(statement.get()).0;
        }
        statement.put_back();
        Ok(found)
    }

    /// Count the changed rows.
    pub(super) fn execute(&self, connection: &Connection) -> Result<Outcome, Fault> {
        let mut statement = self.prepare(connection)?;
        finish(&mut statement.get().raw_query()).map_err(answer)?;
        statement.put_back();
        // Both numbers describe the last change of the session, whichever statement made it.
        let affected_rows = match self.verb {
            Verb::Insert | Verb::Modify => connection.changes(),
            Verb::Read | Verb::Define | Verb::Call => 0,
        };
        let inserted = self.verb == Verb::Insert && affected_rows > 0;
        let id = u64::try_from(connection.last_insert_rowid()).ok();
        Ok(Outcome { affected_rows, last_insert_id: id.filter(|_| inserted) })
    }

    fn prepare<'c>(&self, connection: &'c Connection) -> Result<Prepared<'c>, Fault> {
        let mut statement = match self.sql.len() <= MAX_KEPT_STATEMENT {
            true => Prepared::Kept(connection.prepare_cached(&self.sql).map_err(answer)?),
            false => Prepared::Once(connection.prepare(&self.sql).map_err(answer)?),
        };
        for (place, value) in (1..).zip(&self.parameters) {
            bind(statement.get(), place, value).map_err(answer)?;
        }
        Ok(statement)
    }
}

/// A statement that the session keeps prepared, or does not.
enum Prepared<'c> {
    Kept(CachedStatement<'c>),
    Once(rusqlite::Statement<'c>),
}

impl<'c> Prepared<'c> {
    fn get(&mut self) -> &mut rusqlite::Statement<'c> {
        match self {
            Self::Kept(statement) => statement,
            Self::Once(statement) => statement,
        }
    }
}

impl Prepared<'_> {
    /// Keep the statement if it is small: a short text may stand for much memory, and all databases share what there is.
    fn put_back(self) {
        if let Self::Kept(statement) = self
            && usize::try_from(statement.get_status(StatementStatus::MemUsed)).is_ok_and(|used| used > MAX_KEPT_MEMORY)
        {
            statement.discard();
        }
    }
}

/// Run a statement to its end, whatever it returns.
pub(crate) fn finish(rows: &mut Rows<'_>) -> rusqlite::Result<()> {
    while rows.next()?.is_some() {}
    Ok(())
}

fn bind(statement: &mut rusqlite::Statement<'_>, place: usize, value: &Value) -> rusqlite::Result<()> {
    let mut bind = |value: &dyn ToSql| statement.raw_bind_parameter(place, value);
    match value {
        Value::Null => bind(&Null),
        Value::Boolean(value) => bind(value),
        Value::S64(value) => bind(value),
        Value::U64(value) => match i64::try_from(*value) {
            Ok(value) => bind(&value),
            // Bytes sort after all numbers, in their own order.
            Err(_) => bind(&value.to_be_bytes().as_slice()),
        },
        Value::F64(value) => bind(value),
        Value::Bytes(value) => bind(value),
        Value::Decimal(text)
        | Value::Text(text)
        | Value::Date(text)
        | Value::Time(text)
        | Value::Datetime(text)
        | Value::Timestamp(text)
        | Value::Json(text) => bind(text),
    }
}

/// What a column was declared as, as far as it matters: SQLite's columns contain values of any type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Declared {
    Boolean,
    Integer,
    Date,
    Time,
    Datetime,
    Other,
}

/// The names of the columns, and their declared types.
fn columns(statement: &rusqlite::Statement<'_>) -> (Vec<String>, Vec<Declared>) {
    let columns = statement.columns();
    let names = columns.iter().map(|column| column.name().to_owned()).collect();
    (names, columns.iter().map(|column| declared(column.decl_type())).collect())
}

fn declared(name: Option<&str>) -> Declared {
    match name.map(str::to_ascii_lowercase).as_deref() {
        Some("boolean" | "bool") => Declared::Boolean,
        Some("date") => Declared::Date,
        Some("time") => Declared::Time,
        Some("datetime" | "timestamp") => Declared::Datetime,
        // SQLite's own rule for the affinity of a column.
        Some(other) if other.contains("int") => Declared::Integer,
        _ => Declared::Other,
    }
}

fn values(row: &Row<'_>, declared: &[Declared]) -> rusqlite::Result<Vec<Value>> {
    declared.iter().enumerate().map(|(place, declared)| Ok(value(row.get_ref(place)?, *declared))).collect()
}

/// The type of a value depends on the value and on the declared type of its column.
fn value(raw: ValueRef<'_>, declared: Declared) -> Value {
    match raw {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number @ (0 | 1)) if declared == Declared::Boolean => Value::Boolean(number == 1),
        ValueRef::Integer(number) => Value::S64(number),
        ValueRef::Real(number) => Value::F64(number),
        // SQLite does not check that text is UTF-8.
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => textual(text.to_owned(), declared),
            Err(_) => Value::Bytes(bytes.to_owned()),
        },
        ValueRef::Blob(bytes) => match <[u8; 8]>::try_from(bytes) {
            Ok(whole @ [first, ..]) if first >= 0x80 && declared == Declared::Integer => {
                Value::U64(u64::from_be_bytes(whole))
            }
            _ => Value::Bytes(bytes.to_owned()),
        },
    }
}

fn textual(text: String, declared: Declared) -> Value {
    match declared {
        Declared::Date => Value::Date(text),
        Declared::Time => Value::Time(text),
        Declared::Datetime if text.ends_with('Z') => Value::Timestamp(text),
        Declared::Datetime => Value::Datetime(text),
        Declared::Boolean | Declared::Integer | Declared::Other => Value::Text(text),
    }
}
