//! A config that has changed while the host serves: made ready as a whole, then put into effect in one step,
//! or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use super::gate::{self, Candidate, GateError, Meanwhile, Source};
use super::prepare::{Databases, module_problems, open_databases, set_up, sorted};
use crate::app::versions::{self, Version};
use crate::app::{App, HostContext, Setup};
use crate::config::{AppConfig, Config, Problem, Problems};
use crate::module::Engine;

/// What a reload of the config has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// A sentence each; none if the config says the same as before.
    pub changes: Vec<String>,
}

/// Apps by their name in the config.
pub(super) type Apps = BTreeMap<String, Arc<App>>;

/// What serves now.
pub(super) struct Running<'a> {
    pub(super) config: &'a Config,
    pub(super) engine: &'a Engine,
    pub(super) apps: &'a Apps,
    pub(super) databases: &'a Databases,
    pub(super) context: &'a HostContext,
}

/// Everything that a new config asks for, ready.
pub(super) struct Plan {
    /// All databases that there will be.
    pub(super) databases: Databases,
    /// All apps that there will be.
    pub(super) apps: Apps,
    /// A sentence for each change.
    pub(super) changes: Vec<String>,
    steps: Vec<Step>,
}

/// What changes for an app that goes on.
struct Step {
    app: Arc<App>,
    setup: Option<Arc<Setup>>,
    version: Option<Arc<Version>>,
}

/// Make a config ready. Nothing that serves is touched.
///
/// # Errors
/// Everything that stands in the way.
pub(super) async fn plan(config: &Config, running: &Running<'_>) -> Result<Plan, Problems> {
    let mut problems = fixed(config, running);
    let kept = running.databases.iter().filter(|(name, _)| is_same_database(config, running, name));
    let kept: Databases = kept.map(|(name, database)| (name.clone(), Arc::clone(database))).collect();
    let (databases, refused) = open_databases(config, kept, |name| !is_same_database(config, running, name)).await;
    problems.extend(refused);
    let mut plan =
        Plan { databases, apps: BTreeMap::new(), changes: changes_of_the_host(config, running), steps: Vec::new() };
    for (name, new) in &config.apps {
        let planned = match running.apps.get(name) {
            Some(app) => plan.change_app(config, (name, new), app, running).await,
            None => plan.add_app(config, (name, new), running).await,
        };
        problems.extend(planned.err().unwrap_or_default());
    }
    for name in running.apps.keys().filter(|name| !config.apps.contains_key(*name)) {
        plan.changes.push(format!("the app `{name}` is gone; its connections are closed with 1001"));
    }
    if problems.is_empty() {
        return Ok(plan);
    }
    // The rest of the plan has handles.
    let databases = std::mem::take(&mut plan.databases);
    drop(plan);
    close(databases, running.databases, Duration::ZERO).await;
    Err(sorted(problems))
}

impl Plan {
    async fn add_app(
        &mut self,
        config: &Config,
        (name, new): (&str, &AppConfig),
        running: &Running<'_>,
    ) -> Result<(), Vec<Problem>> {
        let refused = |error| module_problems(config, name, error);
        let source = Source::File(config.locator.folder().join(&new.module));
        let candidate = Candidate::configured(name, new, None);
        let version = gate::compile(running.engine, source, candidate, Meanwhile::Serving)
            .await
            .map_err(|error| refused(error.into()))?;
        let setup = set_up(config, name, new, &self.databases).await?;
        gate::admit(name, &version, &setup, running.context).await.map_err(refused)?;
        self.changes.push(format!("the app `{name}` is new, at {}, with version {}", new.path, version.id));
        self.apps.insert(name.to_owned(), App::new(name, setup, version, running.context.clone()));
        Ok(())
    }

    async fn change_app(
        &mut self,
        config: &Config,
        (name, new): (&str, &AppConfig),
        app: &Arc<App>,
        running: &Running<'_>,
    ) -> Result<(), Vec<Problem>> {
        let refused = |error: GateError| {
            app.versions.note_refusal(error.kind(), error.to_string());
            module_problems(config, name, error)
        };
        let source = Source::File(config.locator.folder().join(&new.module));
        let candidate = Candidate::configured(name, new, Some(app));
        let read = gate::compile(running.engine, source, candidate, Meanwhile::Serving)
            .await
            .map_err(|error| refused(error.into()))?;
        // A version that was deployed by hand, or rolled back, is not touched by a file that has not changed.
        let version = Some(read).filter(|version| version.id != app.versions.file());
        let setup = match has_new_setup(config, running, name) {
            true => Some(set_up(config, name, new, &self.databases).await?),
            false => None,
        };
        let effective = setup.clone().unwrap_or_else(|| app.setup());
        // What goes on serving has to fit the new grants too.
        let goes_on = match (&setup, &version) {
            (None, _) => Vec::new(),
            (Some(_), None) => app.versions.in_use(),
            (Some(setup), Some(_)) => app.versions.in_use_after_deploy(setup),
        };
        for version in version.iter().chain(&goes_on) {
            gate::admit(name, version, &effective, running.context).await.map_err(refused)?;
        }
        if let Some(old) = running.config.apps.get(name).filter(|old| old.path != new.path) {
            self.changes.push(format!("the app `{name}` is at {} now, not at {}", new.path, old.path));
        }
        if setup.is_some() {
            self.changes.push(format!("the app `{name}` has other grants, limits, settings or origins"));
        }
        if let Some(version) = &version {
            self.changes.push(format!("the app `{name}` serves version {}", version.id));
        }
        self.apps.insert(name.to_owned(), Arc::clone(app));
        self.steps.push(Step { app: Arc::clone(app), setup, version });
        Ok(())
    }

