//! The context that all apps of a host share.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Cluster;
use crate::memory_budget::MemoryBudget;
use crate::sim::Simulation;
use crate::traces::Traces;

use super::Observer;

/// The host context of an app. All apps of a host have the same one; clones share it.
#[derive(Clone, Default)]
pub struct HostContext {
    /// The host's tasks. The host waits for tasks that are spawned here when it drains.
    pub tasks: TaskTracker,
    /// Cancelled when the host stops and has used up half of its time. Calls that still run are then given up, so that
    /// `closed` can follow for their connections (invariant 2).
    pub out_of_time: CancellationToken,
    /// What clients and modules make the host keep in memory.
    pub memory: Arc<MemoryBudget>,
    /// The cluster that the host is in, if it is in one.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// What looks at calls, if anything does.
    pub observer: Option<Observer>,
}

impl HostContext {
    /// The simulation, if modules are tested here instead of served.
    pub fn simulation(&self) -> Option<&Arc<Simulation>> {
        match &self.observer {
            Some(Observer::Simulation(sim)) => Some(sim),
            _ => None,
        }
    }

    /// The time of day, for what was written with one: the times of tokens. Spans are measured with `Instant`.
    pub(crate) fn now(&self) -> SystemTime {
        self.simulation().map_or_else(SystemTime::now, |sim| sim.clock.now())
    }

    /// A number that tells the histories of this run apart from those of others: less than 2^53, random except in a
    /// simulation, which repeats.
    pub(crate) fn epoch(&self) -> u64 {
        match self.simulation() {
            Some(sim) => sim.clock.now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64),
            None => rand::random::<u64>() >> 11,
        }
    }

    /// What makes traces, if the config asks for them.
    pub(crate) fn traces(&self) -> Option<&Arc<Traces>> {
        match &self.observer {
            Some(Observer::Traces(traces)) => Some(traces),
            _ => None,
        }
    }
}
