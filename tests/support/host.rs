//! A real host in this process, on a port of its own, with its files in a temporary folder.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use hassock::config::{Config, ConfigError, Overrides};
use hassock::deploy::{AppReport, ReloadReport, VersionStatus};
use hassock::{Host, StartError};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::{Client, cache, guest};

/// A running host. Its folder is removed when it is dropped.
pub struct TestHost {
    /// The host.
    pub host: Host,
    folder: TempDir,
}

/// The lines of a config for an app at `/NAME` with a module.
pub fn app(name: &str, module: &Path) -> String {
    format!("[apps.{name}]\npath = \"/{name}\"\nmodule = \"{}\"\n", module.display())
}

/// The lines of a config for an app at `/NAME` that may use the database `main`, which is at `url`.
pub fn app_with_database(name: &str, module: &Path, url: &str) -> String {
    format!("[databases.main]\nurl = \"{url}\"\n{}databases = {{ main = \"read-write\" }}\n", app(name, module))
}

impl TestHost {
    /// A host with the `probe` module at `/probe` and an empty database in memory. `more` is added to the
    /// app's part of the config.
    pub async fn probe(more: &str) -> Self {
        let config = app_with_database("probe", &guest("probe"), "sqlite::memory:");
        Self::start(&format!("{config}{more}")).await
    }

    /// The host of [`probe`](Self::probe) with an empty `more`, shared by the tests of this process that change nothing
    /// that others can see. Topics need their own names. Compiling a module takes a second.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<TestHost> = OnceCell::const_new();
        // A runtime of its own, because that of the first test ends with that test.
        static RUNTIME: LazyLock<Runtime> =
            LazyLock::new(|| Runtime::new().unwrap_or_else(|error| panic!("no runtime: {error}")));
        let start = || async { RUNTIME.spawn(Self::probe("")).await.unwrap_or_else(|error| panic!("{error}")) };
        SHARED.get_or_init(start).await
    }

    /// Start a host with this config; `listen` is added.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(config: &str) -> Self {
        match Self::try_start(config).await {
            Ok(host) => host,
            Err(error) => panic!("the host does not start:\n{error}"),
        }
    }

    /// The same for a config that may be wrong.
    ///
    /// # Errors
    /// Why the host does not start.
    pub async fn try_start(config: &str) -> Result<Self, StartError> {
        Self::try_start_as_is(&whole(config)).await
    }

    /// Start a host with this config, which says where to listen.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_as_is(config: &str) -> Self {
        Self::try_start_as_is(config).await.unwrap_or_else(|error| panic!("the host does not start:\n{error}"))
    }

    /// The same for a config that may be wrong.
    ///
    /// # Errors
    /// Why the host does not start.
    pub async fn try_start_as_is(text: &str) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        // Tests that change a module's file say when it is read.
        let watch = (!text.contains("watch = ")).then_some(false);
        let config = Config::parse(&folder.path().join("hassock.toml"), text)?;
        let mut config = config.overridden(Overrides { watch, ..Overrides::default() });
        config.cache.directory.get_or_insert_with(cache);
        let host = Host::start(config).await?;
        Ok(Self { host, folder })
    }

    /// Write the file of the config, which the host has not read so far, and reload it: `config` is as for
    /// [`start`](Self::start), and without `[cache]`.
    ///
    /// # Errors
    /// All reasons why it is refused.
    ///
    /// # Panics
    /// If the file is not written.
    pub async fn reload(&self, config: &str) -> Result<ReloadReport, ConfigError> {
        // At the end, so that the lines are those of a config without it.
        let text = format!("{}\n[cache]\ndirectory = \"{}\"\n", whole(config), cache().display());
        let written = std::fs::write(self.file("hassock.toml"), text);
        written.unwrap_or_else(|error| panic!("the config is not written: {error}"));
        self.host.control().reload().await
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        self.host.local_addr().unwrap().to_string()
    }

    /// A file in the folder of the config.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A WebSocket to a path.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn connect(&self, path: &str) -> Client {
        Client::connect(&self.address(), path).await
    }

    /// The version that serves an app.
    ///
    /// # Panics
    /// If there is no such app.
    pub fn serving(&self, app: &str) -> String {
        let report = self.report(app);
        let serving = report.versions.iter().find(|version| version.state == VersionStatus::Serving);
        serving.unwrap_or_else(|| panic!("nothing serves {app}: {report:?}")).version.clone()
    }

    /// An app and its versions.
    ///
    /// # Panics
    /// If there is no such app.
    pub fn report(&self, app: &str) -> AppReport {
        let report = self.host.control().report().into_iter().find(|report| report.app == app);
        report.unwrap_or_else(|| panic!("there is no app {app}"))
    }

    /// Drain the host; returns how many connections did not end in time.
    pub async fn drain(self) -> usize {
        self.host.drain().await
    }
}

/// A whole config: for any free port.
fn whole(config: &str) -> String {
    format!("listen = \"127.0.0.1:0\"\n{config}")
}
