//! A database of a simulated host, as a test sees it.

use std::rc::Rc;
use std::sync::Arc;

use super::in_process_host::InProcessHost;
use crate::config::Sharer;
use crate::database::{Access, BatchError, Database, DatabaseError, RowSet, Value};

/// Why a statement is not run.
const IN_USE: &str = "a call that waits for time to pass has a transaction open in this database; let time pass first";

/// One in-memory database of a [`TestHost`](super::TestHost): the same that the module uses.
pub struct TestDatabase {
    host: Rc<InProcessHost>,
    database: Arc<Database>,
}

impl TestDatabase {
    pub(super) fn new(host: Rc<InProcessHost>, database: Arc<Database>) -> Self {
        Self { host, database }
    }

    /// Run a statement, and get its rows if it has any. Values stand as `?` in it. Neither the faults that a
    /// test asked for nor the costs are about these statements.
    ///
    /// # Errors
    /// What the database says; or that a call which waits for time to pass has a transaction open in it.
    pub fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<RowSet, DatabaseError> {
        let done = self.host.work_at_once(async {
            let granted = self.database.grant(Access::ReadWrite, Sharer::ALONE).await;
            let handle = granted.map_err(|error| DatabaseError::Other(error.to_string()))?;
            handle.query(statement, parameters).await
        });
        done.unwrap_or_else(|| Err(DatabaseError::Other(IN_USE.to_owned())))
    }

    /// The same for a statement without parameters.
    ///
    /// # Errors
    /// What the database says.
    pub fn run(&self, statement: &str) -> Result<RowSet, DatabaseError> {
        self.query(statement, Vec::new())
    }

    /// Run all statements of a script, such as those that make the tables. They may be almost any, triggers and
    /// transactions included, but stay in this database; what they set for their session ends with them.
    ///
    /// # Errors
    /// Which one fails, and what the database says. Those before it have been run.
    pub fn execute_batch(&self, statements: &str) -> Result<(), BatchError> {
        let done = self.host.work_at_once(self.database.execute_batch(statements));
        done.unwrap_or_else(|| Err(BatchError::Database(DatabaseError::Other(IN_USE.to_owned()))))
    }
}