    /// Put it into effect, but for the paths, which lead to new and changed apps alike. Cannot fail.
    pub(super) fn apply(&mut self) {
        for Step { app, setup, version } in self.steps.drain(..) {
            if let Some(setup) = setup {
                app.set_up(setup);
            }
            if let Some(version) = version {
                app.versions.set_file(&version.id);
                let setup = app.setup();
                app.versions.change(&setup, |state| state.deploy(&version, &setup, Instant::now()));
                versions::announce(&app);
            }
        }
    }
}

/// How long the calls of a config may use a database after it is gone from it: the last call of a connection
/// may still have to begin.
pub(super) fn last_use(config: &Config) -> Duration {
    let longest = config.apps.values().map(|app| app.limits.call_timeout.get() + app.limits.instance_wait.get()).max();
    longest.unwrap_or_default() * 2
}

/// Close the databases that are in one list and not in the other. Calls that use them end first, and so do the
/// connections of apps that are gone, but they are not waited for longer than `last_use`.
pub(super) async fn close(these: Databases, but: &Databases, last_use: Duration) {
    let is_kept = |database| but.values().any(|kept| Arc::ptr_eq(kept, database));
    for database in these.values().filter(|database| !is_kept(database)) {
        // What still has it then finds it closed.
        let _ = timeout(last_use, database.unused()).await;
        database.close().await;
    }
}

/// Keys that a running host cannot change.
fn fixed(config: &Config, running: &Running<'_>) -> Vec<Problem> {
    let old = running.config;
    let changed = [
        ("listen", config.listen != old.listen),
        ("watch", config.watch != old.watch),
        ("log", config.log != old.log),
        ("admin", config.admin != old.admin),
        ("cache", config.cache != old.cache),
        ("limits.max_instances", config.limits.max_instances != old.limits.max_instances),
    ];
    let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
    let restart = "cannot change while the host runs; restart it, or put the old value back";
    let mut problems: Vec<_> = changed.map(|(key, _)| config.locator.problem(key, restart)).collect();
    let most = running.engine.max_memory();
    for (name, app) in config.apps.iter().filter(|(_, app)| app.limits.memory.bytes() > most) {
        let message = format!(
            "{} is more than the {} MiB that the host reserved for an instance when it started; restart it",
            app.limits.memory,
            most >> 20
        );
        problems.push(config.locator.problem(&format!("apps.{name}.limits.memory"), message));
    }
    problems
}

fn is_same_database(config: &Config, running: &Running<'_>, name: &str) -> bool {
    config.databases.contains_key(name) && config.databases.get(name) == running.config.databases.get(name)
}

/// What changes beside the apps.
fn changes_of_the_host(config: &Config, running: &Running<'_>) -> Vec<String> {
    let mut changes = database_changes(config, running);
    if config.limits != running.config.limits {
        changes.push("the limits of the host are others".to_owned());
    }
    match (running.config.test_page, config.test_page) {
        (false, true) => changes.push("the test page is served now".to_owned()),
        (true, false) => changes.push("the test page is not served any more".to_owned()),
        _ => {}
    }
    changes
}

fn database_changes(config: &Config, running: &Running<'_>) -> Vec<String> {
    let old = &running.config.databases;
    let there = config.databases.iter().filter_map(|(name, database)| match old.get(name) {
        None => Some(format!("the database `{name}` is new")),
        Some(before) if before != database => Some(format!("the database `{name}` was opened again")),
        Some(_) => None,
    });
    let gone = old.keys().filter(|name| !config.databases.contains_key(*name));
    there.chain(gone.map(|name| format!("the database `{name}` is gone"))).collect()
}

/// Whether anything but its place and its module has changed for an app.
fn has_new_setup(config: &Config, running: &Running<'_>, name: &str) -> bool {
    let (new, old) = (config.apps.get(name), running.config.apps.get(name));
    let databases_changed =
        new.iter().flat_map(|app| app.databases.keys()).any(|database| !is_same_database(config, running, database));
    // A module is told apart a name that it may not use from one that is not there.
    let names_changed = !config.databases.keys().eq(running.config.databases.keys());
    new.map(setup_part) != old.map(setup_part) || databases_changed || names_changed
}

fn setup_part(app: &AppConfig) -> AppConfig {
    AppConfig { path: String::new(), module: Default::default(), build: None, ..app.clone() }
}
