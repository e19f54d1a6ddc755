//! What passes through the API, counted for metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::histogram::{Histogram, Times};

/// The counters of the API.
#[derive(Debug, Default)]
pub(crate) struct ApiCounts {
    /// For each operation and status. Both are of the host, so there are few.
    requests: Mutex<BTreeMap<(Arc<str>, u16), u64>>,
    times: Histogram,
    connections: AtomicUsize,
}

/// What the counters say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ApiReport {
    /// The operation, the status of the response, and how many requests. Only those that have occurred.
    pub(crate) requests: Vec<(Arc<str>, u16, u64)>,
    /// How long requests took, until there was a response.
    pub(crate) times: Times,
    /// Connections that are open.
    pub(crate) connections: usize,
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection<'a>(&'a ApiCounts);

impl ApiCounts {
    /// A request was answered.
    pub(crate) fn request(&self, operation: &Arc<str>, status: u16, time: Duration) {
        *self.requests.lock().entry((Arc::clone(operation), status)).or_default() += 1;
        self.times.count(time);
    }

    /// A client has connected.
    pub(crate) fn connection(&self) -> OpenConnection<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self)
    }

    /// What was counted so far.
    pub(crate) fn report(&self) -> ApiReport {
        let requests = self.requests.lock();
        ApiReport {
            requests: requests
                .iter()
                .map(|((operation, status), count)| (Arc::clone(operation), *status, *count))
                .collect(),
            times: self.times.times(),
            connections: self.connections.load(Ordering::Relaxed),
        }
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_and_status_has_its_own_counter() {
        let counts = ApiCounts::default();
        assert_eq!(counts.report(), ApiReport::default());
        let open = counts.connection();
        for (operation, status) in [("publish", 200), ("send", 404), ("publish", 200)] {
            counts.request(&operation.into(), status, Duration::from_millis(2));
        }
        let report = counts.report();
        assert_eq!(report.requests, [("publish".into(), 200, 2), ("send".into(), 404, 1)]);
        assert_eq!((report.times.count, report.times.sum_micros, report.connections), (3, 6e3, 1));
        drop(open);
        assert_eq!(counts.report().connections, 0);
    }
}
