//! `hassock:host/sql`: the two resources. The [`Store`] does their work.

use std::rc::Rc;

use super::topics;
use crate::Message;
use crate::sql::{Outcome, RowSet, SqlError, Value};
use crate::testing::answer::MAX_TOPIC;
use crate::testing::current::state;
use crate::testing::database::{Access, Scope, Store};

/// A module's handle to a database.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    store: Rc<Store>,
    access: Access,
}

/// A transaction that a module has begun. If it is dropped, it is rolled back.
#[derive(Debug)]
pub(crate) struct Transaction {
    store: Rc<Store>,
    access: Access,
    number: u64,
}

impl Database {
    pub(crate) fn open(name: &str) -> Result<Self, SqlError> {
        state("Database::open", |state| match state.databases.get(name) {
            Some(store) => Ok(Self {
                name: name.to_owned(),
                store: Rc::clone(store),
                access: store.granted().min(state.most_access),
            }),
            None => Err(SqlError::UnknownDatabase(format!(
                "the host has no database `{name}`: add it with the `database` of its builder"
            ))),
        })
    }

    pub(crate) fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<RowSet, SqlError> {
        inside("Database::query");
        self.store.query(Scope::Alone, self.access, statement, &parameters)
    }

    pub(crate) fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<Outcome, SqlError> {
        inside("Database::execute");
        self.store.execute(Scope::Alone, self.access, statement, &parameters)
    }

    pub(crate) fn begin(&self) -> Result<Transaction, SqlError> {
        let most = state("Database::begin", |state| state.limits.transactions_per_call);
        let open = self.store.open_transactions();
        if open >= most {
            return Err(SqlError::Denied(format!(
                "the call has {open} open transactions on `{}`, as many as `transactions_per_call` allows; end one first",
                self.name
            )));
        }
        let number = self.store.begin(self.access)?;
        Ok(Transaction { store: Rc::clone(&self.store), access: self.access, number })
    }
}

impl Transaction {
    pub(crate) fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<RowSet, SqlError> {
        inside("Transaction::query");
        self.store.query(Scope::Transaction(self.number), self.access, statement, &parameters)
    }

    pub(crate) fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<Outcome, SqlError> {
        inside("Transaction::execute");
        self.store.execute(Scope::Transaction(self.number), self.access, statement, &parameters)
    }

    pub(crate) fn publish(&self, topic: &str, message: Message) -> Result<(), SqlError> {
        let most = state("Transaction::publish", |state| state.limits.outbox_bytes);
        let bytes = message.as_bytes().len();
        if bytes > most {
            return Err(SqlError::TooLarge(format!("the message has {bytes} bytes, more than {most} (outbox_bytes)")));
        }
        if topic.is_empty() || topic.len() > MAX_TOPIC {
            return Err(SqlError::Other(format!("the name of a topic has 1 to {MAX_TOPIC} bytes")));
        }
        self.store.publish(self.number, self.access, topic, message)
    }

    pub(crate) fn commit(self) -> Result<(), SqlError> {
        inside("Transaction::commit");
        for (topic, message) in self.store.commit(self.number)? {
            state("Transaction::commit", |state| topics::publish_from_outbox(state, &topic, &message));
        }
        Ok(())
    }

    pub(crate) fn rollback(self) -> Result<(), SqlError> {
        inside("Transaction::rollback");
        self.store.rollback(self.number)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.store.abandon(self.number);
    }
}

/// Panic if no host is entered: a test could use a handle there, but a module cannot.
fn inside(import: &str) {
    state(import, |_| ());
}
