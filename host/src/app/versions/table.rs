//! The state of each version of an app, and the changes from one set of states to the next. Nothing here waits, locks
//! or logs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::report::{Counts, Refusal};
use super::version::Version;
use crate::app::Setup;
use crate::config::{Share, SwapPolicy};
use crate::module::VersionId;

/// The versions of an app that are loaded.
pub(crate) struct VersionTable {
    /// In the order of their deploys. Exactly one version serves, and at most one is a canary.
    pub(super) entries: Vec<Entry>,
    /// The operator's choice, which takes precedence over `swap` in the config.
    ordered: Option<Swap>,
    /// The time at which a task will release pinned connections.
    pub(super) awaited_release: Option<Instant>,
    /// The version that the module's file contained when it was last read.
    pub(super) file: VersionId,
    pub(super) counts: Counts,
    pub(super) last_refusal: Option<(Instant, Refusal)>,
}

pub(crate) struct Entry {
    pub(super) version: Arc<Version>,
    pub(super) deployed: Instant,
    pub(super) state: VersionState,
    /// The version was not only a canary, so it can be a rollback target.
    has_served_all: bool,
}

/// The purpose of a loaded version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VersionState {
    /// Serves all connections that no other version is for.
    Serving,
    /// Serves a share of the connections.
    Canary(Share),
    /// Serves the connections that it already has, until this time.
    Pinned { until: Instant },
    /// Can be a rollback target.
    Kept,
    /// Failed. It is only kept in the list.
    RolledBack { reason: String },
}

/// What a new version does with open connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swap {
    Live,
    Pin(Duration),
}

/// The version that a command is about does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Canary,
    Previous,
}

/// The result of a change.
pub(crate) struct Change {
    /// The version that serves, or the canary, after the change.
    pub(crate) version: Arc<Version>,
    /// The version that served before, or that was rolled back.
    pub(crate) previous: Option<Arc<Version>>,
}

impl VersionTable {
    /// A table with one version that serves all connections.
    pub(crate) fn new(version: Arc<Version>) -> Self {
        let file = Arc::clone(&version.id);
        let entry = Entry { version, deployed: Instant::now(), state: VersionState::Serving, has_served_all: true };
        Self {
            entries: vec![entry],
            ordered: None,
            awaited_release: None,
            file,
            counts: Counts::default(),
            last_refusal: None,
        }
    }

    /// The version for all connections that no other version is for.
    pub(crate) fn serving(&self) -> Arc<Version> {
        let serving = self.entries.iter().find(|entry| entry.state == VersionState::Serving);
        match serving.or(self.entries.first()) {
            Some(entry) => Arc::clone(&entry.version),
            None => unreachable!("an app has a version from its first moment"),
        }
    }

    /// The version for a connection. `on` is the version that served it last, if there is one.
    pub(crate) fn choose(&self, connection: u64, on: Option<&Arc<Version>>, setup: &Setup) -> Arc<Version> {
        if let Some(on) = on.and_then(|on| self.entry(on)) {
            let is_pinned = match on.state {
                VersionState::Pinned { .. } => true,
                VersionState::Serving | VersionState::Canary(_) => self.swap(setup) != Swap::Live,
                VersionState::Kept | VersionState::RolledBack { .. } => false,
            };
            if is_pinned {
                return Arc::clone(&on.version);
            }
        }
        let chosen = self.entries.iter().find(|entry| match entry.state {
            VersionState::Canary(share) => share.includes(connection),
            _ => false,
        });
        chosen.map_or_else(|| self.serving(), |entry| Arc::clone(&entry.version))
    }

    /// Serve a version to all connections. None if it already serves all of them without a canary to end.
    pub(crate) fn deploy(&mut self, version: &Arc<Version>, setup: &Setup, now: Instant) -> Option<Change> {
        let before = self.serving();
        let is_new = before.id != version.id;
        if !is_new && self.canary().is_none() {
            return None;
        }
        self.end_canary(setup, now);
        if is_new {
            self.replace_serving(setup, now);
            version.health.start(&setup.config.rollback, now);
        }
        self.put(version, VersionState::Serving, now);
        self.counts.deploys += 1;
        Some(Change { version: Arc::clone(version), previous: Some(before).filter(|_| is_new) })
    }

