//! A transaction as the imports of a module see it, whatever the kind of database.

use std::fmt;
use std::sync::Arc;

use sqlx::MySql;

use super::engine_transaction::EngineTransaction;
use super::error::DatabaseError;
use super::limits::Access;
use super::outbox::{self, OutboxMessage};
use super::sqlite::Sqlite;
use super::value::{Outcome, RowSet, Value};
use super::{Database, check};

/// A transaction. It is rolled back if it is dropped without [`Transaction::commit`].
///
/// Some failures (a deadlock, a lost connection) roll the transaction back at once; every later call then reports that.
pub struct Transaction {
    pub(super) inner: AnyTransaction,
    pub(super) access: Access,
    /// A database in memory must exist until its last transaction ends.
    pub(super) database: Arc<Database>,
    /// It has inserted rows into the outbox.
    pub(super) has_published: bool,
}

pub(super) enum AnyTransaction {
    MySql(Box<EngineTransaction<MySql>>),
    Sqlite(Box<EngineTransaction<Sqlite>>),
}

impl Transaction {
    /// The database's name in the config.
    pub fn database(&self) -> &str {
        &self.database.name
    }

    /// The kind of database, as OpenTelemetry names it.
    pub fn system(&self) -> &'static str {
        self.database.backend.system()
    }

    /// The same as [`Handle::query`](super::Handle::query), within the transaction.
    ///
    /// # Errors
    /// See [`DatabaseError`]. A future that is dropped before it is ready rolls the transaction back.
    pub async fn query(&mut self, statement: &str, parameters: Vec<Value>) -> Result<RowSet, DatabaseError> {
        let Database { config, stats, .. } = &*self.database;
        match &mut self.inner {
            AnyTransaction::MySql(inner) => {
                let verb = check::<MySql>(config, self.access, true, statement, &parameters)?;
                stats.measure(Box::pin(inner.query(statement, parameters, verb))).await
            }
            AnyTransaction::Sqlite(inner) => {
                let verb = check::<Sqlite>(config, self.access, true, statement, &parameters)?;
                stats.measure(inner.query(statement, parameters, verb)).await
            }
        }
    }

    /// The same as [`Handle::execute`](super::Handle::execute), within the transaction.
    ///
    /// # Errors
    /// See [`DatabaseError`]. A future that is dropped before it is ready rolls the transaction back.
    pub async fn execute(&mut self, statement: &str, parameters: Vec<Value>) -> Result<Outcome, DatabaseError> {
        let Database { config, stats, .. } = &*self.database;
        match &mut self.inner {
            AnyTransaction::MySql(inner) => {
                let verb = check::<MySql>(config, self.access, true, statement, &parameters)?;
                stats.measure(Box::pin(inner.execute(statement, parameters, verb))).await
            }
            AnyTransaction::Sqlite(inner) => {
                let verb = check::<Sqlite>(config, self.access, true, statement, &parameters)?;
                stats.measure(inner.execute(statement, parameters, verb)).await
            }
        }
    }

    /// Publish a message to the subscribers of a topic of an app when the changes are committed, by inserting a row into the
    /// outbox.
    ///
    /// # Errors
    /// See [`DatabaseError`]. [`DatabaseError::Denied`] if the grant is read-only, or the config has no outbox for the database.
    pub async fn publish(&mut self, app: &str, topic: &str, message: OutboxMessage<'_>) -> Result<(), DatabaseError> {
        let name = &self.database.name;
        if self.access == Access::ReadOnly {
            let reason = format!("the app may only read the database `{name}`, and to publish is to insert a row");
            return Err(DatabaseError::Denied(reason));
        }
        if self.database.outbox.is_none() {
            let reason = format!("the database `{name}` has no outbox; the config needs `[databases.{name}.outbox]`");
            return Err(DatabaseError::Denied(reason));
        }
        self.execute(outbox::INSERT, outbox::values(app, topic, message)?).await?;
        self.has_published = true;
        Ok(())
    }

    /// Commit the changes.
    ///
    /// # Errors
    /// See [`DatabaseError`]. After [`DatabaseError::ConnectionLost`] or [`DatabaseError::Timeout`], it is unknown
    /// whether the changes were committed; after any other error, they were not.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        let stats = &self.database.stats;
        let committed = match self.inner {
            AnyTransaction::MySql(inner) => stats.measure(Box::pin(inner.commit())).await,
            AnyTransaction::Sqlite(inner) => stats.measure(inner.commit()).await,
        };
        match &self.database.outbox {
            Some(outbox) if self.has_published => outbox.note_commit(),
            _ => self.database.note_change(self.access),
        }
        committed
    }

    /// Roll back the changes.
    ///
    /// # Errors
    /// See [`DatabaseError`]. The changes are rolled back in any case.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        let stats = &self.database.stats;
        match self.inner {
            AnyTransaction::MySql(inner) => stats.measure(Box::pin(inner.rollback())).await,
            AnyTransaction::Sqlite(inner) => stats.measure(inner.rollback()).await,
        }
    }

    /// Roll back the changes of a call that has ended. A database that does not respond within `connect_timeout` rolls them
    /// back when it finds the session closed.
    ///
    /// # Errors
    /// See [`DatabaseError`]. The changes are rolled back in any case.
    pub async fn abandon(self) -> Result<(), DatabaseError> {
        match self.inner {
            AnyTransaction::MySql(inner) => Box::pin(inner.abandon()).await,
            AnyTransaction::Sqlite(inner) => inner.abandon().await,
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Transaction({})", self.database.name)
    }
}
