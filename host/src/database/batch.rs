//! Many statements at once: what a test begins with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Either, Executor, Sqlite};

use super::engine::Engine;
use super::error::DatabaseError;
use super::scanner::{Scanner, Token};
use super::sqlite::INSTRUCTIONS_PER_CHECK;
use super::{Access, Backend, Database, sqlite};
use crate::external::external;

/// Why not all statements were run.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// One of them failed. Those before it have been run.
    #[error("statement {number}: {error}")]
    Statement {
        /// Which one, counted from 1.
        number: usize,
        /// What the database says.
        error: DatabaseError,
    },
    /// The last one was run, and changes would be lost.
    #[error("a transaction is left open; end it with COMMIT")]
    Unfinished,
    /// They could not be run.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Database {
    /// Run statements that are separated by `;`. They may be almost any, and have a session of their own: nobody meets
    /// their temporary tables and what they set for their session. Each may take `query_timeout`. For SQLite, which
    /// tests use.
    ///
    /// # Errors
    /// [`BatchError`].
    pub async fn execute_batch(&self, statements: &str) -> Result<(), BatchError> {
        let Backend::Sqlite(pools) = &self.backend else {
            return Err(DatabaseError::Denied("only SQLite runs many statements at once".to_owned()).into());
        };
        check(statements)?;
        let pool = pools.get(Access::ReadWrite, &self.limits).await?;
        // Waits for its turn like everybody who is about to write.
        let _turn = pool.lease().await?;
        let mut session = external(sqlite::connect(&pools.source)).await.map_err(answer)?;
        let done = external(run(&mut session, statements, self.limits.query_timeout)).await;
        // Undoes what is not finished.
        external(session.close()).await.map_err(answer)?;
        done
    }
}

/// Whether all stays in this database. What only looks like such a statement is refused too: who writes a test can write it
/// in another way.
fn check(statements: &str) -> Result<(), DatabaseError> {
    // SQLite would stop to read there, and the driver would not notice.
    if statements.contains('\0') {
        return Err(DatabaseError::Syntax("a statement has a NUL character".to_owned()));
    }
    let mut first = None;
    for token in Scanner::new(statements, Sqlite::DIALECT) {
        match token {
            Token::Semicolon => first = None,
            Token::Placeholder | Token::Named => {
                return Err(DatabaseError::Syntax("there is no value for a parameter here".to_owned()));
            }
            Token::Word(word) if first.is_none() && word.eq_ignore_ascii_case("attach") => {
                return Err(DatabaseError::Denied("ATTACH would lead to another database".to_owned()));
            }
            Token::Word(word) if first.is_none() => first = Some(word),
            Token::Word(word) | Token::Quoted(word) if is_for_all(first, word) => {
                return Err(DatabaseError::Denied(format!("PRAGMA {word} would be for all databases")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether this is a word of a PRAGMA that bounds the memory of the process.
fn is_for_all(first: Option<&str>, word: &str) -> bool {
    first.is_some_and(|first| first.eq_ignore_ascii_case("pragma")) && word.to_ascii_lowercase().ends_with("heap_limit")
}

async fn run(session: &mut SqliteConnection, statements: &str, budget: Duration) -> Result<(), BatchError> {
    let began = Instant::now();
    let done_at = Arc::new(AtomicU64::new(0));
    let since = Arc::clone(&done_at);
    let mut handle = session.lock_handle().await.map_err(answer)?;
    handle.set_progress_handler(INSTRUCTIONS_PER_CHECK, move || {
        began.elapsed().saturating_sub(Duration::from_millis(since.load(Ordering::Relaxed))) < budget
    });
    drop(handle);
    let mut number = 1;
    let mut results = sqlx::raw_sql(AssertSqlSafe(statements)).fetch_many(&mut *session);
    loop {
        match results.try_next().await {
            Ok(Some(Either::Left(_))) => {
                number += 1;
                done_at.store(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
            Ok(Some(Either::Right(_))) => {}
            Ok(None) => break,
            Err(error) => return Err(BatchError::Statement { number, error: answer(error) }),
        }
    }
    drop(results);
    // There can only be one at a time.
    session.execute("BEGIN").await.map(drop).map_err(|_| BatchError::Unfinished)
}

fn answer(error: sqlx::Error) -> DatabaseError {
    Sqlite::fault(error).error
}
