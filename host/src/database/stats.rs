//! How long statements take and how they fail, counted for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::error::{DatabaseError, DatabaseErrorKind};
use super::outbox::OutboxReport;
use crate::histogram::{Histogram, Times};

/// The statements of a database.
#[derive(Debug, Default)]
pub(super) struct Stats {
    times: Histogram,
    errors: [AtomicU64; DatabaseErrorKind::ALL.len()],
    /// Statements that did not end before their call.
    dropped: AtomicU64,
}

/// A statement that runs. It counts however it ends, also if its call is given up.
struct Running<'a> {
    stats: &'a Stats,
    began: Instant,
    has_ended: bool,
}

/// What is known about a database.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseReport {
    /// Its name in the config.
    pub database: String,
    /// Its pools.
    pub pools: Vec<PoolReport>,
    /// How long statements took, with the wait for a session.
    pub times: Times,
    /// How many statements failed, by kind. Only kinds that have occurred.
    pub errors: Vec<(&'static str, u64)>,
    /// What was published, if it has an outbox.
    pub outbox: Option<OutboxReport>,
}

/// A pool of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolReport {
    /// `read-only` or `read-write`
    pub access: &'static str,
    /// Sessions that calls use now.
    pub busy: usize,
    /// The most that they may use.
    pub limit: usize,
}

impl Stats {
    /// Count a statement, a commit or a rollback.
    pub(super) async fn measure<T>(
        &self,
        statement: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        let mut running = Running { stats: self, began: Instant::now(), has_ended: false };
        let result = statement.await;
        running.has_ended = true;
        drop(running);
        if let Err(error) = &result
            && let Some(count) = self.errors.get(error.kind() as usize)
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    pub(super) fn times(&self) -> Times {
        self.times.times()
    }

    pub(super) fn errors(&self) -> Vec<(&'static str, u64)> {
        let counts = self.errors.iter().map(|count| count.load(Ordering::Relaxed));
        let all = DatabaseErrorKind::ALL.iter().map(|kind| kind.name()).zip(counts);
        let dropped = ("dropped", self.dropped.load(Ordering::Relaxed));
        all.chain([dropped]).filter(|(_, count)| *count > 0).collect()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.stats.times.count(self.began.elapsed());
        if !self.has_ended {
            self.stats.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
