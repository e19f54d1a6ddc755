//! The versions of an app and where each stands. One serves; beside it there may be a canary, versions that
//! open connections are pinned to, and versions that are kept for a rollback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::report::{Counts, Refusal};
use crate::app::Setup;
use crate::config::{Share, SwapPolicy};
use crate::module::{Version, VersionId};

/// All versions of an app that are loaded.
pub struct Versions {
    /// Counts the changes below, so that a connection sees with one load that it need not ask again.
    generation: AtomicU64,
    state: Mutex<State>,
}

pub(super) struct State {
    /// In the order in which they were deployed. Exactly one serves, at most one is a canary.
    pub(super) entries: Vec<Entry>,
    /// What an operator wants instead of the config's `swap`.
    ordered: Option<Swap>,
    /// What the module's file held when it was read last.
    pub(super) file: VersionId,
    pub(super) counts: Counts,
    pub(super) last_refusal: Option<(Instant, Refusal)>,
}

pub(super) struct Entry {
    pub(super) version: Arc<Version>,
    pub(super) deployed: Instant,
    pub(super) standing: Standing,
}

/// What a version is there for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
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
pub(super) enum Swap {
    Live,
    Pin(Duration),
}

/// There is none of what an order is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Canary,
    Previous,
}

/// What a change came to.
pub(super) struct Change {
    /// What serves, or is the canary, now.
    pub(super) version: Arc<Version>,
    /// What served before, or was taken back.
    pub(super) previous: Option<Arc<Version>>,
}

impl Versions {
    /// The versions of an app that has just started.
    pub(crate) fn new(version: Arc<Version>) -> Self {
        let file = Arc::clone(&version.id);
        let entry = Entry { version, deployed: Instant::now(), standing: Standing::Serving };
        let state = State { entries: vec![entry], ordered: None, file, counts: Counts::default(), last_refusal: None };
        // 0 is what a connection begins with, which has asked for nothing yet.
        Self { generation: AtomicU64::new(1), state: Mutex::new(state) }
    }

    /// Changes whenever a connection may have to move.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The version for all connections that no other one is for, and for the app's own timers.
    pub fn serving(&self) -> Arc<Version> {
        self.state.lock().serving()
    }

    /// The version for a connection that `on` served last, if any did.
    pub(super) fn choose(&self, connection: u64, on: Option<&Arc<Version>>, setup: &Setup) -> Arc<Version> {
        self.state.lock().choose(connection, on, setup)
    }

    /// What the module's file held when it was read last.
    pub(super) fn file(&self) -> VersionId {
        Arc::clone(&self.state.lock().file)
    }

    /// The module's file was read and deployed.
    pub(super) fn set_file(&self, id: &VersionId) {
        self.state.lock().file = Arc::clone(id);
    }

    /// All versions that connections may have.
    pub(super) fn in_use(&self) -> Vec<Arc<Version>> {
        let state = self.state.lock();
        let used = state.entries.iter().filter(|entry| {
            matches!(entry.standing, Standing::Serving | Standing::Canary(_) | Standing::Pinned { .. })
        });
        used.map(|entry| Arc::clone(&entry.version)).collect()
    }

