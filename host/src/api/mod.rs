//! The API: the interface of a running host for other programs, which publish, send to connections and close them. It has
//! its own socket, and requires a token, which says for which apps and operations it is.
//!
//! A request goes through `listen` (the connection), `guard` (token, scope, app), and one of `publish`, `batch`,
//! `connections` and `topics`. `document` has the routes and the OpenAPI document, which are one; `error` has the table of
//! errors.
#![allow(unused_qualifications, reason = "the macros of utoipa qualify names")]

mod batch;
mod body;
mod closing;
mod connections;
mod document;
mod error;
mod guard;
mod history;
mod listen;
mod message;
mod names;
mod numbers;
mod operations;
mod presence;
mod publish;
mod query;
mod response;
mod topics;

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use crate::config::{ApiConfig, Config, ListenAddress, Locator, Problem, Problems};
use crate::deploy::Control;
use crate::host_state::HostState;
use crate::socket::{ListenError, Listener};
use crate::tls::{self, Certificates};
use listen::Shared;
use operations::Operations;

/// Why the API does not start.
#[derive(Debug, thiserror::Error)]
pub enum ApiStartError {
    /// A certificate cannot be used.
    #[error("{0}")]
    Problem(Problem),
    /// The address cannot be listened on.
    #[error("{0}; change `api.listen`")]
    Listen(#[from] ListenError),
}

/// A running API. It ends when the host drains; [`RunningApi::stop`] waits for that.
pub(crate) struct RunningApi {
    address: ListenAddress,
    certificates: Option<Arc<Certificates>>,
    tasks: TaskTracker,
}

/// What all requests share.
struct Api {
    control: Control,
    state: Arc<HostState>,
    config: ApiConfig,
    operations: Operations,
    /// The OpenAPI document.
    document: Bytes,
    tasks: TaskTracker,
}

impl RunningApi {
    /// Listen. When this returns, requests are answered.
    ///
    /// # Errors
    /// If a certificate cannot be used, or the address cannot be listened on.
    pub(crate) async fn start(
        config: &ApiConfig,
        locator: &Locator,
        control: Control,
        state: Arc<HostState>,
    ) -> Result<Self, ApiStartError> {
        let certificates = certificates(config, locator).map_err(ApiStartError::Problem)?;
        let address = config.listen.within(locator.folder());
        let failed = |reason: String| ListenError { address: address.clone(), reason };
        let acceptor = certificates.as_ref().map(tls::acceptor).transpose();
        let acceptor = acceptor.map_err(|error| failed(error.to_string()))?;
        let listener = Listener::bind(&address, config.mode.unwrap_or_default()).await?;
        let address = listener.address().map_err(|error| failed(error.to_string()))?;
        if let Some(certificates) = &certificates {
            tokio::spawn(tls::keep_current(Arc::downgrade(certificates)));
        }
        let (routes, document) = document::routes();
        let tasks = TaskTracker::new();
        let api = Arc::new(Api {
            control,
            state,
            config: config.clone(),
            operations: document::operations(&document),
            document: document.to_string().into(),
            tasks: tasks.clone(),
        });
        let router = document::service(Arc::clone(&api), routes);
        tasks.spawn(listen::listen(listener, Arc::new(Shared { api, router, tls: acceptor })));
        tracing::info!(%address, "the API is ready");
        Ok(Self { address, certificates, tasks })
    }

    /// The address, with the port that the system chose for port 0.
    pub(crate) fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Its certificates, if it speaks TLS.
    pub(crate) fn certificates(&self) -> Option<Arc<Certificates>> {
        self.certificates.clone()
    }

    /// Wait for the requests that were in progress when the host began to drain.
    pub(crate) async fn stop(self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Every problem that would prevent the API from starting and that can be found without starting it. Those of its tokens
/// are found with those of apps and databases.
pub(crate) fn inspect(config: &Config) -> Problems {
    let api = config.api.as_ref();
    let problem = api.and_then(|api| certificates(api, &config.locator).err());
    Problems(problem.into_iter().collect())
}

fn certificates(config: &ApiConfig, locator: &Locator) -> Result<Option<Arc<Certificates>>, Problem> {
    let loaded = Certificates::load(&config.tls, locator.folder());
    loaded.map_err(|(name, error)| locator.problem(&format!("api.tls.{name}"), error.to_string()))
}
