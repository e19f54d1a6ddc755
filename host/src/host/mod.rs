//! The host as a whole: started from a config, drained through a handle.

mod entrances;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub(crate) use entrances::certificates;
pub use entrances::{Entrances, Listening};

use crate::admin::{Admin, AdminError};
use crate::api::{ApiStartError, RunningApi};
use crate::app::{HostContext, Observer};
use crate::cluster::{Cluster, ClusterError};
use crate::config::{Config, ListenAddress, Problems};
use crate::deploy::{self, Control, ModuleWatcher, Prepared};
use crate::eviction::evict_when_short;
use crate::host_state::{HostState, RoutingTable};
use crate::listen::listen;
use crate::shutdown;
use crate::socket::ListenError;
use crate::tls::{CertificateError, Certificates};
use crate::traces::{Traces, TracesError};

/// How long a host that stops waits for NATS to store what was published.
const FLUSH: Duration = Duration::from_secs(2);

/// Why the host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The config is fine in itself, but what it refers to is not.
    #[error("{0}")]
    Problems(#[from] Problems),
    /// An address cannot be listened on.
    #[error("{error}; change `{key}`")]
    Listen {
        /// The key of the address.
        key: String,
        /// What is wrong.
        error: ListenError,
    },
    /// The module files cannot be watched.
    #[error("{0}")]
    Watch(#[from] io::Error),
    /// The host cannot join its cluster.
    #[error("{0}")]
    Cluster(String),
    /// Traces cannot be sent.
    #[error("{0}")]
    Traces(#[from] TracesError),
    /// There is no admin listener.
    #[error("{0}")]
    Admin(#[from] AdminError),
    /// There is no API.
    #[error("{0}")]
    Api(#[from] ApiStartError),
}

impl From<ClusterError> for StartError {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(error.to_string())
    }
}

/// A running host.
pub struct Host {
    listening: Vec<Listening>,
    control: Control,
    state: Arc<HostState>,
    admin: Option<Admin>,
    api: Option<RunningApi>,
    certificates: Vec<Arc<Certificates>>,
}

impl Host {
    // These return boxed futures, because the code of an `async` function is compiled in the crate that awaits it: each
    // program that starts a host would compile the whole host once more.

    /// Open the databases, load the modules, and listen. When this returns, connections are served.
    ///
    /// # Errors
    /// Everything that stands in the way, at once.
    pub fn start(config: Config) -> BoxFuture<'static, Result<Self, StartError>> {
        Box::pin(async move {
            let ready = Ready::prepare(&config).await?;
            let entrances = Entrances::open(&config).await?;
            Self::serve(entrances, config, ready).await
        })
    }

    /// As [`start`](Self::start), with listeners that were opened before. Clients that connect meanwhile wait.
    ///
    /// # Errors
    /// Everything that stands in the way, at once.
    pub fn start_on(entrances: Entrances, config: Config) -> BoxFuture<'static, Result<Self, StartError>> {
        Box::pin(async move {
            let ready = Ready::prepare(&config).await?;
            Self::serve(entrances, config, ready).await
        })
    }

    async fn serve(entrances: Entrances, config: Config, ready: Ready) -> Result<Self, StartError> {
        let Ready { context, watcher, prepared } = ready;
        let listening = entrances.listening();
        let state = Arc::new(HostState::new(RoutingTable::new(&config, &prepared.apps), context));
        let (wanted, api, locator) = (config.admin.clone(), config.api.clone(), config.locator.clone());
        let control = Control::new(Arc::clone(&state), config, prepared);
        let admin = match wanted {
            Some(wanted) => Some(Admin::start(&wanted, &locator, control.clone()).await?),
            None => None,
        };
        let api = match api {
            Some(api) => Some(RunningApi::start(&api, &locator, control.clone(), Arc::clone(&state)).await?),
            None => None,
        };
        if let Some(watcher) = watcher {
            tokio::spawn(deploy::follow_files(watcher, control.clone(), state.draining.clone()));
        }
        tokio::spawn(evict_when_short(Arc::downgrade(&state)));
        let (entrances, mut certificates) = entrances.serve();
        certificates.extend(api.as_ref().and_then(RunningApi::certificates));
        tokio::spawn(listen(entrances, Arc::clone(&state)));
        Ok(Self { listening, control, state, admin, api, certificates })
    }

    /// What is listened on.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// The first address of TCP, if there is one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listening.iter().find_map(|listening| match listening.address {
            ListenAddress::Tcp(address) => Some(address),
            _ => None,
        })
    }

    /// Where the admin listener is, if there is one: `http://127.0.0.1:PORT` or `unix:PATH`.
    pub fn admin_address(&self) -> Option<String> {
        self.admin.as_ref().map(Admin::address)
    }

    /// Where the API is, if there is one.
    pub fn api_address(&self) -> Option<&ListenAddress> {
        self.api.as_ref().map(RunningApi::address)
    }

    /// Read the certificates of all listeners again, for new connections. The host also does this by itself when their files
    /// have changed.
    ///
    /// Returns why those of a listener cannot be used. They stay as they were.
    pub fn renew_certificates(&self) -> Vec<CertificateError> {
        self.certificates.iter().filter_map(|certificates| certificates.renew().err()).collect()
    }

    /// Deploy, roll back, read the config again.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The name and the path of each app; one with several paths is there several times.
    pub fn apps(&self) -> Vec<(String, String)> {
        self.state.routing().routes.all().map(|(name, path)| (name.to_owned(), path.to_owned())).collect()
    }

    /// Tell the test page that the module that a developer works on could not be built or served.
    pub(crate) fn build_failed(&self, reason: &str) {
        self.state.notices.build_failed(reason);
    }

    /// Tell the test page that the apps are built and served as their sources are now.
    pub(crate) fn build_succeeded(&self) {
        self.state.notices.build_succeeded();
    }

    /// How many connections all apps have.
    pub fn connections(&self) -> usize {
        self.state.routing().routes.apps().map(|app| app.connections.len()).sum()
    }

    /// Take no more connections, close all, and wait for their ends, at most for `drain_timeout`. Returns
    /// how many connections were left then.
    pub async fn drain(self) -> usize {
        self.control.stop_relays().await;
        let left = shutdown::drain(&self.state).await;
        if let Some(api) = self.api {
            api.stop().await;
        }
        if let Some(admin) = self.admin {
            admin.stop().await;
        }
        leave_cluster(&self.state).await;
        self.control.close_databases().await;
        if let Some(traces) = self.state.context.traces() {
            Arc::clone(traces).stop().await;
        }
        left
    }
}

