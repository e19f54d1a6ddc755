//! Calls that failed, kept so that a test sees them.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Simulation;
use crate::module::FailedCall;

/// More failed calls than a test looks at. Later ones are only in the log.
const KEPT: usize = 1000;

/// A call that failed in a simulation.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The app.
    pub app: Arc<str>,
    /// The exported function, as the log names it.
    pub call: String,
    /// The connection; none for a call of the app itself.
    pub connection: Option<u64>,
    /// The version and the error.
    pub failed: FailedCall,
}

/// The failed calls that no test has taken yet.
#[derive(Default)]
pub struct Failures(Mutex<Vec<Failure>>);

impl Failures {
    /// Take the failed calls since the last time.
    pub fn take(&self) -> Vec<Failure> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Take the first failed call of an exported function; none if there is none.
    pub fn take_first(&self, call: &str) -> Option<Failure> {
        let mut kept = self.0.lock();
        let at = kept.iter().position(|failure| failure.call == call)?;
        Some(kept.remove(at))
    }

    pub(crate) fn add(&self, failure: Failure) {
        let mut kept = self.0.lock();
        if kept.len() < KEPT {
            kept.push(failure);
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
