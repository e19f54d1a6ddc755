//! The faults that a test has requested and that have not happened yet.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

use crate::database::DatabaseError;
use crate::module::CallError;

/// The faults to inject at the next opportunity, in the order in which they were requested.
#[derive(Default)]
pub struct Faults {
    statements: Mutex<BTreeMap<String, VecDeque<DatabaseError>>>,
    calls: Mutex<BTreeMap<String, VecDeque<CallError>>>,
}

impl Faults {
    /// Make the next statement of a module in a database fail.
    pub fn fail_statement(&self, database: &str, error: DatabaseError) {
        self.statements.lock().entry(database.to_owned()).or_default().push_back(error);
    }

    /// Make the next call of an app's module fail. If the call has an instance, the instance is dropped.
    pub fn fail_call(&self, app: &str, error: CallError) {
        self.calls.lock().entry(app.to_owned()).or_default().push_back(error);
    }

    /// A sentence about a fault that has not happened. None if all faults have happened.
    pub fn unmet(&self) -> Option<String> {
        let database = waiting(&*self.statements.lock());
        let app = waiting(&*self.calls.lock());
        let statement =
            database.map(|name| format!("no statement of a module in `{name}` has met its `fail sql {name}`"));
        statement.or_else(|| app.map(|name| format!("no call of `{name}` has met its `fail call`")))
    }

    pub(crate) fn next_statement(&self, database: &str) -> Option<DatabaseError> {
        self.statements.lock().get_mut(database)?.pop_front()
    }

    pub(crate) fn next_call(&self, app: &str) -> Option<CallError> {
        self.calls.lock().get_mut(app)?.pop_front()
    }
}

/// The name of an app or database that a fault waits for.
fn waiting<T>(faults: &BTreeMap<String, VecDeque<T>>) -> Option<String> {
    faults.iter().find(|(_, queue)| !queue.is_empty()).map(|(name, _)| name.clone())
}
