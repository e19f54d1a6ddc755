//! What bounds the use of a database.

use super::error::DatabaseError;
use super::value::Value;
use std::time::Duration;

/// What a grant allows. The database itself enforces it: the two kinds use different pools of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Statements that change nothing.
    ReadOnly,
    /// Every statement that leaves the pooled session as it was.
    ReadWrite,
}

/// The bounds of one database; the field names are the keys of the config.
#[derive(Debug, Clone)]
pub struct DatabaseLimits {
    /// Connections of one pool (there is one pool for each [`Access`] that was granted): the database has a limit too.
    pub max_connections: u32,
    /// How long a call waits for one of them to be free.
    pub acquire_timeout: Duration,
    /// How long opening a new connection may take: a call must not hang on a server that is gone.
    pub connect_timeout: Duration,
    /// How long one statement may run, or wait for a lock.
    pub query_timeout: Duration,
    /// How long an unused connection is kept; below the server's `wait_timeout`, which would close it under us.
    pub idle_timeout: Duration,
    /// Rows of one result: they are all copied into the module's memory.
    pub max_rows: usize,
    /// Bytes of one result, for the same reason. Each value counts its content, at least 8 bytes.
    pub max_result_bytes: usize,
}

impl Default for DatabaseLimits {
    fn default() -> Self {
        DatabaseLimits {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            query_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(10),
            max_rows: 10_000,
            max_result_bytes: 8 * 1024 * 1024,
        }
    }
}

/// Counts the rows and bytes of one result, so that a huge one is stopped while it arrives.
pub(super) struct Meter<'a> {
    limits: &'a DatabaseLimits,
    rows: usize,
    bytes: usize,
}

impl<'a> Meter<'a> {
    pub(super) fn new(limits: &'a DatabaseLimits) -> Self {
        Meter { limits, rows: 0, bytes: 0 }
    }

    /// Count one more row.
    ///
    /// # Errors
    /// [`DatabaseError::TooLarge`], which names the config key of the limit that the row is beyond.
    pub(super) fn count(&mut self, row: &[Value]) -> Result<(), DatabaseError> {
        self.rows += 1;
        self.bytes = row.iter().fold(self.bytes, |sum, value| sum.saturating_add(value.size()));
        if self.rows > self.limits.max_rows {
            let limit = self.limits.max_rows;
            return Err(DatabaseError::TooLarge(format!("the result has more than {limit} rows (max_rows)")));
        }
        if self.bytes > self.limits.max_result_bytes {
            let limit = self.limits.max_result_bytes;
            return Err(DatabaseError::TooLarge(format!("the result has more than {limit} bytes (max_result_bytes)")));
        }
        Ok(())
    }
}
