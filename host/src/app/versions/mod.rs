//! The versions of an app, which all its connections share. One version serves. There may also be a canary, versions
//! that open connections are pinned to, and versions that are kept for a rollback.
//!
//! Reading order: `version` (one exact module) → `table` (the state of each version) → `assign` (which version serves a
//! call) → `rollout` (what follows from a change) → `report` and `describe` (the reports for operators).

mod assign;
mod describe;
mod health;
mod pace;
mod report;
mod rollout;
mod stats;
mod table;
mod version;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::app::Setup;
use crate::module::VersionId;

pub(crate) use assign::{first_version_for, is_unsettled, last_version_for, settled_version, version_for};
pub(crate) use health::{CallOrder, HealthMonitor};
pub use report::{AppReport, Counts, Outcome, PinOutcome, Refusal, VersionReport, VersionStatus};
pub(crate) use rollout::{announce, left_by_a_connection, take_back};
pub use stats::{CallsReport, Exported, Stats};
pub(crate) use table::{Change, Missing, Swap};
use table::{VersionState, VersionTable};
pub use version::Version;
pub(crate) mod description {
    //! Reports about an app and its versions.
    pub(crate) use super::describe::{app, change, name, no_change, pin};
}

/// All versions of an app that are loaded.
pub struct Versions {
    /// Counts the changes below, so that a connection sees with one load that it does not have to choose again.
    generation: AtomicU64,
    /// A sweep that wakes silent connections is already planned.
    sweep_is_due: AtomicBool,
    state: Mutex<VersionTable>,
}

impl Versions {
    /// The versions of an app that has just started.
    pub(crate) fn new(version: Arc<Version>) -> Self {
        // A connection begins with 0, because it has not chosen a version yet.
        Self {
            generation: AtomicU64::new(1),
            sweep_is_due: AtomicBool::new(false),
            state: Mutex::new(VersionTable::new(version)),
        }
    }

    /// Changes whenever a connection may have to move.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The version for all connections that no other version is for, and for the app's own timers.
    pub fn serving(&self) -> Arc<Version> {
        self.state.lock().serving()
    }

    /// The version for a connection. `on` is the version that served it last, if there is one.
    pub(crate) fn choose(&self, connection: u64, on: Option<&Arc<Version>>, setup: &Setup) -> Arc<Version> {
        self.state.lock().choose(connection, on, setup)
    }

    /// The version that the module's file contained when it was last read.
    pub(crate) fn file(&self) -> VersionId {
        Arc::clone(&self.state.lock().file)
    }

    /// The module's file was read and its version deployed.
    pub(crate) fn set_file(&self, id: &VersionId) {
        self.state.lock().file = Arc::clone(id);
    }

    /// All versions that may serve connections.
    pub(crate) fn in_use(&self) -> Vec<Arc<Version>> {
        let state = self.state.lock();
        let used = state.entries.iter().filter(|entry| {
            matches!(entry.state, VersionState::Serving | VersionState::Canary(_) | VersionState::Pinned { .. })
        });
        used.map(|entry| Arc::clone(&entry.version)).collect()
    }

    /// The versions that may serve connections after another version is deployed to all with `setup`: the versions that
    /// open connections stay with.
    pub(crate) fn in_use_after_deploy(&self, setup: &Setup) -> Vec<Arc<Version>> {
        let state = self.state.lock();
        let swap = state.swap(setup);
        let used = state.entries.iter().filter(|entry| match entry.state {
            VersionState::Serving | VersionState::Canary(_) => swap != Swap::Live,
            VersionState::Pinned { .. } => true,
            VersionState::Kept | VersionState::RolledBack { .. } => false,
        });
        used.map(|entry| Arc::clone(&entry.version)).collect()
    }

    /// The loaded version with that name, which does not have to be compiled again.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Version>> {
        self.state.lock().entries.iter().find(|entry| &*entry.version.id == id).map(|entry| Arc::clone(&entry.version))
    }

    /// Whether a version was rolled back, so that its connections have to leave it.
    pub(crate) fn is_rolled_back(&self, version: &Version) -> bool {
        let state = self.state.lock();
        state.entry(version).is_some_and(|entry| matches!(entry.state, VersionState::RolledBack { .. }))
    }

    /// Make a change that every connection sees, if it has an effect.
    pub(crate) fn change<T: IsChange>(&self, setup: &Setup, step: impl FnOnce(&mut VersionTable) -> T) -> T {
        let mut state = self.state.lock();
        let result = step(&mut state);
        let mut unloaded = Vec::new();
        if result.is_change() {
            unloaded = state.prune(setup);
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        drop(state);
        // Outside the lock, because unloading code takes time.
        drop(unloaded);
        result
    }

    /// What happens to open connections now.
    pub(crate) fn swap(&self, setup: &Setup) -> Swap {
        self.state.lock().swap(setup)
    }

    /// When the next pinned version is to be left. None if another task already waits for that time; otherwise the
    /// caller has to wait for it.
    pub(crate) fn take_next_release(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        let next = state.next_release()?;
        if state.awaited_release.is_some_and(|awaited| awaited <= next) {
            return None;
        }
        state.awaited_release = Some(next);
        Some(next)
    }

    /// Make connections leave the versions that they have been pinned to for long enough.
    pub(crate) fn release(&self, setup: &Setup, now: Instant) {
        self.change(setup, |state| {
            state.awaited_release = None;
            state.release_pinned(|until| until <= now)
        });
    }

    /// True for the first caller that requests a sweep. The sweep also covers all requests until it begins.
    pub(crate) fn ask_for_sweep(&self) -> bool {
        !self.sweep_is_due.swap(true, Ordering::AcqRel)
    }

    /// The sweep begins. A change from now on has to request another one.
    pub(crate) fn take_sweep(&self) {
        self.sweep_is_due.store(false, Ordering::Release);
    }

    /// Unload versions that have no work and are not kept.
    pub(crate) fn prune(&self, setup: &Setup) {
        let unloaded = self.state.lock().prune(setup);
        drop(unloaded);
    }

    /// The gate refused a version.
    pub(crate) fn note_refusal(&self, kind: &str, message: String) {
        let mut state = self.state.lock();
        *state.counts.refusals.entry(kind.to_owned()).or_default() += 1;
        let refusal = Refusal { age_seconds: 0, kind: kind.to_owned(), message };
        state.last_refusal = Some((Instant::now(), refusal));
    }

    /// Read or update the table under its lock.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut VersionTable) -> T) -> T {
        look(&mut self.state.lock())
    }
}

/// Whether a change had an effect.
pub(crate) trait IsChange {
    fn is_change(&self) -> bool;
}

impl<T> IsChange for Option<T> {
    fn is_change(&self) -> bool {
        self.is_some()
    }
}

impl<T, E> IsChange for Result<T, E> {
    fn is_change(&self) -> bool {
        self.is_ok()
    }
}
