//! The admin listener: the interface of a running host for operators, deploy scripts and scrapers. It has its own
//! socket, which only this machine can reach, and requires a token: a client of it can replace code.
//!
//! `Admin::start` listens; `Client` is the other side, for the command line. The paths are in `api.rs`, the
//! errors and their statuses in `error.rs`.

mod api;
mod client;
mod error;
mod lines;
mod listen;
mod metrics;
mod publish;
mod query;
mod response;
mod tail;

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use client::ClientError;
pub(crate) use client::{Client, MessageKind, NewMessage};
pub(crate) use lines::Lines;
pub(crate) use tail::{TailLine, TailedContent, TailedMessage};

use crate::config::{AdminAddress, AdminConfig, Config, ListenAddress, Locator, Problem, Problems};
use crate::deploy::Control;
use crate::token::Token;
use api::Api;

/// Why the admin listener does not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The token file cannot be used.
    #[error("{0}")]
    Problem(Problem),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; change `admin.listen`")]
    Listen {
        /// The address.
        address: AdminAddress,
        /// What prevents it.
        reason: String,
    },
}

/// A running admin listener. It ends when this is dropped; [`Admin::stop`] waits for that.
#[derive(Debug)]
pub(crate) struct Admin {
    address: AdminAddress,
    stopping: DropGuard,
    tasks: TaskTracker,
}

impl Admin {
    /// Read or create the token, and listen. When this returns, the listener responds to requests.
    ///
    /// # Errors
    /// If the token file cannot be used, or the address cannot be listened on.
    pub(crate) async fn start(config: &AdminConfig, locator: &Locator, control: Control) -> Result<Self, AdminError> {
        let file = locator.folder().join(&config.token_file);
        let token = Token::of_host(&file).map_err(|error| {
            AdminError::Problem(locator.problem(TOKEN_FILE, format!("{}: {error}", file.display())))
        })?;
        let wanted = config.listen.within(locator.folder());
        let listen_error = |reason| AdminError::Listen { address: wanted.clone(), reason };
        let listener = listen::bind(&wanted).await.map_err(|error| listen_error(error.reason))?;
        let address = match listener.address().map_err(|error| listen_error(error.to_string()))? {
            ListenAddress::Tcp(address) => AdminAddress::Tcp(address),
            // What else it may be is what the config says.
            _ => wanted,
        };
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let api = Arc::new(Api::new(control, token, config.clone()));
        tasks.spawn(listen::listen(listener, api, config.clone(), stopping.clone(), tasks.clone()));
        tracing::info!(%address, "the admin listener is ready");
        Ok(Self { address, stopping: stopping.drop_guard(), tasks })
    }

    /// The address: `http://127.0.0.1:9090`, with the port that the system chose for port 0, or `unix:/path`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Accept no more requests, wait briefly for those that run, and remove the Unix socket. A deploy that runs
    /// continues without its client.
    pub(crate) async fn stop(self) {
        drop(self.stopping);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Every problem that would prevent the admin listener from starting and that can be found without starting it.
pub(crate) fn inspect(config: &Config) -> Problems {
    let Some(admin) = &config.admin else { return Problems::default() };
    let file = config.locator.folder().join(&admin.token_file);
    match Token::inspect(&file) {
        Ok(()) => Problems::default(),
        Err(error) => Problems(vec![config.locator.problem(TOKEN_FILE, format!("{}: {error}", file.display()))]),
    }
}

/// The key of the token file.
const TOKEN_FILE: &str = "admin.token_file";
