//! Everything that a config asks for, made ready as a whole: databases opened, modules compiled and let through the gate.
//! Then it is put into effect in one step, or not at all. A start is a reload from nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::api_tokens::ApiTokens;
use super::auth;
use super::changes;
use super::databases::{self, Databases, set_up};
use super::gate::{self, Candidate, GateError, Meanwhile, Source};
use crate::app::versions::{self, Version};
use crate::app::{App, HostContext, Setup};
use crate::config::{AppConfig, Config, Problem, Problems};
use crate::module::{Engine, LoadError};

/// Apps by their name in the config.
pub(super) type Apps = BTreeMap<String, Arc<App>>;

/// What a host needs to serve a config.
pub struct Prepared {
    /// The engine that compiled the modules.
    pub engine: Engine,
    /// The apps, by name.
    pub apps: BTreeMap<String, Arc<App>>,
    /// All databases of the config.
    pub databases: Databases,
    /// The tokens of the API.
    pub tokens: ApiTokens,
}

/// What a reload of the config has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// A sentence for each change; none if the new config is equal to the old one.
    pub changes: Vec<String>,
}

/// What serves now.
pub(super) struct Running<'a> {
    /// The config that is in effect; none when the host starts.
    pub(super) config: Option<&'a Config>,
    pub(super) engine: &'a Engine,
    pub(super) apps: &'a Apps,
    pub(super) databases: &'a Databases,
    pub(super) tokens: &'a ApiTokens,
    pub(super) context: &'a HostContext,
}

/// Everything that a new config asks for, ready.
pub(super) struct Plan {
    /// All databases that there will be.
    pub(super) databases: Databases,
    /// All apps that there will be.
    pub(super) apps: Apps,
    /// All tokens of the API that there will be.
    pub(super) tokens: ApiTokens,
    /// A sentence for each change.
    pub(super) changes: Vec<String>,
    steps: Vec<Step>,
}

/// What changes for an app that runs already.
struct Step {
    app: Arc<App>,
    setup: Option<Arc<Setup>>,
    version: Option<Arc<Version>>,
}

/// What the file of each app's module holds.
type Compiled = BTreeMap<String, Result<Arc<Version>, LoadError>>;

/// Open the databases and load the modules, all at the same time.
///
/// # Errors
/// All problems at once, each with its key.
pub async fn prepare(config: &Config, context: &HostContext) -> Result<Prepared, Problems> {
    let engine = Engine::new(config).map_err(|error| {
        let message = format!("cannot reserve room for so many instances: {error:#}");
        Problems(vec![config.locator.problem("limits.max_instances", message)])
    })?;
    let (apps, databases, tokens) = (Apps::new(), Databases::new(), ApiTokens::default());
    let nothing =
        Running { config: None, engine: &engine, apps: &apps, databases: &databases, tokens: &tokens, context };
    let Plan { apps, databases, tokens, .. } = plan(config, &nothing).await?;
    Ok(Prepared { engine, apps, databases, tokens })
}

/// Make a config ready. What serves is not touched.
///
/// # Errors
/// All problems at once, each with its key.
pub(super) async fn plan(config: &Config, running: &Running<'_>) -> Result<Plan, Problems> {
    let kept = running.databases.iter().filter(|(name, _)| running.keeps_database(config, name));
    let kept: Databases = kept.map(|(name, database)| (name.clone(), Arc::clone(database))).collect();
    let ((databases, mut problems), mut compiled) =
        tokio::join!(databases::open(config, kept), compile_all(config, running));
    let mut changes = Vec::new();
    if let Some(old) = running.config {
        problems.extend(changes::fixed(config, old, running));
        changes = changes::of_the_host(config, old);
    }
    let tokens = ApiTokens::load(config).unwrap_or_else(|Problems(of_tokens)| {
        problems.extend(of_tokens);
        ApiTokens::default()
    });
    if running.config.is_some() && !tokens.are(running.tokens) {
        changes.push("the tokens of the API are others".to_owned());
    }
    let mut plan = Plan { databases, apps: Apps::new(), tokens, changes, steps: Vec::new() };
    for (name, new) in &config.apps {
        let Some(compiled) = compiled.remove(name) else { continue };
        let planned = match running.apps.get(name) {
            Some(app) => plan.change_app(config, (name, new), app, compiled, running).await,
            None => plan.add_app(config, (name, new), compiled, running).await,
        };
        problems.extend(planned.err().unwrap_or_default());
    }
    for name in running.apps.keys().filter(|name| !config.apps.contains_key(*name)) {
        plan.changes.push(format!("the app `{name}` is gone; its connections are closed with 1001"));
    }
    if problems.is_empty() {
        return Ok(plan);
    }
    // The apps of the plan have handles, which would keep the databases open.
    let databases = std::mem::take(&mut plan.databases);
    drop(plan);
    databases::close(databases, running.databases, Duration::ZERO).await;
    // In the order of the file.
    problems.sort_by_key(|problem| problem.line);
    Err(Problems(problems))
}

