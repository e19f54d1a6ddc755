//! What all apps of a host share.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::sim::Lab;

/// What an app is put into: the same for all of a host. Clones share it.
#[derive(Clone, Default)]
pub struct HostContext {
    /// The host's tasks: what is spawned here is waited for when the host drains.
    pub tasks: TaskTracker,
    /// The laboratory, if modules are tested here and not served.
    pub lab: Option<Arc<Lab>>,
}
