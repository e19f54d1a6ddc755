//! The cost of calls, which a developer sees while testing.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Adds up what the calls in a simulation cost.
#[derive(Debug, Default)]
pub struct Meter {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
    peak_memory: AtomicUsize,
    statements: AtomicU64,
}

impl Meter {
    /// Calls of modules, failed calls included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The CPU time of the calls. It varies between runs, and depends on the load of the machine.
    pub fn cpu_time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    /// The largest linear memory of an instance, in bytes.
    pub fn peak_memory(&self) -> usize {
        self.peak_memory.load(Ordering::Relaxed)
    }

    /// The number of statements that the calls ran, including failed statements.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// A call ended. It began when this thread had used `began` of CPU time.
    pub(crate) fn called(&self, began: Duration) {
        let nanoseconds = thread_time().saturating_sub(began).as_nanos();
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(u64::try_from(nanoseconds).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn ran_statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// A linear memory has grown to this many bytes.
    pub(crate) fn grew(&self, bytes: usize) {
        self.peak_memory.fetch_max(bytes, Ordering::Relaxed);
    }
}

/// The CPU time of this thread. A simulation has only one thread.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
}
