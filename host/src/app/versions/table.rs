//! Where each version of an app stands, and the steps from one such state to the next. Nothing here waits, locks
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
    /// In the order in which they were deployed. Exactly one serves, at most one is a canary.
    pub(super) entries: Vec<Entry>,
    /// What an operator wants instead of the config's `swap`.
    ordered: Option<Swap>,
    /// When somebody will release pinned connections.
    pub(super) awaited_release: Option<Instant>,
    /// What the module's file held when it was read last.
    pub(super) file: VersionId,
    pub(super) counts: Counts,
    pub(super) last_refusal: Option<(Instant, Refusal)>,
}

pub(crate) struct Entry {
    pub(super) version: Arc<Version>,
    pub(super) deployed: Instant,
    pub(super) state: VersionState,
    /// It was not only a canary: a rollback may lead back to it.
    has_served_all: bool,
}

/// What a version is there for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VersionState {
    /// For all connections that no other one is for.
    Serving,
    /// For a share of the connections.
    Canary(Share),
    /// For the connections that have it, until then.
    Pinned { until: Instant },
    /// For a rollback.
    Kept,
    /// It failed. For nothing but its place in the list.
    RolledBack { reason: String },
}

/// What a new version does with connections that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swap {
    Live,
    Pin(Duration),
}

/// There is none of what an order is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Canary,
    Previous,
}

/// What a change came to.
pub(crate) struct Change {
    /// What serves, or is the canary, now.
    pub(crate) version: Arc<Version>,
    /// What served before, or was taken back.
    pub(crate) previous: Option<Arc<Version>>,
}

impl VersionTable {
    /// One version that serves all.
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

    /// The version for all connections that no other one is for.
    pub(crate) fn serving(&self) -> Arc<Version> {
        let serving = self.entries.iter().find(|entry| entry.state == VersionState::Serving);
        match serving.or(self.entries.first()) {
            Some(entry) => Arc::clone(&entry.version),
            None => unreachable!("an app has a version from its first moment"),
        }
    }

    /// The version for a connection that `on` served last, if any did.
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

    /// Serve a version to all. None if it is what serves, and no canary is there to be ended.
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

    /// Serve a version to a share of the connections. None if it serves all already.
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

    /// Serve the canary to all.
    pub(crate) fn promote(&mut self, setup: &Setup, now: Instant) -> Result<Change, Missing> {
        let canary = self.canary().ok_or(Missing::Canary)?;
        let before = self.serving();
        self.replace_serving(setup, now);
        self.put(&canary, VersionState::Serving, now);
        canary.health.start(&setup.config.rollback, now);
        Ok(Change { version: canary, previous: Some(before) })
    }

    /// Take back the canary, or if there is none, what serves: the version before it takes over for all.
    pub(crate) fn roll_back(&mut self, reason: &str, setup: &Setup) -> Result<Change, Missing> {
        let sick = self.canary().unwrap_or_else(|| self.serving());
        let change = self.leave(&sick, reason, setup)?;
        self.counts.operator_rollbacks += 1;
        Ok(change)
    }

    /// The same for a version that fails too often. None if it does not serve, or there is none before it.
    pub(crate) fn take_back(&mut self, sick: &Arc<Version>, reason: &str, setup: &Setup) -> Option<Change> {
        let stands = self.entry(sick).map(|entry| &entry.state);
        if !matches!(stands, Some(VersionState::Serving | VersionState::Canary(_))) {
            return None;
        }
        let change = self.leave(sick, reason, setup).ok()?;
        self.counts.automatic_rollbacks += 1;
        Some(change)
    }

    /// What an operator wants to happen to open connections from now on.
    pub(crate) fn order(&mut self, swap: Swap) -> Option<()> {
        self.ordered = Some(swap);
        if swap == Swap::Live {
            self.release_pinned(|_| true);
        }
        // Also without a pinned version: beside a canary, connections were pinned to what serves.
        Some(())
    }

    /// What happens to open connections now.
    pub(crate) fn swap(&self, setup: &Setup) -> Swap {
        self.ordered.unwrap_or(match setup.config.swap {
            SwapPolicy::Live => Swap::Live,
            SwapPolicy::Pin => Swap::Pin(setup.config.pin_for.get()),
        })
    }

    /// Have connections leave the versions whose time is over. None if there was none.
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

    /// Take out what is neither kept nor has a connection. Calls that run keep their version themselves.
    pub(crate) fn prune(&mut self, setup: &Setup) -> Vec<Entry> {
        for entry in &mut self.entries {
            if matches!(entry.state, VersionState::Pinned { .. }) && entry.version.stats.connections() == 0 {
                entry.stop_serving(VersionState::Kept);
            }
        }
        // First what a rollback leads to: a few bad versions in a row must not push it out.
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

    /// Give a version a place at the end, whether it had one before or not.
    fn put(&mut self, version: &Arc<Version>, state: VersionState, now: Instant) {
        self.entries.retain(|entry| entry.version.id != version.id);
        version.enlist();
        let has_served_all = state == VersionState::Serving;
        self.entries.push(Entry { version: Arc::clone(version), deployed: now, state, has_served_all });
    }

    /// What serves gives way to another version.
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

    /// The version that served last before the one at `place`, has not failed itself, and still has its grants.
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
    /// Another version takes its place.
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
