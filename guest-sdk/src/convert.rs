//! Conversions between the types of this crate and the generated ones. A change of the contract is only visible here.

use crate::bindings::hassock::host::{connections, log, sql, timers, topics, types};
use crate::history::{Gap, HistoryPage, KeptMessage, Options, Position, Published, StartAt, Subscription};
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
    topics::Error => TopicError { UnknownConnection, TooManyTopics, InvalidTopic, NoHistory, TooLarge, Unavailable }
    topics::Gap => Gap { Count, Age, Bytes, Restart, None }
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

impl From<topics::Position> for Position {
    fn from(topics::Position { epoch, offset }: topics::Position) -> Self {
        Self { epoch, offset }
    }
}

impl From<Position> for topics::Position {
    fn from(Position { epoch, offset }: Position) -> Self {
        Self { epoch, offset }
    }
}

impl From<StartAt> for topics::Start {
    fn from(start: StartAt) -> Self {
        match start {
            StartAt::Now => Self::Now,
            StartAt::Since(position) => Self::Since(position.into()),
            StartAt::Last(count) => Self::Last(count),
        }
    }
}

impl From<topics::Subscription> for Subscription {
    fn from(topics::Subscription { position, missing }: topics::Subscription) -> Self {
        Self { position: position.map(Into::into), missing: missing.map(Into::into) }
    }
}

impl From<Options> for topics::PublishOptions {
    fn from(Options { id, except, skip_history }: Options) -> Self {
        Self { id, except, skip_history }
    }
}

impl From<topics::Published> for Published {
    fn from(topics::Published { reached, position, is_duplicate }: topics::Published) -> Self {
        Self { reached, position: position.map(Into::into), is_duplicate }
    }
}

impl From<topics::HistoryPage> for HistoryPage {
    fn from(topics::HistoryPage { messages, latest, missing }: topics::HistoryPage) -> Self {
        let kept = messages.into_iter().map(|topics::KeptMessage { position, message, id }| KeptMessage {
            position: position.into(),
            message: message.into(),
            id,
        });
        Self { messages: kept.collect(), latest: latest.into(), missing: missing.map(Into::into) }
    }
}

impl From<types::Closing> for Closing {
    fn from(closing: types::Closing) -> Self {
        let types::Closing { code, reason, by } = closing;
        Self { code, reason, by: by.into() }
    }
}

impl From<types::Request> for Request {
    fn from(request: types::Request) -> Self {
        let types::Request { path, query, headers, remote_address, subprotocols, secure, claims } = request;
        Self { path, query, headers, remote_address, subprotocols, secure, claims }
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
