//! Everything that can be done with the apps of a running host, in one place for all callers: the file watch, the
//! signal, `hassock dev` and the admin listener.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::api_tokens::ApiTokens;
use super::databases::{self, Databases};
use super::gate::{self, Candidate, GateError, Meanwhile, Source};
use super::plan::{Apps, Prepared, ReloadReport, Running, plan};
use crate::app::App;
use crate::app::recording::RecordOptions;
use crate::app::versions::{self, AppReport, Change, Missing, Outcome, PinOutcome, Swap, Version, description};
use crate::config::{Config, ConfigError, Share};
use crate::host_state::{HostState, RoutingTable};
use crate::module::{Engine, LoadError};
use crate::record::Reader;
use crate::relays::Relays;
use crate::text::log_line;

/// What an operator can do with the apps of a running host. Cheap to clone.
#[derive(Clone)]
pub struct Control(pub(super) Arc<Inner>);

pub(super) struct Inner {
    engine: Engine,
    pub(super) state: Arc<HostState>,
    serving: Mutex<Serving>,
    relays: Relays,
    /// Notified when a config was put into effect, for the file watch.
    reloaded: Notify,
    /// Deploys of different apps run side by side. A reload of the config runs alone.
    turn: tokio::sync::RwLock<()>,
}

/// The config that is in effect, with what was made of it.
#[derive(Clone)]
pub(super) struct Serving {
    config: Arc<Config>,
    pub(super) apps: Arc<Apps>,
    pub(super) databases: Databases,
    pub(super) tokens: Arc<ApiTokens>,
}

/// Which connections get a version that is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// All connections, as the app's `swap` says.
    Full,
    /// A share of the connections.
    Canary(Share),
}

/// What becomes of open connections at the next deploys, whatever the config says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// They stay with their version, at most for so long.
    For(Duration),
    /// They stay, at most for the config's `pin_for`.
    Default,
    /// They move, also those that have stayed so far.
    Off,
}

/// Why a version was not deployed, promoted or rolled back. What serves goes on.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The config has no such app.
    #[error("there is no app `{app}`; the config has {}", names(known))]
    UnknownApp {
        /// The name.
        app: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The version does not get through the gate.
    #[error("{0}")]
    Gate(#[from] GateError),
    /// There is no canary.
    #[error("`{app}` has no canary; deploy one with `hassock module deploy {app} FILE --canary 10%`")]
    NoCanary {
        /// The app.
        app: String,
    },
    /// There is no version to go back to.
    #[error(
        "`{app}` has no version to go back to: none that served before is still kept, was not taken back, and has its grants"
    )]
    NoPrevious {
        /// The app.
        app: String,
    },
}

impl Control {
    pub(crate) fn new(state: Arc<HostState>, config: Config, prepared: Prepared) -> Self {
        let Prepared { engine, apps, databases, tokens } = prepared;
        let relays = Relays::new();
        relays.apply(&config, &databases, &apps);
        let serving = Serving { config: Arc::new(config), apps: Arc::new(apps), databases, tokens: Arc::new(tokens) };
        Self(Arc::new(Inner {
            engine,
            state,
            relays,
            serving: Mutex::new(serving),
            reloaded: Notify::new(),
            turn: tokio::sync::RwLock::new(()),
        }))
    }

    /// The apps and their versions, by name.
    pub fn report(&self) -> Vec<AppReport> {
        let Serving { config, apps, .. } = self.serving();
        let path = |name: &str| config.apps.get(name).map(|app| app.path.to_string()).unwrap_or_default();
        apps.iter().map(|(name, app)| description::app(app, path(name))).collect()
    }

    /// Whether clients should come. They should not when the host is about to stop.
    pub fn is_ready(&self) -> bool {
        !self.0.state.stopping.is_cancelled()
    }

    /// Let a component through the gate and serve it.
    ///
    /// # Errors
    /// If the gate refuses it. The running version goes on.
    pub async fn deploy(&self, app: &str, module: Vec<u8>, rollout: Rollout) -> Result<Outcome, DeployError> {
        let version = self.compile(&self.app(app)?, Source::Bytes(module)).await?;
        let _turn = self.0.turn.read().await;
        // A reload may have come in between.
        let running = self.app(app)?;
        let _deploying = running.deploying.lock().await;
        self.admit(&running, &version).await?;
        Ok(self.serve(&running, &version, rollout))
    }

