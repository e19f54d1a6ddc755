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
    /// Make a connection known.
    pub fn insert(&self, connection: &Arc<Connection>) {
        self.by_id.write().insert(connection.id, Arc::clone(connection));
    }

    /// Forget a connection.
    pub fn remove(&self, id: u64) {
        self.by_id.write().remove(&id);
    }

    /// The connection with that id, if it is open.
    pub fn get(&self, id: u64) -> Option<Arc<Connection>> {
        self.by_id.read().get(&id).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that are open now, in the order of their ids: what is done to all is done in the same order each time.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        let mut all: Vec<_> = self.by_id.read().values().cloned().collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all
    }
}