async fn leave_cluster(state: &HostState) {
    let Some(cluster) = &state.context.cluster else { return };
    let routing = state.routing();
    for app in routing.routes.apps() {
        app.flush_cluster(FLUSH).await;
    }
    cluster.leave().await;
}

/// A config with its databases open and its modules loaded.
struct Ready {
    context: HostContext,
    watcher: Option<ModuleWatcher>,
    prepared: Prepared,
}

impl Ready {
    async fn prepare(config: &Config) -> Result<Self, StartError> {
        let traces = config.traces.as_ref().map(Traces::start).transpose()?;
        let cluster = match &config.cluster {
            Some(cluster) => Some(Cluster::join(cluster, config.locator.folder()).await?),
            None => None,
        };
        let context = HostContext { observer: traces.map(Observer::Traces), cluster, ..HostContext::default() };
        // Before the files are read, so that no change of them is missed; but what is wrong with the config
        // says more than what is wrong with the watch.
        let files = deploy::module_files(config).into_iter().map(|(_, file)| file);
        let watcher = config.watch.then(|| ModuleWatcher::new(files));
        let prepared = match deploy::prepare(config, &context).await {
            Ok(prepared) => prepared,
            Err(problems) => {
                if let Some(cluster) = &context.cluster {
                    cluster.leave().await;
                }
                return Err(problems.into());
            }
        };
        Ok(Self { context, watcher: watcher.transpose()?, prepared })
    }
}
