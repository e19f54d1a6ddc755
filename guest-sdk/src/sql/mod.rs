//! Databases that the host owns and the app's config grants: `databases = { main = "read-write" }`. The module does not
//! see addresses or passwords.
//!
//! Write `?` for every value in a statement; it is bound, never written into the text:
//!
//! ```no_run
//! # fn main() -> hassock_sdk::Result<()> {
//! use hassock_sdk::params;
//! use hassock_sdk::sql::Database;
//!
//! let database = Database::open("main")?;
//! for row in database.query("SELECT id, name FROM guest WHERE age > ?", params![17])? {
//!     let (id, name): (u64, Option<String>) = (row.get("id")?, row.get("name")?);
//! }
//! let pairs: Vec<(u64, Option<String>)> = database.query_as("SELECT id, name FROM guest", [])?;
//! let count: u64 = database.query("SELECT COUNT(*) FROM guest", [])?.one()?.get_as()?;
//!
//! database.transaction(|transaction| {
//!     transaction.execute("UPDATE guest SET age = age + 1 WHERE id = ?", params![1])?;
//!     transaction.execute("INSERT INTO birthday (guest) VALUES (?)", params![1])
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! Statements fail with a [`SqlError`], which says why: what the grant denies, a constraint, a timeout, and so on. Its
//! texts are for a developer, not for a client.

mod deserialize;
mod error;
mod parameter;
mod row;
mod value;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::sql;
use crate::{AsMessage, Message, Result};

pub use error::SqlError;
pub(crate) use row::RowSet;
pub use row::{Row, Rows};
pub use value::{Decimal, FromValue, Value, ValueError};

/// What a statement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Rows inserted, updated or deleted. An updated row counts even if its values stay the same.
    pub affected_rows: u64,
    /// The id that an auto-increment column (in SQLite, the row id) got, if the statement inserted a row.
    pub last_insert_id: Option<u64>,
}

/// One database of the host's config. Opening it costs no round trip, so it may be kept in the handler or opened for
/// each call.
#[derive(Debug)]
pub struct Database(sql::Database);

impl Database {
    /// The database that the config calls `name`.
    ///
    /// # Errors
    /// [`SqlError::UnknownDatabase`], or [`SqlError::Denied`] if the app has no grant for it.
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self(sql::Database::open(name)?))
    }

    /// Run one statement that returns rows. Parameters come from [`params!`](crate::params), or are an array, a slice
    /// or a `Vec` of [`Value`]s; `[]` means no parameters.
    ///
    /// # Errors
    /// [`SqlError::TooLarge`] above the database's `max_rows` or `max_result_bytes`, and every other [`SqlError`].
    pub fn query(&self, statement: &str, parameters: impl Into<Vec<Value>>) -> Result<Rows> {
        Ok(self.0.query(statement, parameters.into())?.into())
    }

    /// [`query`](Self::query), with each row read as [`Row::get_as`] does.
    ///
    /// # Errors
    /// As [`query`](Self::query), or a [`ValueError`] if a row is not a `T`.
    pub fn query_as<T: DeserializeOwned>(&self, statement: &str, parameters: impl Into<Vec<Value>>) -> Result<Vec<T>> {
        self.query(statement, parameters)?.get_as()
    }

    /// Run one statement that returns no rows. Returns what it did.
    ///
    /// # Errors
    /// [`SqlError::Denied`] with a read-only grant, [`SqlError::Constraint`], and every other [`SqlError`].
    pub fn execute(&self, statement: &str, parameters: impl Into<Vec<Value>>) -> Result<Outcome> {
        Ok(self.0.execute(statement, parameters.into())?)
    }

    /// Begin a transaction, which holds one connection of the pool until it ends.
    ///
    /// # Errors
    /// [`SqlError::PoolExhausted`], [`SqlError::ConnectionLost`] and every other [`SqlError`].
    pub fn begin(&self) -> Result<Transaction> {
        Ok(Transaction(self.0.begin()?))
    }

    /// Run `work` in a transaction, which is committed if it returns `Ok` and rolled back if it fails.
    ///
    /// # Errors
    /// The error of `work`, or else that of the commit.
    pub fn transaction<T>(&self, work: impl FnOnce(&Transaction) -> Result<T>) -> Result<T> {
        let transaction = self.begin()?;
        match work(&transaction) {
            Ok(result) => transaction.commit().map(|()| result),
            Err(error) => {
                // The first error says what went wrong. If the rollback fails as well, the host rolls back when the
                // call ends.
                if let Err(rollback) = transaction.rollback() {
                    ::log::warn!("a transaction could not be rolled back: {rollback}");
                }
                Err(error)
            }
        }
    }
}

