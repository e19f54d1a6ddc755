//! Many statements at once: what a test begins with.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Either, Executor, Sqlite};

use super::engine::Engine;
use super::error::DatabaseError;
use super::{Access, Backend, Database, sqlite};
use crate::lab::elsewhere;

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
    /// Run statements that are separated by `;`. Unlike those of modules they are not checked, and have a session of
    /// their own: nobody meets their pragmas and temporary tables. All together may take `query_timeout`. For SQLite,
    /// which tests use.
    ///
    /// # Errors
    /// [`BatchError`].
    pub async fn execute_batch(&self, statements: &str) -> Result<(), BatchError> {
        let Backend::Sqlite(pools) = &self.backend else {
            return Err(DatabaseError::Denied("only SQLite runs many statements at once".to_owned()).into());
        };
        let pool = pools.get(Access::ReadWrite, &self.limits).await?;
        // Waits for its turn like everybody who is about to write.
        let _turn = pool.lease().await?;
        let mut session = elsewhere(sqlite::connect(&pools.source)).await.map_err(answer)?;
        let done = elsewhere(run(&mut session, statements, self.limits.query_timeout)).await;
        // Undoes what is not finished.
        elsewhere(session.close()).await.map_err(answer)?;
        done
    }
}

async fn run(session: &mut SqliteConnection, statements: &str, budget: Duration) -> Result<(), BatchError> {
    let _watch = Sqlite::watch(session, budget).await.map_err(answer)?;
    let mut number = 1;
    let mut results = sqlx::raw_sql(AssertSqlSafe(statements)).fetch_many(&mut *session);
    loop {
        match results.try_next().await {
            Ok(Some(Either::Left(_))) => number += 1,
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
