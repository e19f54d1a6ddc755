//! The laboratory: what surrounds a module while it is tested in isolation. Time stands still unless it is
//! told to pass, random numbers repeat, things go wrong on demand, and all that a call costs is counted.
//!
//! Everything else of the host is the real thing. Outside a laboratory there is none of this: an
//! [`App`](crate::app::App) without a [`Lab`] has the system's clocks and random numbers.

mod clock;
mod cost;
mod failures;
mod faults;
mod random;

use std::sync::Arc;
use std::time::SystemTime;

pub use clock::Clock;
pub use cost::Meter;
pub(crate) use cost::thread_time;
pub use failures::{Failure, Failures};
pub use faults::Faults;
use wasmtime_wasi::WasiCtxBuilder;

use random::Random;

/// One laboratory, which a host is in from its start to its end.
pub struct Lab {
    /// Its time.
    pub clock: Clock,
    /// What is to go wrong.
    pub faults: Faults,
    /// Calls that have failed.
    pub failures: Failures,
    /// What calls have cost.
    pub meter: Arc<Meter>,
    random: Random,
}

impl Lab {
    /// A laboratory in which it is `now`, whatever the system says, and random numbers follow from `seed`. To
    /// be made on a runtime whose time is paused.
    pub fn new(now: SystemTime, seed: u64) -> Self {
        Self {
            clock: Clock::new(now),
            faults: Faults::default(),
            failures: Failures::default(),
            meter: Arc::default(),
            random: Random::new(seed),
        }
    }

    /// Give an instance that is being made the clocks and random numbers of the laboratory.
    pub(crate) fn install(&self, wasi: &mut WasiCtxBuilder) {
        wasi.wall_clock(self.clock.clone())
            .monotonic_clock(self.clock.clone())
            .secure_random(self.random.next())
            .insecure_random(self.random.next())
            .insecure_random_seed(self.random.seed());
    }
}
