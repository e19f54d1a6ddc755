//! The state that the listener and all handshakes share: the routing table, and whether the host still accepts
//! connections.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::addresses::Addresses;
use crate::api_counts::ApiCounts;
use crate::app::{App, HostContext};
use crate::config::{Config, HostLimits, MoreOrigins};
use crate::handshake_counts::HandshakeCounts;
use crate::notices::Notices;
use crate::request::{Routes, ServedHosts, TrustedProxies};

/// The state that the listener and all handshakes share.
pub struct HostState {
    routing: ArcSwap<RoutingTable>,
    /// The id of the next connection.
    pub next_id: Arc<AtomicU64>,
    /// The context that the apps share. Its tasks include those of all connections.
    pub context: HostContext,
    /// How many connections each address has.
    pub(crate) addresses: Arc<Addresses>,
    /// Cancelled when the host is to stop: it is not ready for clients any more.
    pub stopping: CancellationToken,
    /// Cancelled when the host stops accepting connections.
    pub draining: CancellationToken,
    /// Tells the listener that the routing table was replaced.
    pub changed: Notify,
    /// Counts requests to the API.
    pub(crate) api: ApiCounts,
    /// Counts the handshakes that reach no app.
    pub(crate) handshakes: HandshakeCounts,
    /// The data for the test page.
    pub(crate) notices: Notices,
}

impl HostState {
    /// The state of a host that accepts connections for the apps of `routing`.
    pub fn new(routing: RoutingTable, context: HostContext) -> Self {
        context.memory.set_limit(routing.limits.memory_budget.bytes(), routing.routes.apps().len());
        let first = || Arc::new(AtomicU64::new(1));
        let next_id = context.cluster.as_ref().map_or_else(first, |cluster| cluster.next_id());
        Self {
            routing: ArcSwap::from_pointee(routing),
            next_id,
            context,
            addresses: Arc::default(),
            stopping: CancellationToken::new(),
            draining: CancellationToken::new(),
            changed: Notify::new(),
            api: ApiCounts::default(),
            handshakes: HandshakeCounts::default(),
            notices: Notices::default(),
        }
    }

    /// The current routing table.
    pub fn routing(&self) -> Arc<RoutingTable> {
        self.routing.load_full()
    }

    /// Use another routing table from the next request on.
    pub fn set_routing(&self, routing: RoutingTable) {
        self.context.memory.set_limit(routing.limits.memory_budget.bytes(), routing.routes.apps().len());
        self.routing.store(Arc::new(routing));
        self.changed.notify_one();
    }
}

/// The routing table: where requests go. It is replaced as a whole when the config is read again.
pub struct RoutingTable {
    /// The app of each path.
    pub routes: Routes<Arc<App>>,
    /// The limits of the host.
    pub limits: HostLimits,
    /// The names under which clients reach the host.
    pub hosts: ServedHosts,
    /// The proxies whose word about clients counts.
    pub(crate) proxies: TrustedProxies,
    /// Origins that may connect to every app.
    pub more_origins: MoreOrigins,
    /// Whether the test page is served at `/`.
    pub test_page: bool,
    /// Whether the client library is served.
    pub client_library: bool,
    /// A folder whose files are served.
    pub(crate) public: Option<PathBuf>,
    /// Whether `/live` and `/ready` are answered.
    pub public_health: bool,
}

impl RoutingTable {
    /// The routing table for these running apps.
    pub fn new(config: &Config, apps: &BTreeMap<String, Arc<App>>) -> Self {
        let mut routes = Routes::default();
        for (name, app) in apps {
            if let Some(config) = config.apps.get(name) {
                routes.insert(name, config.path.iter(), Arc::clone(app));
            }
        }
        Self {
            routes,
            limits: config.limits.clone(),
            hosts: ServedHosts::new(config),
            proxies: TrustedProxies::new(config.trusted_proxies.clone(), config.forwarded_header),
            more_origins: config.overrides.more_origins,
            test_page: config.test_page,
            client_library: config.client_library,
            public: config.public_folder(),
            public_health: config.public_health,
        }
    }
}
