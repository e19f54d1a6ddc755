//! Runs many statements at once, as a test does when it begins.

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection};

use super::engine::Engine;
use super::error::DatabaseError;
use super::scanner::{Scanner, Token};
use super::sqlite::Sqlite;
use super::{Access, Backend, Database, sqlite};
use crate::config::Sharer;
use crate::external::external;

/// Why not all statements were run.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// A statement failed. The statements before it have been run.
    #[error("statement {number}: {error}")]
    Statement {
        /// The number of the statement, counted from 1.
        number: usize,
        /// The error of the database.
        error: DatabaseError,
    },
    /// The last statement was run, but a transaction is still open and its changes would be lost.
    #[error("a transaction is left open; end it with COMMIT")]
    Unfinished,
    /// The statements could not be run.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Database {
    /// Run statements that are separated by `;`. Almost all statements are allowed. They run in their own session, so
    /// that no other call sees their temporary tables and session settings. Each statement may take `query_timeout`.
    /// Only SQLite supports this, because only tests use it.
    ///
    /// # Errors
    /// [`BatchError`].
    pub async fn execute_batch(&self, statements: &str) -> Result<(), BatchError> {
        let Backend::Sqlite(pools) = &self.backend else {
            return Err(DatabaseError::Denied("only SQLite runs many statements at once".to_owned()).into());
        };
        check(statements)?;
        let pool = pools.get(Access::ReadWrite, &self.config).await?;
        // Wait for a permit, as every writer does.
        let _turn = pool.lease(&pool.part(Sharer::ALONE.writing)).await?;
        let (session, slots) = sqlite::connect(&pools.source).await?;
        let budget = self.config.query_timeout.get();
        let (statements, clock) = (statements.to_owned(), session.clock(budget));
        let done = external(session.run(budget, move |connection| run(connection, &statements, &clock))).await;
        // Rolls back a transaction that is not finished.
        sqlite::close(session, &slots).await;
        self.note_change(Access::ReadWrite);
        done.unwrap_or_else(|error| Err(DatabaseError::ConnectionLost(error.to_string()).into()))
    }
}

/// Whether the statements only affect this database. A statement that only looks like a forbidden one is refused too,
/// because the author of a test can write it differently.
fn check(statements: &str) -> Result<(), DatabaseError> {
    // SQLite would stop reading there, and the driver would not notice it.
    if statements.contains('\0') {
        return Err(DatabaseError::Syntax("a statement contains a NUL character".to_owned()));
    }
    let mut first = None;
    for token in Scanner::new(statements, Sqlite::DIALECT) {
        match token {
            Token::Semicolon => first = None,
            Token::Placeholder | Token::Named => {
                return Err(DatabaseError::Syntax("there is no value for a parameter here".to_owned()));
            }
            Token::Word(word) if first.is_none() && word.eq_ignore_ascii_case("attach") => {
                return Err(DatabaseError::Denied("ATTACH would open another database".to_owned()));
            }
            Token::Word(word) if first.is_none() => first = Some(word),
            Token::Word(word) | Token::Quoted(word) if is_for_all(first, word) => {
                return Err(DatabaseError::Denied(format!("PRAGMA {word} would affect all databases")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether this is a word of a PRAGMA that limits the memory of the process.
fn is_for_all(first: Option<&str>, word: &str) -> bool {
    first.is_some_and(|first| first.eq_ignore_ascii_case("pragma")) && word.to_ascii_lowercase().ends_with("heap_limit")
}

/// `clock` gives a statement its time again, unless nothing waits for it any more.
fn run(connection: &Connection, statements: &str, clock: &impl Fn() -> bool) -> Result<(), BatchError> {
    let mut batch = Batch::new(connection, statements);
    for number in 1.. {
        let failed = |error| BatchError::Statement { number, error: sqlite::answer(error).error };
        if !clock() {
            return Err(DatabaseError::Timeout.into());
        }
        let Some(mut statement) = batch.next().map_err(failed)? else { break };
        sqlite::finish(&mut statement.raw_query()).map_err(failed)?;
    }
    // A session can only have one transaction.
    if connection.is_autocommit() { Ok(()) } else { Err(BatchError::Unfinished) }
}
