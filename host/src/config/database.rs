//! `[databases.NAME]`: a database that apps can be granted.

use serde::{Deserialize, Serialize};

use super::{Duration, OutboxConfig, Size, Url};

/// A database that apps can be granted, and the bounds of its use.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, expecting = "a table with `url = …`")]
pub struct DatabaseConfig {
    /// Where it is: `mysql://user:${PASSWORD}@host/database`, `sqlite://file.db` (relative to the config file, and
    /// created if it is missing) or `sqlite::memory:`. `${NAME}` is an environment variable, so that the file holds
    /// no password. Required.
    pub url: Url,
    /// Connections to the database at the same time, for each kind of grant that is in use: the server has a limit too. The
    /// apps with a `read-write` grant get equal parts of those that may write, and all apps get equal parts of those that only
    /// read, with which new versions are tested too. So no app waits for another, and there are at least as many connections
    /// as apps. The first apps, by their names, get one more if the parts are not equal otherwise. A database in memory has
    /// one connection, for which all wait. An `outbox` has one more for itself.
    pub max_connections: u32,
    /// How long a statement waits for a free connection before it fails with `pool-exhausted`.
    pub acquire_timeout: Duration,
    /// How long connecting, or rolling back what a call has left open, may take before the database counts as lost: a call
    /// must not hang on a server that is gone.
    pub connect_timeout: Duration,
    /// How long a statement may run or wait for a lock: a slow one must not hold a connection for ever.
    pub query_timeout: Duration,
    /// A connection that was not used for this long is closed. Keep it below the server's `wait_timeout`, after which
    /// the server would close it.
    pub idle_timeout: Duration,
    /// Rows of one result: it is copied into the module's memory as a whole.
    pub max_rows: usize,
    /// Bytes of one result, for the same reason. Each value counts with its content, and with at least 8 bytes. What MySQL
    /// sends for one statement is cut off if it has clearly more, also if the module does not get it.
    pub max_result_bytes: Size,
    /// SQLite only: bytes of one value or row, at least 64 KiB. Nothing can interrupt what a function does with a value, so
    /// it must not take long.
    pub max_value_bytes: Size,
    /// `sqlite::memory:` only: bytes of the database, which are memory of the host. A transaction that changes all of it
    /// needs twice as much in addition. All databases of SQLite together may use 1 GiB.
    pub max_memory_bytes: Size,
    /// Bytes of one statement with its parameters, which the host keeps until it has run. They count as in a result.
    pub max_statement_bytes: Size,
    /// The table whose rows the host publishes: programs publish with an `INSERT` in their own transactions, and modules with
    /// `transaction.publish`. Without this table, rows are not published.
    pub outbox: Option<OutboxConfig>,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: Url::default(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            query_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            max_rows: 10_000,
            max_result_bytes: Size::mebibytes(8),
            max_value_bytes: Size::mebibytes(1),
            max_memory_bytes: Size::mebibytes(64),
            max_statement_bytes: Size::mebibytes(8),
            outbox: None,
        }
    }
}

impl DatabaseConfig {
    /// Whether it is a database of SQLite.
    pub fn is_sqlite(&self) -> bool {
        self.url.expose().starts_with("sqlite:")
    }

    /// Whether it is a database of SQLite that is in no file.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.url.expose(), "sqlite::memory:" | "sqlite://:memory:")
    }
}
