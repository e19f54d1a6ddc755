//! A host with the module `marked`. Tests make and deploy versions of it.

use std::io::Write;

use hassock::config::Share;
use hassock::deploy::{DeployError, Outcome, Rollout, VersionReport};
use hassock::module::version_id;
use tempfile::NamedTempFile;

use crate::{Client, TestHost, app, eventually, marked};

/// A host with the module `marked` at `/marked`.
pub struct Marked {
    /// The host.
    pub host: TestHost,
    /// The module's file, which holds the first version.
    pub file: NamedTempFile,
}

impl Marked {
    /// A host that serves the version with this mark. `more` is added to the app's part of the config.
    pub async fn start(mark: &str, more: &str) -> Self {
        let file = module_file(&marked(mark));
        let host = TestHost::start(&format!("{}{more}", app("marked", file.path()))).await;
        Self { host, file }
    }

    /// A connection.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn connect(&self) -> Client {
        self.host.connect("/marked").await
    }

    /// `count` connections.
    ///
    /// # Panics
    /// If one is refused.
    pub async fn connect_all(&self, count: usize) -> Vec<Client> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(self.connect().await);
        }
        clients
    }

    /// Serve the version with this mark to all.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn deploy(&self, mark: &str) -> Outcome {
        self.try_deploy(&marked(mark), Rollout::Full).await.unwrap_or_else(|error| panic!("{mark}: {error}"))
    }

    /// Serve the version with this mark to a share of the connections, such as `10%`.
    ///
    /// # Panics
    /// If it is refused, or that is not a share.
    pub async fn canary(&self, mark: &str, share: &str) -> Outcome {
        let share: Share = share.parse().unwrap_or_else(|error| panic!("{error}"));
        let deployed = self.try_deploy(&marked(mark), Rollout::Canary(share)).await;
        deployed.unwrap_or_else(|error| panic!("{mark}: {error}"))
    }

    /// Deploy any component.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn try_deploy(&self, module: &[u8], rollout: Rollout) -> Result<Outcome, DeployError> {
        self.host.host.control().deploy("marked", module.to_vec(), rollout).await
    }

    /// Serve the canary to all.
    ///
    /// # Errors
    /// If there is none.
    pub fn promote(&self) -> Result<Outcome, DeployError> {
        self.host.host.control().promote("marked")
    }

    /// Take back the canary, or the serving version.
    ///
    /// # Errors
    /// If there is nothing to go back to.
    pub fn roll_back(&self) -> Result<Outcome, DeployError> {
        self.host.host.control().rollback("marked")
    }

    /// The report of the version with this mark; none if it is not loaded.
    pub fn find(&self, mark: &str) -> Option<VersionReport> {
        let id = version_of(mark);
        self.host.report("marked").versions.into_iter().find(|version| version.version == id)
    }

    /// The same for one that is loaded.
    ///
    /// # Panics
    /// If it is not.
    pub fn version(&self, mark: &str) -> VersionReport {
        self.find(mark).unwrap_or_else(|| panic!("{mark} is not loaded"))
    }

    /// Wait until the version with this mark serves this many connections.
    ///
    /// # Panics
    /// If that does not happen.
    pub async fn serves(&self, mark: &str, connections: usize) {
        let what = format!("{mark} to serve {connections} connections");
        let has = || self.find(mark).map_or(0, |version| version.connections) == connections as u64;
        eventually(&what, || async { has() }).await;
    }
}

/// The name of the version with this mark.
pub fn version_of(mark: &str) -> String {
    version_id(&marked(mark)).to_string()
}

/// A component in a file of its own.
///
/// # Panics
/// If it cannot be written.
pub fn module_file(module: &[u8]) -> NamedTempFile {
    let file = tempfile::Builder::new().suffix(".wasm").tempfile();
    let mut file = file.unwrap_or_else(|error| panic!("no temporary file: {error}"));
    file.write_all(module).unwrap_or_else(|error| panic!("the file is not written: {error}"));
    file
}

impl Client {
    /// The name of the version that answers a message to `marked`.
    ///
    /// # Panics
    /// If the connection ends instead.
    pub async fn served_by(&mut self) -> String {
        let answer = self.ask("who").await;
        answer.split(' ').next().unwrap_or_default().to_owned()
    }
}