    /// The loaded version of that name: it need not be compiled again.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Version>> {
        self.state.lock().entries.iter().find(|entry| &*entry.version.id == id).map(|entry| Arc::clone(&entry.version))
    }

    /// Whether a version was taken back, so that its connections have to leave it.
    pub(super) fn is_rolled_back(&self, version: &Version) -> bool {
        let state = self.state.lock();
        let place = state.place(version);
        place
            .and_then(|place| state.entries.get(place))
            .is_some_and(|entry| matches!(entry.standing, Standing::RolledBack { .. }))
    }

    /// Serve a version to all. None if it is what serves, and nothing else is there to be ended.
    pub(super) fn deploy(&self, version: &Arc<Version>, setup: &Setup, now: Instant) -> Option<Change> {
        self.change(setup, |state| {
            let before = state.serving();
            if before.id == version.id && !state.has_canary() {
                return None;
            }
            state.end_canary(setup, now);
            if before.id != version.id {
                state.replace_serving(setup, now);
            }
            state.put(version, Standing::Serving, now);
            state.counts.deploys += 1;
            version.watch.start(&setup.rollback, now);
            Some(Change {
                version: Arc::clone(version),
                previous: Some(before).filter(|before| before.id != version.id),
            })
        })
    }

    /// Serve a version to a share of the connections. None if it serves all already.
    pub(super) fn try_out(&self, version: &Arc<Version>, share: Share, setup: &Setup, now: Instant) -> Option<Change> {
        self.change(setup, |state| {
            let serving = state.serving();
            if serving.id == version.id {
                return None;
            }
            if state.canary().is_none_or(|canary| canary.id != version.id) {
                state.end_canary(setup, now);
                version.watch.start(&setup.rollback, now);
                state.counts.deploys += 1;
            }
            state.put(version, Standing::Canary(share), now);
            Some(Change { version: Arc::clone(version), previous: Some(serving) })
        })
    }

    /// Serve the canary to all.
    pub(super) fn promote(&self, setup: &Setup, now: Instant) -> Result<Change, Missing> {
        self.change(setup, |state| {
            let canary = state.canary().ok_or(Missing::Canary)?;
            let before = state.serving();
            state.replace_serving(setup, now);
            state.put(&canary, Standing::Serving, now);
            canary.watch.start(&setup.rollback, now);
            Ok(Change { version: canary, previous: Some(before) })
        })
    }

    /// Take back the canary, or if there is none, what serves: the version before it takes over for all.
    pub(super) fn roll_back(&self, reason: &str, setup: &Setup) -> Result<Change, Missing> {
        self.change(setup, |state| {
            let sick = state.canary().unwrap_or_else(|| state.serving());
            let change = state.roll_back(&sick, reason)?;
            state.counts.operator_rollbacks += 1;
            Ok(change)
        })
    }

    /// The same for a version that fails too often; none if it does not serve, or there is none before it.
    pub(super) fn take_back(&self, sick: &Arc<Version>, reason: &str, setup: &Setup) -> Option<Change> {
        self.change(setup, |state| {
            let stands = state.place(sick).and_then(|place| state.entries.get(place)).map(|entry| &entry.standing);
            if !matches!(stands, Some(Standing::Serving | Standing::Canary(_))) {
                return None;
            }
            let change = state.roll_back(sick, reason).ok()?;
            state.counts.automatic_rollbacks += 1;
            Some(change)
        })
    }

    /// What an operator wants to happen to open connections from now on.
    pub(super) fn order(&self, swap: Swap, setup: &Setup) {
        self.change(setup, |state| {
            state.ordered = Some(swap);
            if swap == Swap::Live {
                state.release_pinned(|_| true);
            }
            Some(())
        });
    }

    /// What happens to open connections now.
    pub(super) fn swap(&self, setup: &Setup) -> Swap {
        self.state.lock().swap(setup)
    }

    /// When the next pinned version is to be left, if there is one.
    pub(super) fn next_release(&self) -> Option<Instant> {
        let state = self.state.lock();
        let times = state.entries.iter().filter_map(|entry| match entry.standing {
            Standing::Pinned { until } => Some(until),
            _ => None,
        });
        times.min()
    }

    /// Have connections leave the versions that they were pinned to for long enough.
    pub(super) fn release(&self, setup: &Setup, now: Instant) {
        self.change(setup, |state| state.release_pinned(|until| until <= now).then_some(()));
    }

    /// Unload versions that have nothing to do and are not kept.
    pub(crate) fn tidy(&self, setup: &Setup) {
        let unloaded = self.state.lock().tidy(setup);
        drop(unloaded);
    }

    /// A version did not get through the gate.
    pub(super) fn note_refusal(&self, kind: &str, message: String) {
        let mut state = self.state.lock();
        *state.counts.refusals.entry(kind.to_owned()).or_default() += 1;
        let refusal = Refusal { age_seconds: 0, kind: kind.to_owned(), message };
        state.last_refusal = Some((Instant::now(), refusal));
    }

    /// Look at, or note something in, the state.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// A step that every connection sees, if it comes to something.
    fn change<T: IsChange>(&self, setup: &Setup, step: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = step(&mut state);
        let mut unloaded = Vec::new();
        if result.is_change() {
            unloaded = state.tidy(setup);
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        drop(state);
        // Outside the lock: to unload code takes a while.
        drop(unloaded);
        result
    }
}

trait IsChange {
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

impl State {
    fn serving(&self) -> Arc<Version> {
        let serving = self.entries.iter().find(|entry| entry.standing == Standing::Serving);
        match serving.or(self.entries.first()) {
            Some(entry) => Arc::clone(&entry.version),
            None => unreachable!("an app has a version from its first moment"),
        }
    }

    pub(super) fn canary(&self) -> Option<Arc<Version>> {
        let canary = self.entries.iter().find(|entry| matches!(entry.standing, Standing::Canary(_)));
        canary.map(|entry| Arc::clone(&entry.version))
    }

    fn has_canary(&self) -> bool {
        self.canary().is_some()
    }

