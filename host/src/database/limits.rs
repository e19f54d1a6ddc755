//! The limits for the use of a database.

use super::error::DatabaseError;
use super::value::Value;
use crate::config::DatabaseConfig;

/// The access that a grant allows. The database enforces it: each kind of access uses its own pool of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Statements that change nothing.
    ReadOnly,
    /// Every statement that does not change the pooled session.
    ReadWrite,
}

impl Access {
    /// Its name in the config.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::ReadWrite => "read-write",
        }
    }
}

/// Counts the rows and bytes of one result, so that a result that is too large is stopped while it arrives.
pub(super) struct Meter<'a> {
    config: &'a DatabaseConfig,
    rows: usize,
    bytes: usize,
}

impl<'a> Meter<'a> {
    pub(super) fn new(config: &'a DatabaseConfig) -> Self {
        Meter { config, rows: 0, bytes: 0 }
    }

    /// Count one more row.
    ///
    /// # Errors
    /// [`DatabaseError::TooLarge`], which names the config key of the limit that the row exceeds.
    pub(super) fn count(&mut self, row: &[Value]) -> Result<(), DatabaseError> {
        self.rows += 1;
        self.bytes = row.iter().fold(self.bytes, |sum, value| sum.saturating_add(value.size()));
        if self.rows > self.config.max_rows {
            let limit = self.config.max_rows;
            return Err(DatabaseError::TooLarge(format!("the result has more than {limit} rows (max_rows)")));
        }
        if self.bytes > self.config.max_result_bytes.bytes() {
            return Err(too_many_bytes(self.config));
        }
        Ok(())
    }
}

/// The error of a result that has more bytes than it may have.
pub(super) fn too_many_bytes(config: &DatabaseConfig) -> DatabaseError {
    let limit = config.max_result_bytes.bytes();
    DatabaseError::TooLarge(format!("the result has more than {limit} bytes (max_result_bytes)"))
}

/// Whether a statement may be sent.
///
/// # Errors
/// [`DatabaseError::TooLarge`], which names the config key of the limit.
pub(super) fn check_size(sql: &str, parameters: &[Value], config: &DatabaseConfig) -> Result<(), DatabaseError> {
    let bytes = parameters.iter().fold(sql.len(), |sum, value| sum.saturating_add(value.size()));
    let limit = config.max_statement_bytes.bytes();
    match bytes <= limit {
        true => Ok(()),
        false => Err(DatabaseError::TooLarge(format!(
            "the statement and its parameters have {bytes} bytes, more than {limit} (max_statement_bytes)"
        ))),
    }
}
