//! The maximum number of connections, which a reload of the config can change.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections there may be.
pub(super) struct Capacity {
    permits: Arc<Semaphore>,
    size: Mutex<usize>,
    /// How many permits to remove as soon as they are returned.
    excess: Mutex<usize>,
}

/// The permission to serve one connection.
pub(super) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    capacity: Arc<Capacity>,
}

impl Capacity {
    /// So many.
    pub(super) fn new(size: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(size)), size: Mutex::new(size), excess: Mutex::default() }
    }

    /// Wait for the permission to serve one more connection.
    pub(super) async fn permit(self: &Arc<Self>) -> io::Result<Permit> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        Ok(Permit { permit: Some(permit), capacity: Arc::clone(self) })
    }

    /// So many from now on. What is open stays open.
    pub(super) fn resize(&self, size: usize) {
        let before = std::mem::replace(&mut *self.size.lock(), size);
        let mut excess = self.excess.lock();
        if size < before {
            let surplus = before - size;
            *excess += surplus - self.permits.forget_permits(surplus);
        } else {
            let wanted = size - before;
            let kept = wanted.min(*excess);
            *excess -= kept;
            self.permits.add_permits(wanted - kept);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut excess = self.capacity.excess.lock();
        if *excess > 0
            && let Some(permit) = self.permit.take()
        {
            *excess -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_smaller_capacity_takes_effect_as_connections_end() {
        let capacity = Arc::new(Capacity::new(3));
        let (one, two) = (capacity.permit().await.unwrap(), capacity.permit().await.unwrap());
        capacity.resize(1);
        assert_eq!(capacity.permits.available_permits(), 0);
        drop(one);
        assert_eq!(capacity.permits.available_permits(), 0, "two were open, but one is allowed");
        capacity.resize(2);
        assert_eq!(capacity.permits.available_permits(), 1);
        drop(two);
        assert_eq!(capacity.permits.available_permits(), 2);
    }

    #[tokio::test]
    async fn a_capacity_that_grows_again_forgets_what_it_wanted_back() {
        let capacity = Arc::new(Capacity::new(2));
        let (one, two) = (capacity.permit().await.unwrap(), capacity.permit().await.unwrap());
        capacity.resize(1);
        capacity.resize(3);
        drop((one, two));
        assert_eq!(capacity.permits.available_permits(), 3);
    }
}
