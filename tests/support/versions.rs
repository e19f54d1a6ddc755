//! A host with the module `marked`, and versions of it.

use std::fs;

use hassock::deploy::{Rollout, VersionReport, VersionStatus};

use crate::{TestHost, app, marked};

impl TestHost {
    /// A host that serves the module `marked` at `/marked`. `keys` are added to the app's part of the config.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn marked(mark: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let module = folder.path().join("marked.wasm");
        fs::write(&module, marked(mark)).unwrap_or_else(|error| panic!("no module: {error}"));
        // It is read now and not again.
        Self::start(&(app("marked", &module) + keys)).await
    }

    /// Deploy `marked` with another mark to all, and return the name of the version.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn deploy(&self, mark: &str) -> String {
        match self.host.control().deploy("marked", marked(mark), Rollout::Full).await {
            Ok(outcome) => outcome.version,
            Err(error) => panic!("{mark} is refused: {error}"),
        }
    }

    /// A version of `marked`.
    ///
    /// # Panics
    /// If it is not loaded.
    pub fn version(&self, version: &str) -> VersionReport {
        let report = self.report("marked");
        let found = report.versions.iter().find(|found| found.version == version);
        found.unwrap_or_else(|| panic!("{version} is not in {report:?}")).clone()
    }

    /// The versions of `marked` and their states, the newest first.
    pub fn standings(&self) -> Vec<(String, VersionStatus)> {
        let versions = self.report("marked").versions.into_iter();
        versions.map(|version| (version.version, version.state)).collect()
    }
}