    /// The same for the app's module file. None if there is nothing to deploy: another program is still writing the
    /// file, or it holds the version that it held when it was read last. Such a version may have been rolled back since,
    /// and stays as it is.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub async fn deploy_file(&self, app: &str) -> Result<Option<Outcome>, DeployError> {
        let file = self.module_file(app).unwrap_or_default();
        let version = match self.compile(&self.app(app)?, Source::File(file.clone())).await {
            // It will be complete when the file changes next.
            Err(DeployError::Gate(GateError::Load(LoadError::BeingWritten { .. }))) => return Ok(None),
            compiled => compiled?,
        };
        let _turn = self.0.turn.read().await;
        let running = self.app(app)?;
        if self.module_file(app).is_some_and(|now| now != file) {
            // A reload came in between, and has deployed the file that the config names now.
            return Ok(None);
        }
        let _deploying = running.deploying.lock().await;
        if running.versions.file() == version.id {
            return Ok(None);
        }
        self.admit(&running, &version).await?;
        running.versions.set_file(&version.id);
        Ok(Some(self.serve(&running, &version, Rollout::Full)))
    }

    /// Serve the canary to all.
    ///
    /// # Errors
    /// If there is none.
    pub fn promote(&self, app: &str) -> Result<Outcome, DeployError> {
        let running = self.app(app)?;
        let change = running
            .versions
            .change(&running.setup(), |state| state.promote(&running.setup(), Instant::now()))
            .map_err(|missing| missed(app, missing))?;
        tracing::info!(app, version = %change.version.id, "promoted: the canary serves all connections now");
        Ok(self.changed(&running, change))
    }

    /// Take back the canary, or if there is none, the version that serves.
    ///
    /// # Errors
    /// If there is nothing to go back to.
    pub fn rollback(&self, app: &str) -> Result<Outcome, DeployError> {
        let running = self.app(app)?;
        let change = running
            .versions
            .change(&running.setup(), |state| state.roll_back("an operator took it back", &running.setup()))
            .map_err(|missing| missed(app, missing))?;
        let taken_back = change.previous.as_ref().map(|version| &*version.id);
        tracing::warn!(app, version = taken_back, serving = %change.version.id, "rolled back by an operator");
        Ok(self.changed(&running, change))
    }

    /// Say what becomes of open connections at the next deploys, until the host restarts.
    ///
    /// # Errors
    /// If there is no such app.
    pub fn pin(&self, app: &str, pin: Pin) -> Result<PinOutcome, DeployError> {
        let running = self.app(app)?;
        let setup = running.setup();
        let swap = match pin {
            Pin::For(time) => Swap::Pin(time),
            Pin::Default => Swap::Pin(setup.config.pin_for.get()),
            Pin::Off => Swap::Live,
        };
        running.versions.change(&setup, |state| state.order(swap));
        versions::announce(&running);
        let PinOutcome { swap, pin_for_seconds, .. } = description::pin(app, swap);
        tracing::info!(app, swap, pin_for_seconds, "an operator said what becomes of open connections");
        Ok(PinOutcome { app: app.to_owned(), swap, pin_for_seconds })
    }

    /// Read the config again, and put it into effect in one step or not at all.
    ///
    /// # Errors
    /// Everything that stands in the way.
    pub async fn reload(&self) -> Result<ReloadReport, ConfigError> {
        let config = self.serving().config.read_again();
        let result = match config {
            Ok(config) => self.apply(config).await,
            Err(error) => Err(error),
        };
        match &result {
            Ok(report) if report.changes.is_empty() => tracing::info!("the config was read again and says the same"),
            Ok(report) => report.changes.iter().for_each(|change| tracing::info!("config: {change}")),
            Err(error) => {
                let error = error.to_string().replace('\n', "; ");
                tracing::error!("the config was not applied, everything goes on as before: {error}");
            }
        }
        result
    }

    /// Begin to record an app. None if it is recorded already.
    ///
    /// # Errors
    /// If there is no such app.
    pub(crate) fn record(&self, app: &str, order: RecordOptions) -> Result<Option<Reader>, DeployError> {
        Ok(Reader::start(&self.app(app)?, order, self.draining()))
    }

    /// Cancelled when the host takes no more connections.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.0.state.draining.clone()
    }

    /// Wait until a config was put into effect.
    pub(crate) async fn reloaded(&self) {
        self.0.reloaded.notified().await;
    }

    /// The files of all modules, with the apps that they are of.
    pub(crate) fn module_files(&self) -> Vec<(String, PathBuf)> {
        module_files(&self.serving().config)
    }

    /// Publish no more rows of outboxes. They wait for the next start.
    pub(crate) async fn stop_relays(&self) {
        self.0.relays.stop().await;
    }

    /// Close all databases, after the last call.
    pub(crate) async fn close_databases(&self) {
        for database in self.serving().databases.values() {
            database.close().await;
        }
    }

    /// Put a config into effect in one step or not at all.
    ///
    /// # Errors
    /// Everything that stands in the way.
    pub(crate) async fn apply(&self, config: Config) -> Result<ReloadReport, ConfigError> {
        let _turn = self.0.turn.write().await;
        let before = self.serving();
        let running = Running {
            config: Some(&before.config),
            engine: &self.0.engine,
            apps: &before.apps,
            databases: &before.databases,
            tokens: &before.tokens,
            context: &self.0.state.context,
        };
        let mut plan = plan(&config, &running).await?;
        // From here on nothing can fail and nothing waits: for connections it is one step.
        plan.apply();
        self.0.state.set_routing(RoutingTable::new(&config, &plan.apps));
        self.0.relays.apply(&config, &plan.databases, &plan.apps);
        let apps = Arc::new(plan.apps);
        *self.0.serving.lock() = Serving {
            config: Arc::new(config),
            apps: Arc::clone(&apps),
            databases: plan.databases.clone(),
            tokens: Arc::new(plan.tokens),
        };
        for app in before.apps.iter().filter(|(name, _)| !apps.contains_key(*name)).map(|(_, app)| app) {
            app.go();
        }
        self.0.reloaded.notify_one();
        // Calls that use them end first; the reload does not wait for that.
        let last_use = databases::last_use(&before.config);
        self.0
            .state
            .context
            .tasks
            .spawn(async move { databases::close(before.databases, &plan.databases, last_use).await });
        Ok(ReloadReport { changes: plan.changes })
    }

    /// The apps that run, by name.
    pub(crate) fn apps(&self) -> Arc<Apps> {
        self.serving().apps
    }

    /// The config that is in effect.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.serving().config
    }

    pub(super) fn serving(&self) -> Serving {
        self.0.serving.lock().clone()
    }

    pub(crate) fn app(&self, name: &str) -> Result<Arc<App>, DeployError> {
        let Serving { apps, .. } = self.serving();
        apps.get(name)
            .cloned()
            .ok_or_else(|| DeployError::UnknownApp { app: name.to_owned(), known: apps.keys().cloned().collect() })
    }

    fn module_file(&self, app: &str) -> Option<PathBuf> {
        self.module_files().into_iter().find(|(name, _)| name == app).map(|(_, file)| file)
    }

    async fn compile(&self, app: &Arc<App>, source: Source) -> Result<Arc<Version>, DeployError> {
        let compiled = gate::compile(&self.0.engine, source, Candidate::running(app), Meanwhile::Serving).await;
        compiled.map_err(|error| refused(app, error.into()))
    }

    async fn admit(&self, app: &Arc<App>, version: &Arc<Version>) -> Result<(), DeployError> {
        let admitted = gate::admit(&app.name, version, &app.setup(), &self.0.state.context).await;
        admitted.map_err(|error| refused(app, error))
    }

    fn serve(&self, app: &Arc<App>, version: &Arc<Version>, rollout: Rollout) -> Outcome {
        let (setup, now) = (app.setup(), Instant::now());
        let change = match rollout {
            Rollout::Full => app.versions.change(&setup, |state| state.deploy(version, &setup, now)),
            Rollout::Canary(share) => app.versions.change(&setup, |state| state.try_out(version, share, &setup, now)),
        };
        match change {
            Some(change) => {
                let before = change.previous.as_ref().map(|version| &*version.id);
                let swap = description::name(app.versions.swap(&setup));
                let canary_percent = match rollout {
                    Rollout::Full => None,
                    Rollout::Canary(share) => Some(share.as_percent()),
                };
                tracing::info!(app = %app.name, version = %version.id, before, canary_percent, swap, "deployed");
                self.changed(app, change)
            }
            None => description::no_change(app, version),
        }
    }

    fn changed(&self, app: &Arc<App>, change: Change) -> Outcome {
        versions::announce(app);
        let file = self.module_file(&app.name).unwrap_or_default();
        description::change(app, &change, &file)
    }
}

/// The files of all modules of a config, with the apps that they are of.
pub(crate) fn module_files(config: &Config) -> Vec<(String, PathBuf)> {
    let file = |module: &Path| config.locator.folder().join(module);
    config.apps.iter().map(|(name, app)| (name.clone(), file(&app.module))).collect()
}

/// Note that a version was refused: in the log, for the list and for the metrics.
fn refused(app: &App, error: GateError) -> DeployError {
    if let GateError::Load(LoadError::BeingWritten { .. }) = error {
        return DeployError::Gate(error);
    }
    let kind = error.kind();
    // The names in it are the module's, which may have put anything into them.
    let message = log_line(&error.to_string()).into_owned();
    tracing::error!(app = %app.name, kind, "a new version was refused, the running one goes on: {message}");
    app.versions.note_refusal(kind, message);
    DeployError::Gate(error)
}

fn missed(app: &str, missing: Missing) -> DeployError {
    let app = app.to_owned();
    match missing {
        Missing::Canary => DeployError::NoCanary { app },
        Missing::Previous => DeployError::NoPrevious { app },
    }
}

fn names(known: &[String]) -> String {
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