/// A transaction. If it is neither committed nor rolled back, the host rolls it back, at the latest when this call of
/// the module ends, so it cannot be kept from one call to the next.
#[derive(Debug)]
#[must_use = "a transaction that is not committed is rolled back"]
pub struct Transaction(sql::Transaction);

impl Transaction {
    /// As [`Database::query`], within the transaction.
    ///
    /// # Errors
    /// As [`Database::query`].
    pub fn query(&self, statement: &str, parameters: impl Into<Vec<Value>>) -> Result<Rows> {
        Ok(self.0.query(statement, parameters.into())?.into())
    }

    /// As [`Database::query_as`], within the transaction.
    ///
    /// # Errors
    /// As [`Database::query_as`].
    pub fn query_as<T: DeserializeOwned>(&self, statement: &str, parameters: impl Into<Vec<Value>>) -> Result<Vec<T>> {
        self.query(statement, parameters)?.get_as()
    }

    /// As [`Database::execute`], within the transaction.
    ///
    /// # Errors
    /// As [`Database::execute`].
    pub fn execute(&self, statement: &str, parameters: impl Into<Vec<Value>>) -> Result<Outcome> {
        Ok(self.0.execute(statement, parameters.into())?)
    }

    /// Publish a message to the subscribers of a topic of this app when the transaction is committed, and never if it is rolled
    /// back. What others see of the database then has the changes that the message tells of, and a crash between the two
    /// loses neither. The messages of a topic come in the order of commits. [`topics::publish`](crate::topics::publish) is quicker
    /// and needs no database, but a message that it has published stays published when the transaction fails.
    ///
    /// ```no_run
    /// # fn main() -> hassock_sdk::Result<()> {
    /// # use hassock_sdk::params;
    /// # use hassock_sdk::sql::Database;
    /// Database::open("main")?.transaction(|transaction| {
    ///     transaction.execute("INSERT INTO line (room, text) VALUES (?, ?)", params!["lobby", "hi"])?;
    ///     transaction.publish("room:lobby", "hi")
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SqlError::Denied`] with a read-only grant, or if the config has no `[databases.NAME.outbox]`;
    /// [`SqlError::TooLarge`] if the message is larger than an outbox of a connection; [`SqlError::Other`] unless the topic's
    /// name has 1 to 256 bytes, or for a deadlock; and every other [`SqlError`].
    pub fn publish(&self, topic: &str, message: impl AsMessage) -> Result<()> {
        Ok(self.0.publish(topic, message.into_message())?)
    }

    /// [`publish`](Self::publish) a value as a text message of JSON.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), or a [`serde_json::Error`] if the value cannot be written as JSON.
    pub fn publish_json(&self, topic: &str, value: &impl Serialize) -> Result<()> {
        self.publish(topic, Message::json(value)?)
    }

    /// Make the changes permanent.
    ///
    /// # Errors
    /// [`SqlError::ConnectionLost`], after which it is not known whether the changes are permanent, and every other
    /// [`SqlError`].
    pub fn commit(self) -> Result<()> {
        Ok(self.0.commit()?)
    }

    /// Undo the changes.
    ///
    /// # Errors
    /// Any [`SqlError`]; the host then rolls back when this call of the module ends.
    pub fn rollback(self) -> Result<()> {
        Ok(self.0.rollback()?)
    }
}
