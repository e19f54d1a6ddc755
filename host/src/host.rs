//! The host as a whole: started from a config, drained through a handle.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Problems};
use crate::database::Database;
use crate::deploy::{self, ReloadError};
use crate::handshake::{Doors, WithPage};
use crate::listen::listen;
use crate::module::{Engine, VersionId};
use crate::shutdown;

/// Why the host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The config is fine in itself, but what it refers to is not.
    #[error("{0}")]
    Problems(#[from] Problems),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another program using it? Change `listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A running host.
pub struct Host {
    address: SocketAddr,
    config: Config,
    engine: Engine,
    doors: Arc<Doors>,
    databases: Vec<Arc<Database>>,
}

impl Host {
    /// Open the databases, load the modules, and listen. When this returns, connections are served.
    ///
    /// # Errors
    /// Everything that stands in the way, at once.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let tasks = TaskTracker::new();
        let prepared = deploy::prepare(&config, &tasks).await?;
        let listen_error = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let page = if config.test_page { WithPage::Yes } else { WithPage::No };
        let doors = Arc::new(Doors::new(prepared.routes, config.limits.clone(), tasks, page));
        tokio::spawn(listen(listener, Arc::clone(&doors)));
        Ok(Self { address, config, engine: prepared.engine, doors, databases: prepared.databases })
    }

    /// The address that is listened on, with the port that the system gave for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The name and the path of each app.
    pub fn apps(&self) -> impl Iterator<Item = (&str, &str)> {
        self.doors.routes.all().iter().map(|(name, path)| (name.as_str(), path.as_str()))
    }

    /// How many connections all apps have.
    pub fn connections(&self) -> usize {
        self.doors.routes.apps().map(|app| app.connections.len()).sum()
    }

    /// Read an app's module again: new calls go to it, connections stay. On error the old one goes on.
    ///
    /// # Errors
    /// If the module cannot serve.
    pub async fn reload(&self, app: &str) -> Result<VersionId, ReloadError> {
        let running = self.doors.routes.apps().find(|running| &*running.name == app);
        let configured = self.config.apps.get(app);
        let (Some(running), Some(configured)) = (running, configured) else {
            return Err(ReloadError::UnknownApp(app.to_owned()));
        };
        let file: PathBuf = self.config.locator.folder().join(&configured.module);
        let version = deploy::load(&self.engine, file, app, configured).await?;
        Ok(running.swap(version))
    }

    /// Take no more connections, close all, and wait for their ends, at most for `drain_timeout`. Returns
    /// how many connections were left then.
    pub async fn drain(self) -> usize {
        let left = shutdown::drain(&self.doors).await;
        for database in &self.databases {
            database.close().await;
        }
        left
    }
}
