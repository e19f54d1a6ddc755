//! What a simulation does with one call: it may make the call fail, and it counts what the call costs.

use std::sync::Arc;
use std::time::Duration;

use super::cost::thread_time;
use super::{Failure, Simulation};
use crate::module::{CallError, FailedCall};

/// The hook of the path of a call. Outside a simulation it does nothing.
pub(crate) struct CallProbe<'a>(Option<Probe<'a>>);

struct Probe<'a> {
    sim: &'a Simulation,
    app: &'a str,
    /// How long this thread had computed when the call began.
    began: Duration,
}

impl<'a> CallProbe<'a> {
    /// A call of an app begins.
    pub(crate) fn begin(sim: Option<&'a Arc<Simulation>>, app: &'a str) -> Self {
        Self(sim.map(|sim| Probe { sim, app, began: thread_time() }))
    }

    /// The error with which a test makes this call fail.
    pub(crate) fn fault(&self) -> Option<CallError> {
        self.0.as_ref().and_then(|probe| probe.sim.faults.next_call(probe.app))
    }
}

impl Drop for CallProbe<'_> {
    fn drop(&mut self) {
        if let Some(probe) = &self.0 {
            probe.sim.meter.called(probe.began);
        }
    }
}

impl Simulation {
    /// A call has failed: a test sees it.
    pub(crate) fn call_failed(&self, app: &Arc<str>, call: &str, connection: Option<u64>, failed: &FailedCall) {
        let (app, call, failed) = (Arc::clone(app), call.to_owned(), failed.clone());
        self.failures.add(Failure { app, call, connection, failed });
    }
}
