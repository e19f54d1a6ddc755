//! What a module should not ask of a database.

use hassock_sdk::prelude::*;

use crate::{commit, spin};

/// Ask for a huge result.
pub fn huge() -> Result<String> {
    // MariaDB ends a recursion after 1000 rounds.
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
               SELECT a.i FROM n a, n b, n c";
    match Database::open("main")?.query(sql, []) {
        Ok(rows) => Ok(format!("{} rows", rows.len())),
        Err(error) => Ok(error.to_string()),
    }
}

/// Ask for a result that takes hours.
pub fn compute() -> Result<String> {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    match Database::open("main")?.query(sql, []) {
        Ok(rows) => Ok(format!("{} rows", rows.len())),
        Err(error) => Ok(error.to_string()),
    }
}

/// How a call ends that leaves a transaction open.
pub enum LeakBy {
    Forgetting,
    Trapping,
    Spinning,
    Sleeping,
    Failing,
}

/// Leave a transaction open in one way or another.
pub fn leak(by: LeakBy) -> Result<String> {
    let transaction = Database::open("main")?.begin()?;
    transaction.execute("INSERT INTO leak (n) VALUES (1)", [])?;
    match by {
        LeakBy::Forgetting => std::mem::forget(transaction),
        LeakBy::Trapping => commit("trap"),
        LeakBy::Spinning => spin(),
        LeakBy::Sleeping => commit("sleep"),
        LeakBy::Failing => {
            std::mem::forget(transaction);
            bail!("told to");
        }
    }
    Ok("leaked".to_owned())
}
