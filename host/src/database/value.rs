//! The parameters and results of statements, which are the same for every engine.

/// A value of a row, or of a `?` in a statement. It is the Rust side of `value` in `wit/sql.wit`, which describes each
/// case.
///
/// Dates and times are ISO 8601 text, because the engines have values that calendar types refuse (`0000-00-00`,
/// `-838:59:59`).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL's `NULL`.
    Null,
    /// A column declared as boolean that holds 0 or 1.
    Boolean(bool),
    /// A signed number.
    S64(i64),
    /// MySQL's `UNSIGNED`, `YEAR` and `BIT`. SQLite returns only numbers above `i64::MAX` as this.
    U64(u64),
    /// A floating-point number.
    F64(f64),
    /// An exact decimal number, such as `-12.50`.
    Decimal(String),
    /// Text.
    Text(String),
    /// Bytes without a character set.
    Bytes(Vec<u8>),
    /// `2026-01-31`.
    Date(String),
    /// `13:05:59` or `-838:59:59.000001`.
    Time(String),
    /// `2026-01-31T13:05:59`, possibly with six digits of a fraction of a second: no time zone.
    Datetime(String),
    /// `2026-01-31T13:05:59Z`: a point in time, always UTC.
    Timestamp(String),
    /// JSON as text.
    Json(String),
}

impl Value {
    /// How many bytes of `max_result_bytes` the value uses: its content, and at least 8, so that a result of many small
    /// values is limited too.
    pub(super) fn size(&self) -> usize {
        let content = match self {
            Value::Null | Value::Boolean(_) | Value::S64(_) | Value::U64(_) | Value::F64(_) => 0,
            Value::Bytes(bytes) => bytes.len(),
            Value::Decimal(text)
            | Value::Text(text)
            | Value::Date(text)
            | Value::Time(text)
            | Value::Datetime(text)
            | Value::Timestamp(text)
            | Value::Json(text) => text.len(),
        };
        content.max(8)
    }
}

/// The result of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowSet {
    /// The names of the columns, in order. They are known even if there are no rows.
    pub columns: Vec<String>,
    /// The rows. Each row has one value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// The result of a statement that returns no rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The number of rows that were inserted, updated or deleted. A matched row counts even if its values did not
    /// change.
    pub affected_rows: u64,
    /// The id that an auto-increment column (in SQLite: the row id) got, if the statement inserted a row.
    pub last_insert_id: Option<u64>,
}
