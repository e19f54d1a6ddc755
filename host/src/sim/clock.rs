//! Time that passes only when the runtime says so.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::time::Instant;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// What lies at least between two readings. Real clocks move between two of them too, and modules rely on it:
/// the time of a message is part of a key.
const TICK: Duration = Duration::from_micros(1);

/// The clock of a laboratory: it began at some time, and follows the runtime's time from there. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    began: Instant,
    wall: Duration,
    /// The last reading.
    last: Arc<Mutex<Duration>>,
}

impl Clock {
    pub(super) fn new(now: SystemTime) -> Self {
        // Before 1970 there are no modules.
        let wall = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), wall, last: Arc::default() }
    }

    /// What time it is there.
    pub fn now(&self) -> SystemTime {
        UNIX_EPOCH + self.wall + self.began.elapsed()
    }

    /// How much time has passed, as a module reads it.
    fn read(&self) -> Duration {
        let mut last = self.last.lock();
        *last = self.began.elapsed().max(*last + TICK);
        *last
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        TICK
    }

    fn now(&self) -> Duration {
        self.wall + self.read()
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        u64::try_from(TICK.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.read().as_nanos()).unwrap_or(u64::MAX)
    }
}
