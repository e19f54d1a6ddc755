//! The admin listener: what operators, deploy scripts and scrapers ask a running host. It is another socket
//! than that of the clients, of this machine only, and asks for a token: who gets through can replace code.
//!
//! [`Admin::start`] listens; [`Client`] is the other side, for the command line. The paths are in `route.rs`,
//! the statuses in `answer.rs`.

mod answer;
mod api;
mod client;
mod listen;
mod metrics;
mod recorded;
mod route;
mod token;

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use client::{Client, ClientError};
pub use recorded::Recorded;
pub use token::{Token, TokenError};

use crate::config::{AdminAddress, AdminConfig, Config, Locator, Problem, Problems};
use crate::deploy::Control;
use api::Api;
use listen::Listener;

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The token is not fit.
    #[error("{0}")]
    Problem(Problem),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; change `admin.listen`")]
    Listen {
        /// The address.
        address: AdminAddress,
        /// What is in the way.
        reason: String,
    },
}

/// A running admin listener. It ends when this is dropped; [`Admin::stop`] waits for that.
#[derive(Debug)]
pub struct Admin {
    address: AdminAddress,
    stopping: DropGuard,
    tasks: TaskTracker,
}

impl Admin {
    /// Read or make the token, and listen. When this returns, requests are answered.
    ///
    /// # Errors
    /// If the token is not fit, or the address cannot be listened on.
    pub async fn start(config: &AdminConfig, locator: &Locator, control: Control) -> Result<Self, AdminError> {
        let file = locator.folder().join(&config.token_file);
        let token = Token::of_host(&file).map_err(|error| {
            AdminError::Problem(locator.problem(TOKEN_FILE, format!("{}: {error}", file.display())))
        })?;
        let wanted = config.listen.within(locator.folder());
        let listen_error = |reason| AdminError::Listen { address: wanted.clone(), reason };
        let listener = Listener::bind(&wanted).await.map_err(listen_error)?;
        let address = listener.address().map_err(|error| listen_error(error.to_string()))?;
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let api = Arc::new(Api::new(control, token, config.clone()));
        tasks.spawn(listen::listen(listener, api, config.clone(), stopping.clone(), tasks.clone()));
        tracing::info!(%address, "the admin listener is ready");
        Ok(Self { address, stopping: stopping.drop_guard(), tasks })
    }

    /// Where it listens: `http://127.0.0.1:9090` with the port that the system gave for port 0, or
    /// `unix:/path`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Take no more requests, let those that run end soon, and remove a Unix socket. A deploy that runs goes
    /// on without its client.
    pub async fn stop(self) {
        drop(self.stopping);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Everything that would keep the admin listener from starting and can be seen without starting it.
pub fn inspect(config: &Config) -> Problems {
    let Some(admin) = &config.admin else { return Problems::default() };
    let file = config.locator.folder().join(&admin.token_file);
    match Token::inspect(&file) {
        Ok(()) => Problems::default(),
        Err(error) => Problems(vec![config.locator.problem(TOKEN_FILE, format!("{}: {error}", file.display()))]),
    }
}

/// The key of the token's file.
const TOKEN_FILE: &str = "admin.token_file";
