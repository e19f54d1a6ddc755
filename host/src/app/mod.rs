//! An app: a module with its grants and limits, and the state that outlives any instance of it
//! (invariant 3): connections, topics and timers.

mod connections;
mod timers;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::task::TaskTracker;

pub use connections::Connections;
pub use timers::{Owner, TimerError, Timers};
pub use topics::{TopicError, Topics};

use crate::config::{AppConfig, AppLimits, Duration};
use crate::database::Handle;
use crate::module::{TICK, Version, VersionId};
use crate::session::Connection;

/// A named entry of the config, running.
pub struct App {
    /// Its name in the config.
    pub name: Arc<str>,
    /// Its bounds.
    pub limits: AppLimits,
    /// The origins from which browsers may connect; none: the host that the page came from.
    pub origins: Option<Vec<String>>,
    /// The close code for an error that the module returned.
    pub error_close_code: u16,
    /// What the module reads through `wasi:config`.
    pub settings: BTreeMap<String, String>,
    /// The databases that it may use.
    pub grants: BTreeMap<String, Handle>,
    /// The databases that there are, granted or not: to tell a missing grant from a wrong name.
    pub databases: BTreeSet<String>,
    /// Its open connections.
    pub connections: Connections,
    /// Its topics.
    pub topics: Topics,
    /// Its timers.
    pub timers: Timers,
    /// The host's tasks: what is spawned here is waited for when the host drains.
    pub tasks: TaskTracker,
    /// `cpu_time` in ticks, so that a call need not divide.
    pub max_ticks: u32,
    version: ArcSwap<Version>,
}

impl App {
    /// An app that serves `version`.
    pub fn new(
        name: &str,
        config: &AppConfig,
        grants: BTreeMap<String, Handle>,
        databases: BTreeSet<String>,
        version: Version,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let settings = config.settings.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
        let app = Arc::new(Self {
            name: name.into(),
            limits: config.limits.clone(),
            origins: config.origins.clone(),
            error_close_code: config.error_close_code.unwrap_or(1011),
            settings,
            grants,
            databases,
            connections: Connections::default(),
            topics: Topics::new(config.limits.topics_per_connection),
            timers: Timers::default(),
            tasks,
            max_ticks: ticks(config.limits.cpu_time),
            version: ArcSwap::from_pointee(version),
        });
        app.timers.start(&app);
        app
    }

    /// The version that serves the next call. Calls that run finish in the version they began in.
    pub fn version(&self) -> Arc<Version> {
        self.version.load_full()
    }

    /// Serve another version from the next call on. Connections, topics and timers stay.
    pub fn swap(&self, version: Version) -> VersionId {
        let id = Arc::clone(&version.id);
        self.version.store(Arc::new(version));
        id
    }

    /// Forget a connection: its topics, its timers, its id.
    pub fn forget(&self, connection: &Connection) {
        connection.outbox.shut();
        self.connections.remove(connection.id);
        self.topics.unsubscribe_all(connection);
        self.timers.cancel_all(connection.id);
    }
}

fn ticks(cpu_time: Duration) -> u32 {
    u32::try_from(cpu_time.get().as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX)
}