    fn place(&self, version: &Version) -> Option<usize> {
        self.entries.iter().position(|entry| entry.version.id == version.id)
    }

    fn swap(&self, setup: &Setup) -> Swap {
        self.ordered.unwrap_or(match setup.swap {
            SwapPolicy::Live => Swap::Live,
            SwapPolicy::Pin => Swap::Pin(setup.pin_for.get()),
        })
    }

    fn choose(&self, connection: u64, on: Option<&Arc<Version>>, setup: &Setup) -> Arc<Version> {
        let on = on.and_then(|on| self.entries.get(self.place(on)?));
        if let Some(on) = on {
            let is_pinned = match on.standing {
                Standing::Pinned { .. } => true,
                Standing::Serving | Standing::Canary(_) => self.swap(setup) != Swap::Live,
                Standing::Kept | Standing::RolledBack { .. } => false,
            };
            if is_pinned {
                return Arc::clone(&on.version);
            }
        }
        let chosen = self.entries.iter().find(|entry| match entry.standing {
            Standing::Canary(share) => share.includes(connection),
            _ => false,
        });
        chosen.map_or_else(|| self.serving(), |entry| Arc::clone(&entry.version))
    }

    /// Give a version a place at the end, whether it had one before or not.
    fn put(&mut self, version: &Arc<Version>, standing: Standing, now: Instant) {
        self.entries.retain(|entry| entry.version.id != version.id);
        version.enlist();
        self.entries.push(Entry { version: Arc::clone(version), deployed: now, standing });
    }

    /// What serves gives way to another version.
    fn replace_serving(&mut self, setup: &Setup, now: Instant) {
        let swap = self.swap(setup);
        for entry in self.entries.iter_mut().filter(|entry| entry.standing == Standing::Serving) {
            entry.give_way(swap, now);
        }
    }

    fn end_canary(&mut self, setup: &Setup, now: Instant) {
        let swap = self.swap(setup);
        for entry in self.entries.iter_mut().filter(|entry| matches!(entry.standing, Standing::Canary(_))) {
            entry.give_way(swap, now);
        }
    }

    fn release_pinned(&mut self, is_over: impl Fn(Instant) -> bool) -> bool {
        let mut released = false;
        for entry in &mut self.entries {
            if matches!(entry.standing, Standing::Pinned { until } if is_over(until)) {
                entry.stop_serving(Standing::Kept);
                released = true;
            }
        }
        released
    }

    fn roll_back(&mut self, sick: &Arc<Version>, reason: &str) -> Result<Change, Missing> {
        let place = self.place(sick).ok_or(Missing::Previous)?;
        let is_canary = self.entries.get(place).is_some_and(|entry| matches!(entry.standing, Standing::Canary(_)));
        if !is_canary {
            // The one that was deployed last before it, and has not failed itself.
            let before = self.entries.iter_mut().take(place).rev();
            let mut healthy = before.filter(|entry| matches!(entry.standing, Standing::Kept | Standing::Pinned { .. }));
            let previous = healthy.next().ok_or(Missing::Previous)?;
            previous.version.enlist();
            previous.standing = Standing::Serving;
        }
        if let Some(entry) = self.entries.get_mut(place) {
            entry.stop_serving(Standing::RolledBack { reason: reason.to_owned() });
        }
        Ok(Change { version: self.serving(), previous: Some(Arc::clone(sick)) })
    }

    /// Take out what is neither kept nor has a connection. Calls that run keep their version themselves.
    fn tidy(&mut self, setup: &Setup) -> Vec<Entry> {
        let mut kept = 0;
        let mut is_out = Vec::new();
        for entry in self.entries.iter().rev() {
            let is_over = matches!(entry.standing, Standing::Kept | Standing::RolledBack { .. });
            kept += usize::from(is_over);
            is_out.push(is_over && kept > setup.keep_versions && entry.version.stats.connections() == 0);
        }
        let mut out = is_out.into_iter().rev();
        self.entries.extract_if(.., |_| out.next().unwrap_or(false)).collect()
    }
}

impl Entry {
    /// Another version takes its place.
    fn give_way(&mut self, swap: Swap, now: Instant) {
        match swap {
            Swap::Pin(time) if self.version.stats.connections() > 0 => {
                self.version.watch.stop();
                self.standing = Standing::Pinned { until: now + time };
            }
            Swap::Pin(_) | Swap::Live => self.stop_serving(Standing::Kept),
        }
    }

    fn stop_serving(&mut self, standing: Standing) {
        self.version.watch.stop();
        self.version.retire();
        self.standing = standing;
    }
}