    /// Serve a version to a share of the connections. None if it already serves all of them.
    pub(crate) fn try_out(
        &mut self,
        version: &Arc<Version>,
        share: Share,
        setup: &Setup,
        now: Instant,
    ) -> Option<Change> {
        let serving = self.serving();
        if serving.id == version.id {
            return None;
        }
        if self.canary().is_none_or(|canary| canary.id != version.id) {
            self.end_canary(setup, now);
            version.health.start(&setup.config.rollback, now);
            self.counts.deploys += 1;
        }
        self.put(version, VersionState::Canary(share), now);
        Some(Change { version: Arc::clone(version), previous: Some(serving) })
    }

    /// Serve the canary to all connections.
    pub(crate) fn promote(&mut self, setup: &Setup, now: Instant) -> Result<Change, Missing> {
        let canary = self.canary().ok_or(Missing::Canary)?;
        let before = self.serving();
        self.replace_serving(setup, now);
        self.put(&canary, VersionState::Serving, now);
        canary.health.start(&setup.config.rollback, now);
        Ok(Change { version: canary, previous: Some(before) })
    }

    /// Roll back the canary, or the serving version if there is no canary: the version before it takes over.
    pub(crate) fn roll_back(&mut self, reason: &str, setup: &Setup) -> Result<Change, Missing> {
        let sick = self.canary().unwrap_or_else(|| self.serving());
        let change = self.leave(&sick, reason, setup)?;
        self.counts.operator_rollbacks += 1;
        Ok(change)
    }

    /// Roll back a version that fails too often. None if it does not serve, or has no rollback target.
    pub(crate) fn take_back(&mut self, sick: &Arc<Version>, reason: &str, setup: &Setup) -> Option<Change> {
        let stands = self.entry(sick).map(|entry| &entry.state);
        if !matches!(stands, Some(VersionState::Serving | VersionState::Canary(_))) {
            return None;
        }
        let change = self.leave(sick, reason, setup).ok()?;
        self.counts.automatic_rollbacks += 1;
        Some(change)
    }

    /// Set what happens to open connections from now on, as the operator chose.
    pub(crate) fn order(&mut self, swap: Swap) -> Option<()> {
        self.ordered = Some(swap);
        if swap == Swap::Live {
            self.release_pinned(|_| true);
        }
        // This is needed even without a pinned version: beside a canary, connections were pinned to the serving
        // version.
        Some(())
    }

    /// What happens to open connections now.
    pub(crate) fn swap(&self, setup: &Setup) -> Swap {
        self.ordered.unwrap_or(match setup.config.swap {
            SwapPolicy::Live => Swap::Live,
            SwapPolicy::Pin => Swap::Pin(setup.config.pin_for.get()),
        })
    }

    /// Make connections leave the pinned versions for which the time is over. None if there is no such version.
    pub(crate) fn release_pinned(&mut self, is_over: impl Fn(Instant) -> bool) -> Option<()> {
        let mut released = None;
        for entry in &mut self.entries {
            if matches!(entry.state, VersionState::Pinned { until } if is_over(until)) {
                entry.stop_serving(VersionState::Kept);
                released = Some(());
            }
        }
        released
    }

    /// When the next pinned version is to be left, if there is one.
    pub(crate) fn next_release(&self) -> Option<Instant> {
        let times = self.entries.iter().filter_map(|entry| match entry.state {
            VersionState::Pinned { until } => Some(until),
            _ => None,
        });
        times.min()
    }

    /// Remove the versions that are neither kept nor have connections. Running calls keep their version alive
    /// themselves.
    pub(crate) fn prune(&mut self, setup: &Setup) -> Vec<Entry> {
        for entry in &mut self.entries {
            if matches!(entry.state, VersionState::Pinned { .. }) && entry.version.stats.connections() == 0 {
                entry.stop_serving(VersionState::Kept);
            }
        }
        // Rollback targets are kept first, so that several bad versions in a row do not displace them.
        let rollback_target = self.place(&self.serving()).and_then(|place| self.rollback_target(place, setup));
        let others = (0..self.entries.len()).rev().filter(|place| Some(*place) != rollback_target);
        let (mut kept, mut out) = (0, BTreeSet::new());
        for place in rollback_target.into_iter().chain(others) {
            let Some(entry) = self.entries.get(place) else { continue };
            let is_over = matches!(entry.state, VersionState::Kept | VersionState::RolledBack { .. });
            kept += usize::from(is_over);
            if is_over && kept > setup.config.keep_versions && entry.version.stats.connections() == 0 {
                out.insert(place);
            }
        }
        let mut places = 0..;
        self.entries.extract_if(.., |_| places.next().is_some_and(|place| out.contains(&place))).collect()
    }

