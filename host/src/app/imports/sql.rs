//! `hassock:host/sql`: grants, handles and transactions. The `database` module runs the statements.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use wasmtime::component::Resource;

use crate::app::call::InstanceState;
use crate::app::observer::CallObserver;
use crate::database::{
    DatabaseError, Handle, OutboxMessage, Outcome as Done, RowSet as Found, Transaction, Value as Stored,
};
use crate::module::bindings::hassock::host::sql::{Error, Host, HostDatabase, HostTransaction, Outcome, RowSet, Value};
use crate::module::bindings::hassock::host::types::Message;
use crate::module::resources::{OpenDatabase, OpenTransaction};
use crate::traces::{Statement, StatementTrace};

/// How many handles one instance may hold. A module that opens handles and never drops them must not use up the host's
/// memory.
const MAX_HANDLES: usize = 64;

/// What the handles of one instance refer to. Numbers are never used twice, so that a handle to a transaction that the
/// host has ended never refers to another transaction.
#[derive(Default)]
pub(crate) struct SqlContext {
    databases: HashMap<u32, Handle>,
    transactions: HashMap<u32, Transaction>,
    next: u32,
}

impl SqlContext {
    /// Whether the call left a transaction open.
    pub(crate) fn has_open_transactions(&self) -> bool {
        !self.transactions.is_empty()
    }

    /// Invariant 8: a transaction ends with the call that began it. All at once, because each may take the `connect_timeout`
    /// of its database.
    pub(crate) async fn end_call(&mut self) {
        let rollbacks = self.transactions.drain().map(|(_, transaction)| transaction.abandon());
        for error in join_all(rollbacks).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "a transaction that a module left open could not be rolled back at once");
        }
    }

    fn room_for_transaction(&self, database: &str, most: usize) -> Result<(), Error> {
        let open = self.transactions.values().filter(|transaction| transaction.database() == database).count();
        match open < most {
            true => Ok(()),
            false => Err(Error::Denied(format!(
                "the call has {open} open transactions on `{database}`, as many as `transactions_per_call` allows; end one first"
            ))),
        }
    }

    fn number(&mut self) -> Result<u32, Error> {
        if self.databases.len() + self.transactions.len() >= MAX_HANDLES {
            return Err(Error::Other(format!(
                "more than {MAX_HANDLES} databases and transactions are open; drop some"
            )));
        }
        self.next = self.next.checked_add(1).ok_or_else(|| Error::Other("too many handles".to_owned()))?;
        Ok(self.next)
    }

    fn database(&self, handle: &Resource<OpenDatabase>) -> Result<Handle, Error> {
        self.databases.get(&handle.rep()).cloned().ok_or_else(|| Error::Other("the database is closed".to_owned()))
    }

    /// The transaction is not in the table while it is used. If the call is dropped meanwhile, the transaction is
    /// dropped with it and rolled back.
    fn take(&mut self, number: u32) -> Result<Transaction, Error> {
        let ended = || Error::Other("the transaction has ended; it ends with the call that began it".to_owned());
        self.transactions.remove(&number).ok_or_else(ended)
    }
}

impl InstanceState {
    /// A statement of a module is about to run. It fails if a test asks for that.
    fn before_statement(&mut self, statement: Statement<'_>) -> Result<Traced, DatabaseError> {
        if let Some(CallObserver::Simulation(sim)) = self.call.as_ref().and_then(|call| call.observer.as_ref()) {
            sim.meter.ran_statement();
            if let Some(error) = sim.faults.next_statement(statement.database) {
                self.before_waiting(statement);
                return Err(error);
            }
        }
        Ok(self.before_waiting(statement))
    }

    /// Wake the dirty connections before the call waits for a statement.
    fn before_waiting(&mut self, statement: Statement<'_>) -> Traced {
        let Some(call) = &mut self.call else { return Traced(None) };
        call.expire_room();
        call.wake_dirty();
        match &call.observer {
            Some(CallObserver::Trace(trace)) => Traced(Some(trace.statement(statement))),
            _ => Traced(None),
        }
    }
}

