//! The state that the listener and all handshakes share: the routing table, and whether the host still accepts
//! connections.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::{App, HostContext};
use crate::config::{Config, HostLimits, MoreOrigins};
use crate::notices::Notices;

/// The state that the listener and all handshakes share.
pub struct HostState {
    routing: ArcSwap<RoutingTable>,
    /// The id of the next connection.
    pub next_id: AtomicU64,
    /// The context that the apps share. Its tasks include those of all connections.
    pub context: HostContext,
    /// Cancelled when the host stops accepting connections.
    pub draining: CancellationToken,
    /// Tells the listener that the routing table was replaced.
    pub changed: Notify,
    /// The data for the test page.
    pub(crate) notices: Notices,
}

impl HostState {
    /// The state of a host that accepts connections for the apps of `routing`.
    pub fn new(routing: RoutingTable, context: HostContext) -> Self {
        context.memory.set_limit(routing.limits.memory_budget.bytes());
        Self {
            routing: ArcSwap::from_pointee(routing),
            next_id: AtomicU64::new(1),
            context,
            draining: CancellationToken::new(),
            changed: Notify::new(),
            notices: Notices::default(),
        }
    }

    /// The current routing table.
    pub fn routing(&self) -> Arc<RoutingTable> {
        self.routing.load_full()
    }

    /// Use another routing table from the next request on.
    pub fn set_routing(&self, routing: RoutingTable) {
        self.context.memory.set_limit(routing.limits.memory_budget.bytes());
        self.routing.store(Arc::new(routing));
        self.changed.notify_one();
    }
}

/// The routing table: where requests go. It is replaced as a whole when the config is read again.
pub struct RoutingTable {
    /// The app of each path.
    pub routes: Routes,
    /// The limits of the host.
    pub limits: HostLimits,
    /// The names under which clients reach the host.
    pub hosts: ServedHosts,
    /// Origins that may connect to every app.
    pub more_origins: MoreOrigins,
    /// Whether the test page is served at `/`.
    pub test_page: bool,
}

impl RoutingTable {
    /// The routing table for these running apps.
    pub fn new(config: &Config, apps: &BTreeMap<String, Arc<App>>) -> Self {
        let mut routes = Routes::default();
        for (name, app) in apps {
            if let Some(config) = config.apps.get(name) {
                routes.insert(&config.path, Arc::clone(app));
            }
        }
        Self {
            routes,
            limits: config.limits.clone(),
            hosts: ServedHosts::new(config),
            more_origins: config.overrides.more_origins,
            test_page: config.test_page,
        }
    }
}

/// The names under which clients reach the host: requests for others are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServedHosts {
    /// Any.
    Any,
    /// These, in lower case.
    Only(Vec<String>),
    /// These, addresses and `localhost`. A website cannot let the latter refer to the host.
    WithoutDomainOr(Vec<String>),
}

impl ServedHosts {
    fn new(config: &Config) -> Self {
        let names = config.hosts.as_ref().map(|hosts| hosts.iter().map(|host| host.to_ascii_lowercase()).collect());
        match (names, config.overrides.more_origins) {
            (names, MoreOrigins::Loopback) => Self::WithoutDomainOr(names.unwrap_or_default()),
            (Some(names), MoreOrigins::None) => Self::Only(names),
            (None, MoreOrigins::None) => Self::Any,
        }
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
    /// Route a path of the config (`/chat` or `/chat/*`) to an app.
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

    /// The app for the path of a request. An exact path takes precedence over one with `/*`, and a longer path over a
    /// shorter one.
    pub fn find(&self, path: &str) -> Option<&Arc<App>> {
        let below = || self.below.iter().find(|(prefix, _)| path.starts_with(prefix));
        self.exact.get(path).or_else(|| below().map(|(_, app)| app))
    }

    /// The name and path of each app.
    pub fn all(&self) -> &BTreeMap<String, String> {
        &self.all
    }

    /// All apps.
    pub fn apps(&self) -> impl Iterator<Item = &Arc<App>> {
        self.exact.values().chain(self.below.iter().map(|(_, app)| app))
    }
}
