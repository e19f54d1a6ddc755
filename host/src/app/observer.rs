//! What looks at calls: a simulation, which counts them and makes them fail, or traces. A host has at most one of them, so
//! the path of a call asks once whether there is any.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::connection::Connection;
use super::versions::Exported;
use crate::module::CallError;
use crate::sim::{Simulation, thread_time};
use crate::traces::{CallTrace, Traces};

/// What looks at the calls of a host.
#[derive(Clone)]
pub enum Observer {
    /// Modules are tested here instead of served.
    Simulation(Arc<Simulation>),
    /// Some calls are traced.
    Traces(Arc<Traces>),
}

/// What looks at one call, as its imports see it.
#[derive(Clone)]
pub(crate) enum CallObserver {
    Simulation(Arc<Simulation>),
    Trace(Arc<CallTrace>),
}

/// The hook of the path of a call. Without an observer it does nothing.
pub(super) enum CallProbe<'a> {
    Nothing,
    Simulated(Simulated<'a>),
    Traced(Arc<CallTrace>),
}

pub(super) struct Simulated<'a> {
    sim: &'a Arc<Simulation>,
    app: &'a str,
    /// How long this thread had computed when the call began.
    began: Duration,
}

impl Observer {
    /// Whether a call must not be made on the stack of its caller. A simulation has one thread, and decides which task runs
    /// next; the spans of a call begin and end elsewhere.
    pub(super) fn wants(&self, connection: &Connection) -> bool {
        match self {
            Self::Simulation(_) => true,
            Self::Traces(_) => connection.is_traced(),
        }
    }
}

impl<'a> CallProbe<'a> {
    /// A call of an app is to be made.
    pub(super) fn begin(
        observer: Option<&'a Observer>,
        app: &'a App,
        export: Exported,
        connection: Option<&Arc<Connection>>,
    ) -> Self {
        match observer {
            None => Self::Nothing,
            Some(Observer::Simulation(sim)) => Self::Simulated(Simulated { sim, app: &app.name, began: thread_time() }),
            Some(Observer::Traces(traces)) => match connection {
                Some(connection) if !connection.is_traced() => Self::Nothing,
                connection => traces
                    .call(&app.name, export.name(), connection.map(|connection| connection.id))
                    .map_or(Self::Nothing, |trace| Self::Traced(Arc::new(trace))),
            },
        }
    }

    /// What the imports of the call see.
    pub(super) fn observer(&self) -> Option<CallObserver> {
        match self {
            Self::Nothing => None,
            Self::Simulated(simulated) => Some(CallObserver::Simulation(Arc::clone(simulated.sim))),
            Self::Traced(trace) => Some(CallObserver::Trace(Arc::clone(trace))),
        }
    }

    /// The call has an instance of a version. Returns the error with which a test makes it fail.
    pub(super) fn begun(&self, version: &str) -> Option<CallError> {
        match self {
            Self::Nothing => None,
            Self::Simulated(simulated) => simulated.sim.faults.next_call(simulated.app),
            Self::Traced(trace) => {
                trace.begun(version);
                None
            }
        }
    }

    /// The call has ended.
    pub(super) fn ended<T>(self, result: &Result<T, CallError>) {
        if let (Self::Traced(trace), Err(error)) = (self, result) {
            trace.failed(error.kind().name());
        }
    }
}

impl Drop for Simulated<'_> {
    fn drop(&mut self) {
        self.sim.meter.called(self.began);
    }
}
