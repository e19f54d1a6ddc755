//! Makes what an outbox needs in its database, and finds out whether it is there.

use std::fmt;
use std::sync::Arc;

use rusqlite::Connection;

use super::super::error::{DatabaseError, OpenError};
use super::super::{Backend, Database, mysql, sqlite};
use super::reader::OutboxReader;
use super::schema::{self, MYSQL_SLOTS, MYSQL_TABLE, MYSQL_TRIGGER, ORDER, OutboxOrder, SQLITE_TABLE, TABLE};

/// A part of an outbox, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is, such as ``the table `hassock_outbox` ``.
    pub part: String,
    /// What became of it.
    pub created: Created,
}

/// What became of a part of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    Now,
    /// It was there.
    Before,
    /// It was left out, and is not there.
    LeftOut,
    /// It was to be left out, and is there.
    Unwanted,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = &self.part;
        match self.created {
            Created::Now => write!(f, "{part}: created"),
            Created::Before => write!(f, "{part}: there already"),
            Created::LeftOut => write!(f, "{part}: left out; the order of commits is not kept"),
            Created::Unwanted => write!(f, "{part}: there, and left as it is; `DROP TRIGGER {ORDER}` removes it"),
        }
    }
}

/// Create what is missing. What is there stays as it is.
///
/// # Errors
/// What the database says.
pub(in crate::database) async fn create(
    database: &Arc<Database>,
    order: OutboxOrder,
) -> Result<Vec<Step>, DatabaseError> {
    match &database.backend {
        Backend::MySql(pools) => {
            let limit = database.config.query_timeout.get();
            let mut session = mysql::Administration::begin(&pools.source, &database.config).await?;
            let created = tokio::time::timeout(limit, create_in_mysql(&mut session, order)).await;
            session.end().await;
            created.unwrap_or(Err(DatabaseError::Timeout))
        }
        Backend::Sqlite(pools) => {
            let created =
                sqlite::administer(&pools.source, database.config.query_timeout.get(), create_in_sqlite).await?;
            Ok(vec![step(table(TABLE), created)])
        }
    }
}

/// Make the outbox ready for a relay. The table of SQLite is created if it is missing, as the file is: the host is usually the
/// only program that administers it.
pub(in crate::database) async fn make_ready(database: &Arc<Database>) -> Result<(), OpenError> {
    let failed = |reason| OpenError::Outbox { name: database.name.clone(), reason };
    if let Backend::Sqlite(pools) = &database.backend {
        let budget = database.config.query_timeout.get();
        sqlite::administer(&pools.source, budget, create_in_sqlite).await.map_err(failed)?;
    }
    let Some(mut reader) = OutboxReader::new(database) else { return Ok(()) };
    let checked = reader.check().await;
    reader.close().await;
    checked.map_err(failed)
}

fn create_in_sqlite(connection: &Connection) -> rusqlite::Result<Created> {
    let found = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?";
    let was_there = connection.query_row(found, [TABLE], |row| row.get::<_, i64>(0))? > 0;
    connection.execute_batch(SQLITE_TABLE)?;
    Ok(if was_there { Created::Before } else { Created::Now })
}

async fn create_in_mysql(session: &mut mysql::Administration, order: OutboxOrder) -> Result<Vec<Step>, DatabaseError> {
    let mut steps = vec![create_table(session, TABLE, MYSQL_TABLE).await?];
    match order {
        OutboxOrder::Commits => {
            steps.push(create_table(session, ORDER, MYSQL_SLOTS).await?);
            session.run(&schema::mysql_fill_slots()).await?;
            steps.push(create_trigger(session).await?);
        }
        OutboxOrder::Loose => {
            let created = if has_trigger(session).await? { Created::Unwanted } else { Created::LeftOut };
            steps.push(step(trigger(), created));
        }
    }
    Ok(steps)
}

async fn create_table(session: &mut mysql::Administration, name: &str, sql: &str) -> Result<Step, DatabaseError> {
    let found = format!(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '{name}'"
    );
    let was_there = session.count(&found).await? > 0;
    session.run(sql).await?;
    Ok(step(table(name), if was_there { Created::Before } else { Created::Now }))
}

async fn create_trigger(session: &mut mysql::Administration) -> Result<Step, DatabaseError> {
    if has_trigger(session).await? {
        return Ok(step(trigger(), Created::Before));
    }
    match session.run(MYSQL_TRIGGER).await {
        Ok(()) => Ok(step(trigger(), Created::Now)),
        Err(error) => Err(DatabaseError::Denied(format!(
            "the trigger `{ORDER}`, which keeps the order of commits, cannot be created: {error}. Have an administrator run what \
             `hassock outbox init --print` prints; or, if the binary log is the reason, set `log_bin_trust_function_creators = 1` \
             on the server and try again; or do without that order with `--without-order`"
        ))),
    }
}

/// A user without the right `TRIGGER` sees none, and cannot create one either.
async fn has_trigger(session: &mut mysql::Administration) -> Result<bool, DatabaseError> {
    let found = format!(
        "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND trigger_name = '{ORDER}'"
    );
    Ok(session.count(&found).await? > 0)
}

fn step(part: String, created: Created) -> Step {
    Step { part, created }
}

fn table(name: &str) -> String {
    format!("the table `{name}`")
}

fn trigger() -> String {
    format!("the trigger `{ORDER}`")
}
