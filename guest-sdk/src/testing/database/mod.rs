//! Databases of a host in a test: SQLite in memory, or a script. Each has one session, like SQLite in memory in a real
//! host.

mod script;
mod sqlite;
mod statement;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use script::Script;
pub use script::Scripted;
use sqlite::Sqlite;

use crate::sql::{Outcome, RowSet, Rows, SqlError as Error, Value};
use crate::{Message, Result as AnyResult};

/// What a grant allows, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

/// Where a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Outside of any transaction.
    Alone,
    /// Within the transaction with this number.
    Transaction(u64),
}

/// A database of a [`MockHost`](super::MockHost), for the test itself: it may always write, and
/// [`fail_statement`](super::MockHost::fail_statement) does not affect its statements.
#[derive(Clone, Debug)]
pub struct MockDatabase(Rc<Store>);

impl MockDatabase {
    pub(super) fn new(store: Rc<Store>) -> Self {
        Self(store)
    }

    /// Run one statement that returns rows.
    ///
    /// # Errors
    /// A [`SqlError`](crate::SqlError): the error of SQLite, or an error that says that the database is scripted.
    pub fn query(&self, statement: &str, parameters: impl Into<Vec<Value>>) -> AnyResult<Rows> {
        Ok(self.0.sqlite()?.query(Access::ReadWrite, statement, &parameters.into())?.into())
    }

    /// Run one statement that returns no rows. Returns what it did.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn execute(&self, statement: &str, parameters: impl Into<Vec<Value>>) -> AnyResult<Outcome> {
        Ok(self.0.sqlite()?.execute(Access::ReadWrite, statement, &parameters.into())?)
    }

    /// Run several statements with a `;` after each, such as a file that creates tables.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn execute_batch(&self, statements: &str) -> AnyResult<()> {
        Ok(self.0.sqlite()?.control(Access::ReadWrite, statements)?)
    }

    pub(super) fn fail_next(&self, error: Error) {
        self.0.failures.borrow_mut().push_back(error);
    }
}

/// One database.
pub(crate) struct Store {
    engine: Engine,
    granted: Access,
    /// What the next statements of the module fail with.
    failures: RefCell<VecDeque<Error>>,
    transactions: Cell<Transactions>,
    /// What the open transaction publishes when it is committed.
    outbox: RefCell<Vec<(String, Message)>>,
}

enum Engine {
    Sqlite(Sqlite),
    Script(Script),
}

#[derive(Clone, Copy, Debug, Default)]
struct Transactions {
    last: u64,
    open: Option<u64>,
    /// The transaction that the database has rolled back by itself.
    lost: Option<u64>,
}

impl Store {
    pub(super) fn sqlite_in_memory(granted: Access) -> Self {
        Self::new(Engine::Sqlite(Sqlite::open()), granted)
    }

    pub(super) fn scripted(script: script::Function) -> Self {
        Self::new(Engine::Script(Script::new(script)), Access::ReadWrite)
    }

    fn new(engine: Engine, granted: Access) -> Self {
        Self {
            engine,
            granted,
            failures: RefCell::default(),
            transactions: Cell::default(),
            outbox: RefCell::default(),
        }
    }

    pub(super) fn granted(&self) -> Access {
        self.granted
    }

    pub(super) fn query(&self, scope: Scope, access: Access, sql: &str, values: &[Value]) -> Result<RowSet, Error> {
        self.run(scope, || match &self.engine {
            Engine::Sqlite(sqlite) => {
                statement::verb(sql)?;
                sqlite.query(access, sql, values)
            }
            Engine::Script(script) => script.ask(sql, values).map(Scripted::into_rows),
        })
    }

    pub(super) fn execute(&self, scope: Scope, access: Access, sql: &str, values: &[Value]) -> Result<Outcome, Error> {
        self.run(scope, || match &self.engine {
            Engine::Sqlite(sqlite) => {
                statement::verb(sql)?;
                sqlite.execute(access, sql, values)
            }
            Engine::Script(script) => script.ask(sql, values).map(Scripted::into_outcome),
        })
    }

    /// How many transactions the running call has open.
    pub(super) fn open_transactions(&self) -> usize {
        usize::from(self.transactions.get().open.is_some())
    }

