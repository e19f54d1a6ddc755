//! How a host for tests is put together.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::TestError;
use super::config::{Draft, value};
use super::host::TestHost;
use super::in_process_host::InProcessHost;
use crate::config::Config;

/// 2025-01-01T00:00:00Z, in seconds: the time at which a test begins by default.
const NOW: Duration = Duration::from_secs(1_735_689_600);

/// A [`TestHost`] that is being put together. It needs a [`module`](Self::module) or a [`config`](Self::config);
/// everything else has a default. Mistakes are reported by [`build`](Self::build).
///
/// ```no_run
/// use hassock::testkit::TestHost;
///
/// # fn main() -> Result<(), hassock::testkit::TestError> {
/// let host = TestHost::builder().module("chat.wasm").setting("away_after", "5").seed(7).build()?;
/// let alice = host.connect("/chat?name=alice");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TestHostBuilder {
    source: Option<Source>,
    changes: Vec<Change>,
    now: SystemTime,
    seed: u64,
}

/// Where the config comes from.
#[derive(Debug, Clone)]
enum Source {
    Module(PathBuf),
    Config(PathBuf),
}

/// A change of the config.
#[derive(Debug, Clone)]
enum Change {
    Set { key: String, value: String },
    Setting { key: String, value: String },
    Database(String),
}

impl TestHostBuilder {
    pub(super) fn new() -> Self {
        Self { source: None, changes: Vec::new(), now: UNIX_EPOCH + NOW, seed: 0 }
    }

    /// One module, at every path, with an empty database `main`.
    #[must_use]
    pub fn module(self, file: impl AsRef<Path>) -> Self {
        Self { source: Some(Source::Module(file.as_ref().to_owned())), ..self }
    }

    /// The apps of a config: their modules, paths, grants, limits and settings. All databases are empty databases in
    /// memory, whatever the config says.
    #[must_use]
    pub fn config(self, file: impl AsRef<Path>) -> Self {
        Self { source: Some(Source::Config(file.as_ref().to_owned())), ..self }
    }

    /// Set a key of the config; see [`TestHost::set`].
    #[must_use]
    pub fn set(self, key: &str, value_as_toml: &str) -> Self {
        self.change(Change::Set { key: key.to_owned(), value: value_as_toml.to_owned() })
    }

    /// Set what the only app's module reads as a setting.
    #[must_use]
    pub fn setting(self, key: &str, setting: impl Into<String>) -> Self {
        self.change(Change::Setting { key: key.to_owned(), value: setting.into() })
    }

    /// Grant one more database to all apps, empty and in memory.
    #[must_use]
    pub fn database(self, name: &str) -> Self {
        self.change(Change::Database(name.to_owned()))
    }

    /// The time at which the test begins.
    #[must_use]
    pub fn now(self, now: SystemTime) -> Self {
        Self { now, ..self }
    }

    /// The seed of random numbers.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Load the modules and start the host.
    ///
    /// # Errors
    /// What is wrong with the builder's calls, the config or a module.
    pub fn build(self) -> Result<TestHost, TestError> {
        let draft = self.draft()?;
        let host = InProcessHost::start(draft.finish()?, self.now, self.seed)?;
        Ok(TestHost::new(host, draft))
    }

    /// The config with which the host will start.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn to_config(&self) -> Result<Config, TestError> {
        self.draft()?.finish()
    }

    /// The files of the modules that the host will load.
    ///
    /// # Errors
    /// What is wrong with the config.
    pub fn modules(&self) -> Result<Vec<PathBuf>, TestError> {
        let config = self.to_config()?;
        Ok(config.apps.values().map(|app| config.locator.folder().join(&app.module)).collect())
    }

    fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    fn draft(&self) -> Result<Draft, TestError> {
        let mut draft = match &self.source {
            Some(Source::Module(file)) => Draft::of_module(file)?,
            Some(Source::Config(file)) => Draft::of_file(file)?,
            None => {
                let hint = "there is nothing to test: call `module(FILE)` or `config(FILE)` of the builder";
                return Err(TestError(hint.to_owned()));
            }
        };
        for change in &self.changes {
            match change {
                Change::Set { key, value: text } => draft.set(key, value(text)?)?,
                Change::Setting { key, value } => {
                    draft.set(&format!("settings.{key}"), toml::Value::String(value.clone()))?;
                }
                Change::Database(name) => draft.grant(name)?,
            }
        }
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CompileMode;

    #[test]
    fn modules_are_compiled_quickly() {
        let config = TestHostBuilder::new().module("any.wasm").to_config().unwrap();
        assert_eq!(config.overrides.compile, CompileMode::Quick);
    }
}
