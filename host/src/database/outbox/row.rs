//! Rows of the outbox as a relay reads them.

use std::time::Duration;

use super::super::error::DatabaseError;
use super::super::value::{RowSet, Value};
use super::schema;

/// What is known of a row before its message is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutboxHead {
    pub(crate) id: u64,
    /// Its place among the rows of its topic: rows are published in the order of turns, and of ids where these are equal.
    pub(crate) turn: u64,
    pub(crate) app: String,
    pub(crate) topic_bytes: usize,
    pub(crate) message_bytes: usize,
    /// How long ago it was inserted.
    pub(crate) age: Duration,
}

/// A whole row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutboxRow {
    pub(crate) id: u64,
    /// When it was inserted, as the database writes it. With the id it is unique, also after `TRUNCATE`, which begins to count
    /// again.
    pub(crate) created: String,
    /// None if it is not UTF-8.
    pub(crate) topic: Option<String>,
    /// None if it is a text that is not UTF-8.
    pub(crate) message: Option<OutboxPayload>,
}

impl OutboxRow {
    /// Bytes of its message.
    pub(crate) fn message_bytes(&self) -> usize {
        match &self.message {
            Some(OutboxPayload::Text(text)) => text.len(),
            Some(OutboxPayload::Binary(bytes)) => bytes.len(),
            None => 0,
        }
    }
}

/// The message of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutboxPayload {
    Text(String),
    Binary(Vec<u8>),
}

/// The heads that a query has found, in the order in which they are to be published.
pub(super) fn heads(found: RowSet) -> Result<Vec<OutboxHead>, DatabaseError> {
    let mut heads = readable(found, head)?;
    heads.sort_by_key(|head| (head.turn, head.id));
    Ok(heads)
}

/// The rows that a query has found, in any order.
pub(super) fn rows(found: RowSet) -> Result<Vec<OutboxRow>, DatabaseError> {
    readable(found, row)
}

/// How many rows of which apps a query has found.
pub(super) fn counts(found: RowSet) -> Result<Vec<(String, u64)>, DatabaseError> {
    let count = |row: Vec<Value>| {
        let [app, count] = <[Value; 2]>::try_from(row).ok()?;
        Some((text(app)?, number(&count)?))
    };
    readable(found, count)
}

/// The rows that can be read. Programs may have written others, which must not stop these.
fn readable<T>(found: RowSet, read: impl Fn(Vec<Value>) -> Option<T>) -> Result<Vec<T>, DatabaseError> {
    let is_empty = found.rows.is_empty();
    let readable: Vec<T> = found.rows.into_iter().filter_map(read).collect();
    if readable.is_empty() && !is_empty { Err(unexpected()) } else { Ok(readable) }
}

/// Whether a query has found the number 1.
pub(super) fn is_one(found: RowSet) -> bool {
    found.rows.first().and_then(|row| number(row.first()?)) == Some(1)
}

fn head(row: Vec<Value>) -> Option<OutboxHead> {
    let [id, turn, app, topic_bytes, message_bytes, age] = <[Value; 6]>::try_from(row).ok()?;
    Some(OutboxHead {
        id: number(&id)?,
        turn: number(&turn)?,
        app: text(app)?,
        topic_bytes: number(&topic_bytes).and_then(|bytes| bytes.try_into().ok())?,
        message_bytes: number(&message_bytes).and_then(|bytes| bytes.try_into().ok())?,
        // A program may have written anything there.
        age: Duration::from_millis(number(&age).unwrap_or_default()),
    })
}

fn row(row: Vec<Value>) -> Option<OutboxRow> {
    let [id, created, topic, message, format] = <[Value; 5]>::try_from(row).ok()?;
    let message = match text(format)?.as_str() {
        schema::BINARY => Some(OutboxPayload::Binary(bytes(message))),
        _ => String::from_utf8(bytes(message)).ok().map(OutboxPayload::Text),
    };
    Some(OutboxRow { id: number(&id)?, created: text(created).unwrap_or_default(), topic: text(topic), message })
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::U64(number) => Some(*number),
        Value::S64(number) => u64::try_from(*number).ok(),
        Value::Boolean(is_one) => Some(u64::from(*is_one)),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    String::from_utf8(bytes(value)).ok()
}

fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::Bytes(bytes) => bytes,
        Value::Text(text)
        | Value::Decimal(text)
        | Value::Date(text)
        | Value::Time(text)
        | Value::Datetime(text)
        | Value::Timestamp(text)
        | Value::Json(text) => text.into_bytes(),
        // SQLite keeps a number that a program has inserted as one. It is published as it is written.
        Value::S64(number) => number.to_string().into_bytes(),
        Value::U64(number) => number.to_string().into_bytes(),
        Value::F64(number) => number.to_string().into_bytes(),
        Value::Boolean(value) => u8::from(value).to_string().into_bytes(),
        Value::Null => Vec::new(),
    }
}

/// The table has other types than those that the host gave it.
fn unexpected() -> DatabaseError {
    DatabaseError::Other(format!("`{}` has columns of other types than `hassock outbox init` makes", schema::TABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: Vec<Vec<Value>>) -> RowSet {
        RowSet { columns: Vec::new(), rows }
    }

    #[test]
    fn rows_come_in_the_order_of_turns_and_then_of_ids() {
        let head = |id, turn| {
            let app = Value::Text("chat".to_owned());
            vec![Value::U64(id), Value::U64(turn), app, Value::S64(4), Value::S64(5), Value::Null]
        };
        let heads = heads(found(vec![head(1, 9), head(4, 3), head(3, 3), head(2, 0)])).unwrap();
        assert_eq!(heads.iter().map(|head| head.id).collect::<Vec<_>>(), [2, 3, 4, 1]);
        assert_eq!((heads[0].topic_bytes, heads[0].message_bytes, heads[0].age), (4, 5, Duration::ZERO));
    }

    #[test]
    fn text_is_utf_8_and_binary_is_anything() {
        let row = |message: Value, format: &str| {
            let (created, topic) = (Value::Timestamp("now".to_owned()), Value::Bytes(b"t".to_vec()));
            let row = vec![Value::S64(1), created, topic, message, Value::Text(format.to_owned())];
            rows(found(vec![row])).unwrap().remove(0).message
        };
        assert_eq!(row(Value::Bytes("ü".into()), "text"), Some(OutboxPayload::Text("ü".to_owned())));
        assert_eq!(row(Value::Bytes(vec![0xff]), "text"), None);
        assert_eq!(row(Value::Bytes(vec![0xff]), "binary"), Some(OutboxPayload::Binary(vec![0xff])));
        assert_eq!(row(Value::S64(7), "text"), Some(OutboxPayload::Text("7".to_owned())));
    }

    #[test]
    fn a_table_of_another_form_is_an_error() {
        assert!(rows(found(vec![vec![Value::S64(1)]])).is_err());
        assert!(heads(found(vec![vec![Value::Null; 6]])).is_err());
    }
}
