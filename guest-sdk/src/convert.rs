//! Conversions between the types of this crate and the generated ones. A change of the contract is only visible here.

use crate::bindings::hassock::host::{connections, log, sql, timers, topics, types};
use crate::sql::{Outcome, RowSet, SqlError, Value};
use crate::timers::Schedule;
use crate::{Acceptance, ClosedBy, Closing, ConnectionError, Message, Refusal, Request, TimerError, TopicError};

/// `From` for two types that have the same cases with the same contents.
macro_rules! cases {
    ($($from:ty => $to:ty { $($case:ident $(($inner:ident))?),* $(,)? })*) => {$(
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                type Source = $from;
                match value {
                    $(Source::$case $(($inner))? => Self::$case $(($inner))?,)*
                }
            }
        }
    )*};
}

cases! {
    types::Message => Message { Text(text), Binary(bytes) }
    Message => types::Message { Text(text), Binary(bytes) }
    types::ClosedBy => ClosedBy { Client, Module, Host, Transport }
    connections::Error => ConnectionError {
        UnknownConnection, OutboxFull, Closing, TooLarge(text), Invalid(text),
    }
    topics::Error => TopicError { UnknownConnection, TooManyTopics, InvalidTopic, TooLarge }
    timers::Error => TimerError { UnknownConnection, TooManyTimers, Invalid(text) }
    sql::Error => SqlError {
        Denied(text), UnknownDatabase(text), Timeout, PoolExhausted, Constraint(text), Syntax(text), TooLarge(text),
        ConnectionLost(text), Other(text),
    }
    sql::Value => Value {
        Null, Boolean(value), S64(value), U64(value), F64(value), Decimal(value), Text(value), Bytes(value),
        Date(value), Time(value), Datetime(value), Timestamp(value), Json(value),
    }
    Value => sql::Value {
        Null, Boolean(value), S64(value), U64(value), F64(value), Decimal(value), Text(value), Bytes(value),
        Date(value), Time(value), Datetime(value), Timestamp(value), Json(value),
    }
    ::log::Level => log::Level { Trace, Debug, Info, Warn, Error }
}

impl From<types::Closing> for Closing {
    fn from(closing: types::Closing) -> Self {
        let types::Closing { code, reason, by } = closing;
        Self { code, reason, by: by.into() }
    }
}

impl From<types::Request> for Request {
    fn from(request: types::Request) -> Self {
        let types::Request { path, query, headers, remote_address, subprotocols, secure } = request;
        Self { path, query, headers, remote_address, subprotocols, secure }
    }
}

impl From<Acceptance> for types::Acceptance {
    fn from(acceptance: Acceptance) -> Self {
        let Acceptance { subprotocol, headers, topics, attachment } = acceptance;
        Self { subprotocol, headers, topics, attachment }
    }
}

impl From<Refusal> for types::Refusal {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, headers, body, cause: _ } = refusal;
        Self { status, headers, body }
    }
}

impl From<Schedule> for timers::Schedule {
    fn from(schedule: Schedule) -> Self {
        Self { after_ms: schedule.after_ms(), every_ms: schedule.every_ms() }
    }
}

impl From<sql::Outcome> for Outcome {
    fn from(outcome: sql::Outcome) -> Self {
        let sql::Outcome { affected_rows, last_insert_id } = outcome;
        Self { affected_rows, last_insert_id }
    }
}

impl From<sql::RowSet> for RowSet {
    fn from(found: sql::RowSet) -> Self {
        let rows = found.rows.into_iter().map(|row| row.into_iter().map(Into::into).collect());
        Self { columns: found.columns, rows: rows.collect() }
    }
}
