//! What counts the sessions of a pool that are open.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// As many sessions as a pool may have. Each session holds a [`Slot`] until it is closed, whatever happens to the call that
/// opened it.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    count: u32,
}

/// What a session holds until it is closed.
pub(super) type Slot = OwnedSemaphorePermit;

impl Slots {
    pub(super) fn new(count: u32) -> Self {
        let free = Semaphore::new(usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS));
        Self { free: Arc::new(free), count }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Wait for a slot. Those that wait get one in the order in which they came.
    pub(super) async fn take(&self) -> Option<Slot> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Wait until all sessions are closed. No session can be opened after that.
    pub(super) async fn close(&self) {
        // It is closed already, by an earlier call.
        let _all = self.free.acquire_many(self.count).await;
        self.free.close();
    }
}
