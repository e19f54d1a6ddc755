//! What the listener and all handshakes share: which path belongs to which app, and whether the host still takes connections.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::{App, HostContext};
use crate::config::{Config, HostLimits};
use crate::notices::Notices;

/// What the listener and all handshakes share.
pub struct HostState {
    routing: ArcSwap<RoutingTable>,
    /// The id of the next connection.
    pub next_id: AtomicU64,
    /// What the apps share; its tasks are those of all connections.
    pub context: HostContext,
    /// Cancelled when the host takes no more connections.
    pub draining: CancellationToken,
    /// Notified when the routing table was replaced, for the listener.
    pub changed: Notify,
    /// What the test page is told.
    pub(crate) notices: Notices,
}

impl HostState {
    /// The state of a host that takes connections for the apps of `routing`.
    pub fn new(routing: RoutingTable, context: HostContext) -> Self {
        Self {
            routing: ArcSwap::from_pointee(routing),
            next_id: AtomicU64::new(1),
            context,
            draining: CancellationToken::new(),
            changed: Notify::new(),
            notices: Notices::default(),
        }
    }

    /// Which path belongs to which app now.
    pub fn routing(&self) -> Arc<RoutingTable> {
        self.routing.load_full()
    }

    /// Use another table from the next request on.
    pub fn set_routing(&self, routing: RoutingTable) {
        self.routing.store(Arc::new(routing));
        self.changed.notify_one();
    }
}

/// Where requests go: replaced as a whole when the config is read again.
pub struct RoutingTable {
    /// Which path leads to which app.
    pub routes: Routes,
    /// Bounds of the host.
    pub limits: HostLimits,
    /// Whether the test page is served at `/`.
    pub test_page: bool,
}

impl RoutingTable {
    /// The routing of some running apps.
    pub fn new(config: &Config, apps: &BTreeMap<String, Arc<App>>) -> Self {
        let mut routes = Routes::default();
        for (name, app) in apps {
            if let Some(config) = config.apps.get(name) {
                routes.insert(&config.path, Arc::clone(app));
            }
        }
        Self { routes, limits: config.limits.clone(), test_page: config.test_page }
    }
}

/// The paths of all apps.
#[derive(Default)]
pub struct Routes {
    exact: HashMap<String, Arc<App>>,
    /// Prefixes that end in `/`, the longest first.
    below: Vec<(String, Arc<App>)>,
    all: BTreeMap<String, String>,
}

impl Routes {
    /// Lead a path of the config (`/chat` or `/chat/*`) to an app.
    pub fn insert(&mut self, path: &str, app: Arc<App>) {
        self.all.insert(app.name.to_string(), path.to_owned());
        match path.strip_suffix('*') {
            Some(prefix) => {
                self.below.push((prefix.to_owned(), app));
                self.below.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
            }
            None => drop(self.exact.insert(path.to_owned(), app)),
        }
    }

    /// The app for the path of a request: an exact one before one with `/*`, a longer one before a shorter.
    pub fn find(&self, path: &str) -> Option<&Arc<App>> {
        let below = || self.below.iter().find(|(prefix, _)| path.starts_with(prefix));
        self.exact.get(path).or_else(|| below().map(|(_, app)| app))
    }

    /// Each app's name and path.
    pub fn all(&self) -> &BTreeMap<String, String> {
        &self.all
    }

    /// Every app.
    pub fn apps(&self) -> impl Iterator<Item = &Arc<App>> {
        self.exact.values().chain(self.below.iter().map(|(_, app)| app))
    }
}
