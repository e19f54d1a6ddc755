//! SQLite in memory, with the host's translation of values and errors.

use std::cell::RefCell;

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Row, Statement};

use super::Access;
use super::statement::{Verb, verb};
use crate::sql::{Outcome, RowSet, SqlError as Error, Value};

/// The most rows of one result: the default of the host's `max_rows`.
const MAX_ROWS: usize = 10_000;

pub(super) struct Sqlite(RefCell<Connection>);

impl Sqlite {
    pub(super) fn open() -> Self {
        let connection = Connection::open_in_memory().and_then(|connection| {
            connection.pragma_update(None, "foreign_keys", true)?;
            Ok(connection)
        });
        match connection {
            Ok(connection) => Self(RefCell::new(connection)),
            Err(error) => panic!("SQLite cannot open a database in memory: {error}"),
        }
    }

    pub(super) fn query(&self, access: Access, sql: &str, values: &[Value]) -> Result<RowSet, Error> {
        self.with(access, |connection| {
            let mut statement = prepare(connection, sql, values)?;
            let columns = statement.column_names().into_iter().map(str::to_owned).collect();
            let declared = declared(&statement);
            let mut rows = Vec::new();
            let mut found = statement.raw_query();
            while let Some(row) = found.next().map_err(answer)? {
                if rows.len() == MAX_ROWS {
                    return Err(Error::TooLarge(format!("the result has more than {MAX_ROWS} rows (max_rows)")));
                }
                rows.push(read(row, &declared)?);
            }
            Ok(RowSet { columns, rows })
        })
    }

    pub(super) fn execute(&self, access: Access, sql: &str, values: &[Value]) -> Result<Outcome, Error> {
        self.with(access, |connection| {
            let mut statement = prepare(connection, sql, values)?;
            let mut rows = statement.raw_query();
            while rows.next().map_err(answer)?.is_some() {}
            // SQLite keeps both numbers of the last change, so they may be those of an earlier statement.
            let verb = verb(sql).unwrap_or(Verb::Define);
            let changes = matches!(verb, Verb::Insert | Verb::Modify);
            let affected_rows = if changes { connection.changes() } else { 0 };
            let inserted = verb == Verb::Insert && affected_rows > 0;
            let id = u64::try_from(connection.last_insert_rowid()).ok();
            Ok(Outcome { affected_rows, last_insert_id: id.filter(|_| inserted) })
        })
    }

    /// Run statements without parameters or results.
    pub(super) fn control(&self, access: Access, sql: &str) -> Result<(), Error> {
        self.with(access, |connection| connection.execute_batch(sql).map_err(answer))
    }

    pub(super) fn in_transaction(&self) -> bool {
        !self.0.borrow().is_autocommit()
    }

    fn with<T>(&self, access: Access, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let connection = self.0.borrow();
        connection.pragma_update(None, "query_only", access == Access::ReadOnly).map_err(answer)?;
        work(&connection)
    }
}

fn prepare<'c>(connection: &'c Connection, sql: &str, values: &[Value]) -> Result<Statement<'c>, Error> {
    let mut statement = connection.prepare(sql).map_err(answer)?;
    let (placeholders, parameters) = (statement.parameter_count(), values.len());
    if placeholders != parameters {
        return Err(Error::Syntax(format!(
            "the statement has {placeholders} `?` but {parameters} parameters were given"
        )));
    }
    if (1..=placeholders).any(|index| statement.parameter_name(index).is_some()) {
        return Err(Error::Syntax(
            "parameters are bound in order, as plain `?`; named and numbered ones are not supported".into(),
        ));
    }
    for (index, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, bind(value)?).map_err(answer)?;
    }
    Ok(statement)
}

fn bind(value: &Value) -> Result<Stored, Error> {
    Ok(match value {
        Value::Null => Stored::Null,
        Value::Boolean(value) => Stored::Integer(i64::from(*value)),
        Value::S64(value) => Stored::Integer(*value),
        // Bytes sort after all numbers, and these bytes sort in the order of the numbers.
        Value::U64(value) => {
            i64::try_from(*value).map_or_else(|_| Stored::Blob(value.to_be_bytes().into()), Stored::Integer)
        }
        Value::F64(value) if value.is_nan() => {
            return Err(Error::Other("SQLite has no NaN and would store NULL".into()));
        }
        Value::F64(value) => Stored::Real(*value),
        Value::Bytes(bytes) => Stored::Blob(bytes.clone()),
        Value::Decimal(text)
        | Value::Text(text)
        | Value::Date(text)
        | Value::Time(text)
        | Value::Datetime(text)
        | Value::Timestamp(text)
        | Value::Json(text) => Stored::Text(text.clone()),
    })
}

/// The declared type of a column, as far as it determines what its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Boolean,
    Integer,
    Date,
    Time,
    Datetime,
    Other,
}

fn declared(statement: &Statement<'_>) -> Vec<Declared> {
    let columns = statement.columns();
    let declared = columns.iter().map(|column| match column.decl_type().map(str::to_ascii_lowercase).as_deref() {
        Some("boolean" | "bool") => Declared::Boolean,
        Some("date") => Declared::Date,
        Some("time") => Declared::Time,
        Some("datetime" | "timestamp") => Declared::Datetime,
        Some(other) if other.contains("int") => Declared::Integer,
        _ => Declared::Other,
    });
    declared.collect()
}

fn read(row: &Row<'_>, declared: &[Declared]) -> Result<Vec<Value>, Error> {
    let columns = declared.iter().enumerate();
    columns.map(|(index, declared)| Ok(value(row.get_ref(index).map_err(answer)?, *declared))).collect()
}

fn value(held: ValueRef<'_>, declared: Declared) -> Value {
    match held {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number @ (0 | 1)) if declared == Declared::Boolean => Value::Boolean(number == 1),
        ValueRef::Integer(number) => Value::S64(number),
        ValueRef::Real(number) => Value::F64(number),
        ValueRef::Text(bytes) => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => textual(text, declared),
            Err(invalid) => Value::Bytes(invalid.into_bytes()),
        },
        ValueRef::Blob(bytes) => match <[u8; 8]>::try_from(bytes) {
            Ok(whole @ [first, ..]) if first >= 0x80 && declared == Declared::Integer => {
                Value::U64(u64::from_be_bytes(whole))
            }
            _ => Value::Bytes(bytes.to_vec()),
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

/// Translate SQLite's result code; the low byte is the kind, the rest a detail.
fn answer(error: rusqlite::Error) -> Error {
    use rusqlite::Error as Sqlite;
    let (code, text) = match error {
        Sqlite::SqliteFailure(code, text) => (code.extended_code, text.unwrap_or_else(|| code.to_string())),
        Sqlite::SqlInputError { error, msg, .. } => (error.extended_code, msg),
        Sqlite::MultipleStatement => {
            return Error::Syntax("one call runs one statement; there is text after the `;`".into());
        }
        other => return Error::Other(other.to_string()),
    };
    match code & 0xff {
        1 | 25 => Error::Syntax(text),
        // Permission, read-only, authorization.
        3 | 8 | 23 => Error::Denied(text),
        // Busy, locked, interrupted.
        5 | 6 | 9 => Error::Timeout,
        7 | 18 => Error::TooLarge(text),
        14 => Error::ConnectionLost(text),
        19 => Error::Constraint(text),
        _ => Error::Other(text),
    }
}
