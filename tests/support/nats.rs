//! A server of NATS with JetStream: in a temporary folder, on a free port, ended with its test.

use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{Process, eventually};

/// A server of NATS, or the place of one that was killed.
pub struct Nats {
    port: u16,
    folder: TempDir,
    options: Vec<String>,
    server: Option<Process>,
}

impl Nats {
    /// A server that keeps streams. `HASSOCK_NATS_SERVER` names another program than the `nats-server` of the system.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        Self::with(&["-js"]).await
    }

    /// A server with these options.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn with(options: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no free port: {error}"));
        let port = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}")).port();
        drop(listener);
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut nats = Self { port, folder, options, server: None };
        nats.restart().await;
        nats
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The table of a config for it.
    pub fn table(&self) -> String {
        table(&self.address())
    }

    /// Kill the server as a crash would.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Start the server again, with what it had.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        let program = std::env::var_os("HASSOCK_NATS_SERVER").unwrap_or_else(|| "nats-server".into());
        let mut command = Command::new(program);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"]).arg(self.folder.path());
        command.args(&self.options);
        self.server = Some(Process::start(command));
        let address = self.address();
        eventually("NATS", || async { TcpStream::connect(&address).await.is_ok() }).await;
    }

    /// A connection to the server, for what operators do.
    ///
    /// # Panics
    /// If there is none.
    pub async fn client(&self) -> async_nats::Client {
        let connected = async_nats::connect(format!("nats://{}", self.address())).await;
        connected.unwrap_or_else(|error| panic!("no connection to NATS: {error}"))
    }
}

/// The table of a config for a server.
pub fn table(address: &str) -> String {
    format!("[cluster]\nurl = \"nats://{address}\"\nname = \"test\"\n")
}