/// Compile the modules of all apps. A version that an app has already is not compiled again.
async fn compile_all(config: &Config, running: &Running<'_>) -> Compiled {
    let mut compiling = JoinSet::new();
    for (name, app) in &config.apps {
        let candidate = Candidate::configured(name, app, running.apps.get(name));
        let source = Source::File(config.locator.folder().join(&app.module));
        let (engine, name, meanwhile) = (running.engine.clone(), name.clone(), running.meanwhile());
        compiling.spawn(async move {
            let version = gate::compile(&engine, source, candidate, meanwhile).await;
            (name, version)
        });
    }
    let mut compiled = Compiled::new();
    while let Some(Ok((name, version))) = compiling.join_next().await {
        compiled.insert(name, version);
    }
    compiled
}

impl Running<'_> {
    fn keeps_database(&self, config: &Config, name: &str) -> bool {
        self.config.is_some_and(|old| changes::is_same_database(config, old, name))
    }

    fn meanwhile(&self) -> Meanwhile {
        match self.config {
            Some(_) => Meanwhile::Serving,
            None => Meanwhile::Starting,
        }
    }
}

impl Plan {
    async fn add_app(
        &mut self,
        config: &Config,
        (name, new): (&str, &AppConfig),
        compiled: Result<Arc<Version>, LoadError>,
        running: &Running<'_>,
    ) -> Result<(), Vec<Problem>> {
        let refused = |error| module_problems(config, name, error);
        let version = compiled.map_err(|error| refused(error.into()))?;
        let auth = auth::load(config, name, new, None)?;
        let setup = set_up(config, name, new, &self.databases, auth).await?;
        if self.has_databases(new) {
            gate::admit(name, &version, &setup, running.context).await.map_err(refused)?;
        }
        self.changes.push(format!("the app `{name}` is new, at {}, with version {}", new.path, version.id));
        self.apps.insert(name.to_owned(), App::start(name, setup, version, running.context.clone()));
        Ok(())
    }

    async fn change_app(
        &mut self,
        config: &Config,
        (name, new): (&str, &AppConfig),
        app: &Arc<App>,
        compiled: Result<Arc<Version>, LoadError>,
        running: &Running<'_>,
    ) -> Result<(), Vec<Problem>> {
        let refused = |error: GateError| {
            app.versions.note_refusal(error.kind(), error.to_string());
            module_problems(config, name, error)
        };
        let read = compiled.map_err(|error| refused(error.into()))?;
        // A file that has not changed does not replace a version that was deployed by hand or rolled back.
        let version = Some(read).filter(|version| version.id != app.versions.file());
        let before = app.setup();
        let auth = auth::load(config, name, new, before.auth.as_ref())?;
        // A file of keys may hold others although the config is as it was.
        let is_as_before = !auth::has_changed(auth.as_ref(), before.auth.as_ref());
        let is_set_up_anew = running.config.is_none_or(|old| changes::has_new_setup(config, old, name));
        let setup = match is_as_before && !is_set_up_anew {
            true => None,
            false => Some(set_up(config, name, new, &self.databases, auth).await?),
        };
        let effective = setup.clone().unwrap_or_else(|| app.setup());
        // Versions that go on serving have to fit the new grants too.
        let goes_on = match (&setup, &version) {
            (None, _) => Vec::new(),
            (Some(_), None) => app.versions.in_use(),
            (Some(setup), Some(_)) => app.versions.in_use_after_deploy(setup),
        };
        if self.has_databases(new) {
            for version in version.iter().chain(&goes_on) {
                gate::admit(name, version, &effective, running.context).await.map_err(refused)?;
            }
        }
        if let Some(old) = running.config.and_then(|old| old.apps.get(name)).filter(|old| old.path != new.path) {
            self.changes.push(format!("the app `{name}` is at {} now, not at {}", new.path, old.path));
        }
        if !is_as_before {
            self.changes.push(format!("the app `{name}` demands other tokens, or none"));
        }
        if is_set_up_anew {
            self.changes.push(format!("the app `{name}` has other grants, limits, settings or origins"));
        }
        if let Some(version) = &version {
            self.changes.push(format!("the app `{name}` serves version {}", version.id));
        }
        self.apps.insert(name.to_owned(), Arc::clone(app));
        self.steps.push(Step { app: Arc::clone(app), setup, version });
        Ok(())
    }

    /// Whether all databases of an app could be opened. If one could not, which is a problem of its own, a self-test
    /// without it would say nothing.
    fn has_databases(&self, app: &AppConfig) -> bool {
        app.databases.keys().all(|database| self.databases.contains_key(database))
    }

    /// Put the plan into effect, except for the paths, which the routing table has for new and changed apps alike. Cannot
    /// fail.
    pub(super) fn apply(&mut self) {
        for Step { app, setup, version } in self.steps.drain(..) {
            if let Some(setup) = setup {
                app.set_up(setup);
            }
            if let Some(version) = version {
                app.versions.set_file(&version.id);
                let setup = app.setup();
                app.versions.change(&setup, |table| table.deploy(&version, &setup, Instant::now()));
                versions::announce(&app);
            }
        }
    }
}

/// What keeps a module from serving, as problems of its key.
fn module_problems(config: &Config, name: &str, error: GateError) -> Vec<Problem> {
    let key = format!("apps.{name}.module");
    error.sentences().into_iter().map(|sentence| config.locator.problem(&key, sentence)).collect()
}