/// The span of a statement, if the call is traced.
struct Traced(Option<StatementTrace>);

impl Traced {
    /// The statement has ended.
    fn ended<T>(self, result: &Result<T, DatabaseError>) {
        if let Some(trace) = self.0 {
            trace.ended(result.as_ref().err().map(|error| error.kind().name()));
        }
    }
}

impl Host for InstanceState {}

impl HostDatabase for InstanceState {
    fn open(&mut self, name: String) -> Result<Resource<OpenDatabase>, Error> {
        let call = self.call.as_ref().ok_or_else(|| Error::UnknownDatabase(name.clone()))?;
        let Some(handle) = call.setup.grants.get(&name).cloned() else {
            return Err(match call.setup.databases.contains(&name) {
                true => Error::Denied(format!("the app `{}` has no grant for the database `{name}`", call.app.name)),
                false => Error::UnknownDatabase(format!("the config has no database `{name}`")),
            });
        };
        let number = self.sql.number()?;
        self.sql.databases.insert(number, handle);
        Ok(Resource::new_own(number))
    }

    async fn query(
        &mut self,
        this: Resource<OpenDatabase>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<RowSet, Error> {
        let database = self.sql.database(&this)?;
        let trace = self.before_statement(of(&database, &statement))?;
        let found = database.query(&statement, bind(parameters)).await;
        trace.ended(&found);
        Ok(found?.into())
    }

    async fn execute(
        &mut self,
        this: Resource<OpenDatabase>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<Outcome, Error> {
        let database = self.sql.database(&this)?;
        let trace = self.before_statement(of(&database, &statement))?;
        let done = database.execute(&statement, bind(parameters)).await;
        trace.ended(&done);
        Ok(done?.into())
    }

    async fn begin(&mut self, this: Resource<OpenDatabase>) -> Result<Resource<OpenTransaction>, Error> {
        let database = self.sql.database(&this)?;
        let most = self.call.as_ref().map_or(0, |call| call.setup.limits.transactions_per_call);
        self.sql.room_for_transaction(database.name(), most)?;
        let number = self.sql.number()?;
        let trace = self.before_waiting(of(&database, "BEGIN"));
        let begun = database.begin().await;
        trace.ended(&begun);
        self.sql.transactions.insert(number, begun?);
        Ok(Resource::new_own(number))
    }

    fn drop(&mut self, this: Resource<OpenDatabase>) -> wasmtime::Result<()> {
        self.sql.databases.remove(&this.rep());
        Ok(())
    }
}

impl HostTransaction for InstanceState {
    async fn query(
        &mut self,
        this: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<RowSet, Error> {
        let mut transaction = self.sql.take(this.rep())?;
        // If this fails, the transaction is over. Some database errors end it, so the host ends it for every error.
        let trace = self.before_statement(within(&transaction, &statement))?;
        let found = transaction.query(&statement, bind(parameters)).await;
        trace.ended(&found);
        self.sql.transactions.insert(this.rep(), transaction);
        Ok(found?.into())
    }

    async fn execute(
        &mut self,
        this: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<Outcome, Error> {
        let mut transaction = self.sql.take(this.rep())?;
        // If this fails, the transaction is over. Some database errors end it, so the host ends it for every error.
        let trace = self.before_statement(within(&transaction, &statement))?;
        let done = transaction.execute(&statement, bind(parameters)).await;
        trace.ended(&done);
        self.sql.transactions.insert(this.rep(), transaction);
        Ok(done?.into())
    }

    async fn publish(&mut self, this: Resource<OpenTransaction>, topic: String, message: Message) -> Result<(), Error> {
        let Some(call) = &self.call else { return Err(Error::Other("there is no call".to_owned())) };
        let (app, most) = (Arc::clone(&call.app.name), call.setup.limits.outbox_bytes.bytes());
        let message = match &message {
            Message::Text(text) => OutboxMessage::Text(text),
            Message::Binary(bytes) => OutboxMessage::Binary(bytes),
        };
        // Nobody could tell the module later.
        if message.len() > most {
            return Err(Error::TooLarge(format!(
                "the message has {} bytes, more than {most} (outbox_bytes)",
                message.len()
            )));
        }
        let mut transaction = self.sql.take(this.rep())?;
        // If this fails, the transaction is over. Some database errors end it, so the host ends it for every error.
        let trace = self.before_statement(within(&transaction, "INSERT INTO hassock_outbox"))?;
        let done = transaction.publish(&app, &topic, message).await;
        trace.ended(&done);
        self.sql.transactions.insert(this.rep(), transaction);
        Ok(done?)
    }

    async fn commit(&mut self, transaction: Resource<OpenTransaction>) -> Result<(), Error> {
        let transaction = self.sql.take(transaction.rep())?;
        let trace = self.before_waiting(within(&transaction, "COMMIT"));
        let ended = transaction.commit().await;
        trace.ended(&ended);
        Ok(ended?)
    }

    async fn rollback(&mut self, transaction: Resource<OpenTransaction>) -> Result<(), Error> {
        let transaction = self.sql.take(transaction.rep())?;
        let trace = self.before_waiting(within(&transaction, "ROLLBACK"));
        let ended = transaction.rollback().await;
        trace.ended(&ended);
        Ok(ended?)
    }

    fn drop(&mut self, this: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        // A transaction is rolled back when it is dropped.
        self.sql.transactions.remove(&this.rep());
        Ok(())
    }
}

fn of<'a>(database: &'a Handle, text: &'a str) -> Statement<'a> {
    Statement { database: database.name(), system: database.system(), text }
}

fn within<'a>(transaction: &'a Transaction, text: &'a str) -> Statement<'a> {
    Statement { database: transaction.database(), system: transaction.system(), text }
}

fn bind(parameters: Vec<Value>) -> Vec<Stored> {
    parameters.into_iter().map(Into::into).collect()
}

/// The database's values and those of the WIT interface are the same list of cases.
macro_rules! same_cases {
    ($($case:ident),*) => {
        impl From<Value> for Stored {
            fn from(value: Value) -> Self {
                match value {
                    Value::Null => Self::Null,
                    $(Value::$case(inner) => Self::$case(inner),)*
                }
            }
        }

        impl From<Stored> for Value {
            fn from(value: Stored) -> Self {
                match value {
                    Stored::Null => Self::Null,
                    $(Stored::$case(inner) => Self::$case(inner),)*
                }
            }
        }
    };
}
same_cases!(Boolean, S64, U64, F64, Decimal, Text, Bytes, Date, Time, Datetime, Timestamp, Json);

impl From<Found> for RowSet {
    fn from(found: Found) -> Self {
        let rows = found.rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect();
        Self { columns: found.columns, rows }
    }
}

impl From<Done> for Outcome {
    fn from(done: Done) -> Self {
        Self { affected_rows: done.affected_rows, last_insert_id: done.last_insert_id }
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Denied(reason) => Self::Denied(reason),
            DatabaseError::UnknownDatabase(reason) => Self::UnknownDatabase(reason),
            DatabaseError::Timeout => Self::Timeout,
            DatabaseError::PoolExhausted => Self::PoolExhausted,
            DatabaseError::Constraint(reason) => Self::Constraint(reason),
            DatabaseError::Syntax(reason) => Self::Syntax(reason),
            DatabaseError::TooLarge(reason) => Self::TooLarge(reason),
            DatabaseError::ConnectionLost(reason) => Self::ConnectionLost(reason),
            DatabaseError::Other(reason) => Self::Other(reason),
        }
    }
}