    pub(super) fn begin(&self, access: Access) -> Result<u64, Error> {
        let mut transactions = self.transactions.get();
        if transactions.open.is_some() {
            return Err(Error::PoolExhausted);
        }
        self.control(access, if access == Access::ReadOnly { "BEGIN" } else { "BEGIN IMMEDIATE" })?;
        transactions.last += 1;
        transactions.open = Some(transactions.last);
        self.transactions.set(transactions);
        Ok(transactions.last)
    }

    /// Publish a message when the transaction is committed.
    pub(super) fn publish(&self, number: u64, access: Access, topic: &str, message: Message) -> Result<(), Error> {
        self.run(Scope::Transaction(number), || match access {
            Access::ReadWrite => {
                self.outbox.borrow_mut().push((topic.to_owned(), message));
                Ok(())
            }
            Access::ReadOnly => {
                Err(Error::Denied("the app may only read the database, and to publish is to insert a row".into()))
            }
        })
    }

    /// Returns what is to be published.
    pub(super) fn commit(&self, number: u64) -> Result<Vec<(String, Message)>, Error> {
        self.check(Scope::Transaction(number))?;
        let outbox = self.outbox.take();
        let result = self.control(Access::ReadWrite, "COMMIT");
        // What could not be committed is rolled back.
        self.end(None);
        result.map(|()| outbox)
    }

    pub(super) fn rollback(&self, number: u64) -> Result<(), Error> {
        if self.transactions.get().lost == Some(number) {
            return Ok(());
        }
        self.check(Scope::Transaction(number))?;
        self.end(None);
        Ok(())
    }

    /// End a transaction because its handle is dropped.
    pub(super) fn abandon(&self, number: u64) {
        if self.transactions.get().open == Some(number) {
            self.end(None);
        }
    }

    /// End the open transaction: it ends with the call that began it.
    pub(super) fn end_call(&self) {
        self.end(None);
    }

    fn sqlite(&self) -> Result<&Sqlite, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => Ok(sqlite),
            Engine::Script(_) => Err(Error::Other("the database is scripted: there is nothing to look into".into())),
        }
    }

    fn control(&self, access: Access, sql: &str) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.control(access, sql),
            Engine::Script(_) => Ok(()),
        }
    }

    fn run<T>(&self, scope: Scope, statement: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.check(scope)?;
        let failure = self.failures.borrow_mut().pop_front();
        let result = failure.map_or_else(statement, Err);
        let Scope::Transaction(number) = scope else { return result };
        let rolled_back = matches!(&self.engine, Engine::Sqlite(sqlite) if !sqlite.in_transaction());
        if rolled_back || matches!(result, Err(Error::ConnectionLost(_))) {
            self.end(Some(number));
        }
        result
    }

    /// Whether a statement can run there now.
    fn check(&self, scope: Scope) -> Result<(), Error> {
        let Transactions { open, lost, .. } = self.transactions.get();
        match scope {
            Scope::Alone if open.is_some() => Err(Error::PoolExhausted),
            Scope::Transaction(number) if lost == Some(number) => {
                Err(Error::Other("the transaction was rolled back when an earlier statement failed".into()))
            }
            Scope::Transaction(number) if open != Some(number) => {
                Err(Error::Other("the transaction has ended; it ends with the call that began it".into()))
            }
            Scope::Alone | Scope::Transaction(_) => Ok(()),
        }
    }

    /// End the open transaction, if there is one: what is not committed is rolled back.
    fn end(&self, lost: Option<u64>) {
        if let Engine::Sqlite(sqlite) = &self.engine
            && sqlite.in_transaction()
        {
            // An error means that SQLite has just rolled back itself.
            let _ = sqlite.control(Access::ReadWrite, "ROLLBACK");
        }
        self.outbox.borrow_mut().clear();
        self.transactions.set(Transactions { open: None, lost, ..self.transactions.get() });
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = if matches!(self.engine, Engine::Sqlite(_)) { "SQLite" } else { "script" };
        write!(f, "{engine}, {:?}, {:?}", self.granted, self.transactions.get())
    }
}