    pub(crate) fn entry(&self, version: &Version) -> Option<&Entry> {
        self.entries.get(self.place(version)?)
    }

    fn canary(&self) -> Option<Arc<Version>> {
        let canary = self.entries.iter().find(|entry| matches!(entry.state, VersionState::Canary(_)));
        canary.map(|entry| Arc::clone(&entry.version))
    }

    fn place(&self, version: &Version) -> Option<usize> {
        self.entries.iter().position(|entry| entry.version.id == version.id)
    }

    /// Add a version at the end of the list, and remove its previous entry if there is one.
    fn put(&mut self, version: &Arc<Version>, state: VersionState, now: Instant) {
        self.entries.retain(|entry| entry.version.id != version.id);
        version.enlist();
        let has_served_all = state == VersionState::Serving;
        self.entries.push(Entry { version: Arc::clone(version), deployed: now, state, has_served_all });
    }

    /// Another version supersedes the serving one.
    fn replace_serving(&mut self, setup: &Setup, now: Instant) {
        let swap = self.swap(setup);
        for entry in self.entries.iter_mut().filter(|entry| entry.state == VersionState::Serving) {
            entry.supersede(swap, now);
        }
        let pinned = self.entries.iter_mut().filter(|entry| matches!(entry.state, VersionState::Pinned { .. }));
        for entry in pinned.rev().skip(setup.config.pinned_versions) {
            entry.stop_serving(VersionState::Kept);
        }
    }

    fn end_canary(&mut self, setup: &Setup, now: Instant) {
        let swap = self.swap(setup);
        for entry in self.entries.iter_mut().filter(|entry| matches!(entry.state, VersionState::Canary(_))) {
            entry.supersede(swap, now);
        }
    }

    /// The version that served last before the version at `place`, has not failed, and still has its grants.
    fn rollback_target(&self, place: usize, setup: &Setup) -> Option<usize> {
        let is_sound = |entry: &Entry| {
            entry.has_served_all
                && matches!(entry.state, VersionState::Kept | VersionState::Pinned { .. })
                && entry.version.has_grants(&setup.config.databases)
        };
        (0..place).rev().find(|place| self.entries.get(*place).is_some_and(is_sound))
    }

    fn leave(&mut self, sick: &Arc<Version>, reason: &str, setup: &Setup) -> Result<Change, Missing> {
        let place = self.place(sick).ok_or(Missing::Previous)?;
        let is_canary = self.entries.get(place).is_some_and(|entry| matches!(entry.state, VersionState::Canary(_)));
        if !is_canary {
            let rollback_target = self.rollback_target(place, setup).and_then(|place| self.entries.get_mut(place));
            let previous = rollback_target.ok_or(Missing::Previous)?;
            previous.version.enlist();
            previous.state = VersionState::Serving;
        }
        if let Some(entry) = self.entries.get_mut(place) {
            entry.stop_serving(VersionState::RolledBack { reason: reason.to_owned() });
        }
        Ok(Change { version: self.serving(), previous: Some(Arc::clone(sick)) })
    }
}

impl Entry {
    /// Another version replaces this one.
    fn supersede(&mut self, swap: Swap, now: Instant) {
        match swap {
            Swap::Pin(time) if self.version.stats.connections() > 0 => {
                self.version.health.stop();
                self.state = VersionState::Pinned { until: now + time };
            }
            Swap::Pin(_) | Swap::Live => self.stop_serving(VersionState::Kept),
        }
    }

    fn stop_serving(&mut self, state: VersionState) {
        self.version.health.stop();
        self.version.retire();
        self.state = state;
    }
}
