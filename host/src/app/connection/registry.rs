//! The open connections of an app, by id.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::Connection;

/// Connections that modules can name.
#[derive(Default)]
pub struct Connections {
    by_id: RwLock<HashMap<u64, Arc<Connection>>>,
}

impl Connections {
    /// Add a connection.
    pub fn insert(&self, connection: &Arc<Connection>) {
        self.by_id.write().insert(connection.id, Arc::clone(connection));
    }

    /// Remove a connection.
    pub fn remove(&self, id: u64) {
        self.by_id.write().remove(&id);
    }

    /// The connection with that id, if it is open.
    pub fn get(&self, id: u64) -> Option<Arc<Connection>> {
        self.by_id.read().get(&id).cloned()
    }

    /// The number of open connections.
    pub fn len(&self) -> usize {
        self.by_id.read().len()
    }

    /// Whether there are no open connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Look at each open connection, in any order.
    pub(crate) fn each(&self, look: impl FnMut(&Arc<Connection>)) {
        self.by_id.read().values().for_each(look);
    }

    /// All connections that are open now, in the order of their ids, so that an operation on all of them always has the
    /// same order.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        let mut all: Vec<_> = self.by_id.read().values().cloned().collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all
    }
}
