//! Why a call about a database failed.

use std::fmt;

/// Why a call about a database failed. The texts are for a developer who reads the log, not for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlError {
    /// The app has no grant for the database or for writing to it, or the statement would leave something behind in the
    /// pooled session (`BEGIN`, `SET`, `LOCK TABLES`, `ATTACH`, …).
    Denied(String),
    /// The host's config has no database of that name.
    UnknownDatabase(String),
    /// The statement took longer than the database's `query_timeout`, or waited that long for a lock.
    Timeout,
    /// All `max_connections` of the database were busy for its `acquire_timeout`.
    PoolExhausted,
    /// A unique, foreign-key, not-null or check constraint refused the change.
    Constraint(String),
    /// The statement is wrong: its grammar, an unknown table or column, the number of parameters.
    Syntax(String),
    /// More rows than `max_rows`, or more bytes than `max_result_bytes`; says which.
    TooLarge(String),
    /// The database cannot be reached, or the connection to it broke. A later call may succeed.
    ConnectionLost(String),
    /// Anything else, such as a deadlock.
    Other(String),
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("database: ")?;
        match self {
            Self::Denied(text) => write!(f, "denied: {text}"),
            Self::UnknownDatabase(text) => write!(f, "unknown database: {text}"),
            Self::Timeout => f.write_str("the statement took too long"),
            Self::PoolExhausted => f.write_str("all connections are busy"),
            Self::Constraint(text) => write!(f, "constraint: {text}"),
            Self::Syntax(text) => write!(f, "syntax: {text}"),
            Self::TooLarge(text) => write!(f, "the result is too large: {text}"),
            Self::ConnectionLost(text) => write!(f, "connection lost: {text}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for SqlError {}
