//! Time that passes only when the runtime says so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// The clock of a laboratory: it began at some time, and follows the runtime's time from there.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    wall: Duration,
}

impl Clock {
    pub(super) fn new(now: SystemTime) -> Self {
        // Before 1970 there are no modules.
        Self { began: Instant::now(), wall: now.duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// How much time has passed in the laboratory.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What time it is there.
    pub fn now(&self) -> SystemTime {
        UNIX_EPOCH + self.wall + self.elapsed()
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.wall + self.elapsed()
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
