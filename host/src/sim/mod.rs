//! The simulation: the environment of a module that is tested in isolation. Time passes only on demand, random numbers
//! repeat, faults happen on demand, and the cost of each call is counted.
//!
//! Everything else of the host is the production code. Outside a simulation, nothing of this exists: an
//! [`App`](crate::app::App) without a [`Simulation`] has the system's clocks and random numbers.

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

/// One simulation. A host belongs to it from its start to its end.
pub struct Simulation {
    /// The simulated time.
    pub clock: Clock,
    /// The faults to inject.
    pub faults: Faults,
    /// The calls that failed.
    pub failures: Failures,
    /// The cost of the calls.
    pub meter: Arc<Meter>,
    random: Random,
}

impl Simulation {
    /// A simulation in which the current time is `now`, whatever the system's time is, and random numbers are derived
    /// from `seed`. Create it on a runtime with paused time.
    pub fn new(now: SystemTime, seed: u64) -> Self {
        Self {
            clock: Clock::new(now),
            faults: Faults::default(),
            failures: Failures::default(),
            meter: Arc::default(),
            random: Random::new(seed),
        }
    }

    /// Give a new instance the clocks and random numbers of the simulation.
    pub(crate) fn install(&self, wasi: &mut WasiCtxBuilder) {
        wasi.wall_clock(self.clock.clone())
            .monotonic_clock(self.clock.clone())
            .secure_random(self.random.next())
            .insecure_random(self.random.next())
            .insecure_random_seed(self.random.seed());
    }
}
