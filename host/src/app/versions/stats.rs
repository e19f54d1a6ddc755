//! The statistics of a version, for the list of versions and for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::histogram::{Histogram, Times};
use crate::module::{CallError, CallErrorKind};

/// The exported functions that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exported {
    /// `handler.open`
    Open,
    /// `handler.receive`, or `packed-handler.receive-packed`
    Receive,
    /// `handler.closed`
    Closed,
    /// `timer-handler.connection-timer`
    ConnectionTimer,
    /// `timer-handler.app-timer`
    AppTimer,
    /// `subscription-handler.subscribe`
    Subscribe,
    /// `request-handler.request`
    Request,
    /// `resumption-handler.resumed`
    Resumed,
    /// `migration.migrate`
    Migrate,
    /// `self-test.check`
    Check,
}

/// The statistics of a version's calls. Counting does not take a lock.
#[derive(Default)]
pub struct Stats {
    calls: [Calls; Exported::ALL.len()],
    failures: AtomicU64,
    /// Connections that the version serves.
    pub(crate) connections: AtomicU64,
}

/// The calls of one function.
#[derive(Default)]
struct Calls {
    times: Histogram,
    errors: [AtomicU64; CallErrorKind::ALL.len()],
}

/// What is known about the calls of one function.
#[derive(Debug, Clone, PartialEq)]
pub struct CallsReport {
    /// The function, as the log names it.
    pub export: &'static str,
    /// How long the calls took.
    pub times: Times,
    /// How many calls did not return, by kind. Only kinds that have occurred.
    pub errors: Vec<(&'static str, u64)>,
}

impl Exported {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::Receive,
        Self::Closed,
        Self::ConnectionTimer,
        Self::AppTimer,
        Self::Subscribe,
        Self::Request,
        Self::Resumed,
        Self::Migrate,
        Self::Check,
    ];

    /// Its name in WIT, in the log and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Receive => "receive",
            Self::Closed => "closed",
            Self::ConnectionTimer => "connection-timer",
            Self::AppTimer => "app-timer",
            Self::Subscribe => "subscribe",
            Self::Request => "request",
            Self::Resumed => "resumed",
            Self::Migrate => "migrate",
            Self::Check => "check",
        }
    }
}

impl Stats {
    /// A call ended after `time`.
    pub(crate) fn count(&self, export: Exported, time: Duration) {
        if let Some(calls) = self.calls.get(export as usize) {
            calls.times.count(time);
        }
    }

    /// A call did not return, or returned an error.
    pub(crate) fn count_error(&self, export: Exported, error: &CallError) {
        let calls = self.calls.get(export as usize);
        if let Some(count) = calls.and_then(|calls| calls.errors.get(error.kind() as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A call failed, which counts against the version.
    pub(crate) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How long calls took that have ended.
    pub fn times(&self) -> Times {
        self.calls.iter().fold(Times::default(), |all, calls| all.and(&calls.times.times()))
    }

    /// How many calls failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Connections that the version serves now.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// The calls of each function that was called.
    pub fn by_export(&self) -> Vec<CallsReport> {
        let reports = Exported::ALL.iter().zip(&self.calls).map(|(export, calls)| CallsReport {
            export: export.name(),
            times: calls.times.times(),
            errors: calls.errors(),
        });
        reports.filter(|report| report.times.count > 0 || !report.errors.is_empty()).collect()
    }
}

impl Calls {
    fn errors(&self) -> Vec<(&'static str, u64)> {
        let counts = self.errors.iter().map(|count| count.load(Ordering::Relaxed));
        let all = CallErrorKind::ALL.iter().map(|kind| kind.name()).zip(counts);
        all.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_errors_are_those_of_their_function() {
        let stats = Stats::default();
        assert!(stats.by_export().is_empty());
        for (place, export) in Exported::ALL.into_iter().enumerate() {
            assert_eq!(export as usize, place);
        }
        stats.count(Exported::Open, Duration::from_micros(5));
        stats.count(Exported::Migrate, Duration::from_micros(5));
        stats.count_error(Exported::Migrate, &CallError::Returned("no".to_owned()));
        stats.count_error(Exported::AppTimer, &CallError::Stopping);
        let found: Vec<_> =
            stats.by_export().into_iter().map(|calls| (calls.export, calls.times.count, calls.errors)).collect();
        let expected =
            [("open", 1, vec![]), ("app-timer", 0, vec![("stopping", 1)]), ("migrate", 1, vec![("returned", 1)])];
        assert_eq!(found, expected);
        assert_eq!(stats.times().count, 2);
    }
}
