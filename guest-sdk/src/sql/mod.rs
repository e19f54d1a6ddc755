//! Databases that the host owns and the app's config grants: `databases = { main = "read-write" }`. The
//! module sees neither address nor password.
//!
//! Every value stands as `?` in a statement and is bound, never written into it:
//!
//! ```no_run
//! # fn main() -> hassock_guest::Result<()> {
//! use hassock_guest::params;
//! use hassock_guest::sql::Database;
//!
//! let database = Database::open("main")?;
//! for row in database.query("SELECT id, name FROM guest WHERE age > ?", params![17])? {
//!     let (id, name): (u64, Option<String>) = (row.get("id")?, row.get("name")?);
//! }
//! let count: u64 = database.query("SELECT COUNT(*) AS n FROM guest", [])?.one()?.get("n")?;
//!
//! database.transaction(|transaction| {
//!     transaction.execute("UPDATE guest SET age = age + 1 WHERE id = ?", params![1])?;
//!     transaction.execute("INSERT INTO birthday (guest) VALUES (?)", params![1])
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! Statements fail with [`Error::Sql`](crate::Error::Sql), whose [`Error`] says why: what the
//! grant denies, a constraint, a timeout, and so on. Its texts are for a developer, not for a client.

mod row;
mod value;

use crate::Result;
use crate::host::sql;

pub use crate::bindings::hassock::host::sql::{Error, Outcome, Value};
pub use row::{Row, Rows};
pub use value::{Decimal, FromValue, Json};

/// One database of the host's config. To open it costs no round trip, so it may be kept in the handler or
/// opened for each call.
#[derive(Debug)]
pub struct Database(sql::Database);

impl Database {
    /// The database that the config calls `name`.
    ///
    /// # Errors
    /// [`Error::UnknownDatabase`], or [`Error::Denied`] if the app has no grant for it.
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self(sql::Database::open(name)?))
    }

    /// Run one statement that returns rows. Parameters come from [`params!`](crate::params), or are an
    /// array, a slice or a `Vec` of [`Value`]s; `[]` is none.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above the database's `max_rows` or `max_result_bytes`, and every other [`Error`].
    pub fn query(&self, statement: &str, parameters: impl AsRef<[Value]>) -> Result<Rows> {
        Ok(self.0.query(statement, parameters.as_ref())?.into())
    }

    /// Run one statement that returns no rows, and learn what it did.
    ///
    /// # Errors
    /// [`Error::Denied`] with a read-only grant, [`Error::Constraint`], and every other [`Error`].
    pub fn execute(&self, statement: &str, parameters: impl AsRef<[Value]>) -> Result<Outcome> {
        Ok(self.0.execute(statement, parameters.as_ref())?)
    }

    /// Begin a transaction, which holds one connection of the pool until it ends.
    ///
    /// # Errors
    /// [`Error::PoolExhausted`], [`Error::ConnectionLost`] and every other [`Error`].
    pub fn begin(&self) -> Result<Transaction> {
        Ok(Transaction(self.0.begin()?))
    }

    /// Run `work` in a transaction, which is committed if it returns `Ok` and rolled back if it fails.
    ///
    /// # Errors
    /// That of `work`, or else of the commit.
    pub fn transaction<T>(&self, work: impl FnOnce(&Transaction) -> Result<T>) -> Result<T> {
        let transaction = self.begin()?;
        match work(&transaction) {
            Ok(result) => transaction.commit().map(|()| result),
            Err(error) => {
                // The first error is the one that says what went wrong; if this fails as well, the host
                // rolls back when the call ends.
                if let Err(rollback) = transaction.rollback() {
                    crate::warn!("a transaction could not be rolled back: {rollback}");
                }
                Err(error)
            }
        }
    }
}

/// A transaction. One that is neither committed nor rolled back is rolled back by the host, at the latest
/// when this call of the module ends, so it cannot be kept from one call to the next.
#[derive(Debug)]
#[must_use = "a transaction that is not committed is rolled back"]
pub struct Transaction(sql::Transaction);

impl Transaction {
    /// As [`Database::query`], within the transaction.
    ///
    /// # Errors
    /// As there.
    pub fn query(&self, statement: &str, parameters: impl AsRef<[Value]>) -> Result<Rows> {
        Ok(self.0.query(statement, parameters.as_ref())?.into())
    }

    /// As [`Database::execute`], within the transaction.
    ///
    /// # Errors
    /// As there.
    pub fn execute(&self, statement: &str, parameters: impl AsRef<[Value]>) -> Result<Outcome> {
        Ok(self.0.execute(statement, parameters.as_ref())?)
    }

    /// Make the changes last.
    ///
    /// # Errors
    /// [`Error::ConnectionLost`], after which nobody knows whether they do, and every other [`Error`].
    pub fn commit(self) -> Result<()> {
        Ok(sql::Transaction::commit(self.0)?)
    }

    /// Undo the changes.
    ///
    /// # Errors
    /// Any [`Error`]; the host then rolls back when this call of the module ends.
    pub fn rollback(self) -> Result<()> {
        Ok(sql::Transaction::rollback(self.0)?)
    }
}

/// The parameters of a statement: `params![room, &name, 5, None::<i64>]`. Each becomes a
/// [`Value`](crate::sql::Value) through `From`; what stands behind `&` is copied.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$($crate::sql::Value::from($value)),*] as [$crate::sql::Value; _] };
}
