//! A config made ready: databases opened, modules compiled and let through the gate. All that is wrong is
//! found before anything of it is served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::gate::{self, Candidate, GateError, Meanwhile, Source};
use crate::app::versions::Version;
use crate::app::{App, HostContext, Setup};
use crate::config::{AppConfig, Config, DatabaseConfig, Grant, Problem, Problems};
use crate::database::{Access, Database, DatabaseLimits, Handle};
use crate::module::Engine;

/// Databases by their name in the config.
pub type Databases = BTreeMap<String, Arc<Database>>;

/// What a host needs to serve a config.
pub struct Prepared {
    /// The engine that compiled the modules.
    pub engine: Engine,
    /// The apps, by name.
    pub apps: BTreeMap<String, Arc<App>>,
    /// All databases of the config.
    pub databases: Databases,
}

/// Open the databases and load the modules, all at the same time.
///
/// # Errors
/// Everything that stands in the way, at once, with the key that it is about.
pub async fn prepare(config: &Config, context: &HostContext) -> Result<Prepared, Problems> {
    let engine = match Engine::new(config) {
        Ok(engine) => engine,
        Err(error) => {
            let message = format!("cannot reserve room for so many instances: {error:#}");
            return Err(Problems(vec![config.locator.problem("limits.max_instances", message)]));
        }
    };
    let ((databases, mut problems), (versions, refused)) =
        tokio::join!(open_databases(config, Databases::new(), |_| true), compile_all(&engine, config));
    problems.extend(refused);
    let mut apps = BTreeMap::new();
    for (name, version) in versions {
        let Some(app) = config.apps.get(&name) else { continue };
        match admitted(config, &name, app, &version, &databases, context).await {
            Ok(setup) => drop(apps.insert(name.clone(), App::new(&name, setup, version, context.clone()))),
            Err(found) => problems.extend(found),
        }
    }
    match problems.is_empty() {
        true => Ok(Prepared { engine, apps, databases }),
        false => Err(sorted(problems)),
    }
}

/// Problems in the order of the file.
pub(super) fn sorted(mut problems: Vec<Problem>) -> Problems {
    problems.sort_by_key(|problem| problem.line);
    Problems(problems)
}

/// The setup of an app, if the version may serve with it.
async fn admitted(
    config: &Config,
    name: &str,
    app: &AppConfig,
    version: &Arc<Version>,
    databases: &Databases,
    context: &HostContext,
) -> Result<Arc<Setup>, Vec<Problem>> {
    let setup = set_up(config, name, app, databases).await?;
    // Without a database that has not opened, which is a problem of its own, the test would tell nothing.
    if app.databases.keys().all(|database| databases.contains_key(database)) {
        let admitted = gate::admit(name, version, &setup, context).await;
        admitted.map_err(|error| module_problems(config, name, error))?;
    }
    Ok(setup)
}

/// What keeps a module from serving, as problems of its key.
pub(super) fn module_problems(config: &Config, name: &str, error: GateError) -> Vec<Problem> {
    let key = format!("apps.{name}.module");
    error.sentences().into_iter().map(|sentence| config.locator.problem(&key, sentence)).collect()
}

/// The setup of an app. A database that did not open is reported already, and no problem of the app.
pub(super) async fn set_up(
    config: &Config,
    name: &str,
    app: &AppConfig,
    databases: &Databases,
) -> Result<Arc<Setup>, Vec<Problem>> {
    let (mut handles, mut problems) = (BTreeMap::<String, Handle>::new(), Vec::new());
    for (database, grant) in &app.databases {
        let Some(opened) = databases.get(database) else { continue };
        match opened.grant(access(*grant)).await {
            Ok(handle) => drop(handles.insert(database.clone(), handle)),
            Err(error) => {
                let key = format!("apps.{name}.databases.{database}");
                problems.push(config.locator.problem(&key, error.to_string()));
            }
        }
    }
    let known: BTreeSet<String> = config.databases.keys().cloned().collect();
    if problems.is_empty() { Ok(Setup::new(app, handles, known)) } else { Err(problems) }
}

/// Open those databases of the config that are new, beside those that are open already.
pub(super) async fn open_databases(
    config: &Config,
    mut databases: Databases,
    is_new: impl Fn(&str) -> bool,
) -> (Databases, Vec<Problem>) {
    let mut opening = JoinSet::new();
    for (name, database) in config.databases.iter().filter(|(name, _)| is_new(name)) {
        let (name, url, folder) = (name.clone(), database.url.clone(), config.locator.folder().to_owned());
        let limits = database_limits(database);
        opening.spawn(async move {
            let opened = Database::open(&name, url.expose(), &folder, limits).await;
            (name, opened)
        });
    }
    let mut problems = Vec::new();
    while let Some(Ok((name, opened))) = opening.join_next().await {
        match opened {
            Ok(database) => drop(databases.insert(name, Arc::new(database))),
            Err(error) => problems.push(config.locator.problem(&format!("databases.{name}.url"), error.to_string())),
        }
    }
    (databases, problems)
}

async fn compile_all(engine: &Engine, config: &Config) -> (Vec<(String, Arc<Version>)>, Vec<Problem>) {
    let mut compiling = JoinSet::new();
    for (name, app) in &config.apps {
        let (engine, name, candidate) = (engine.clone(), name.clone(), Candidate::configured(name, app, None));
        let source = Source::File(config.locator.folder().join(&app.module));
        compiling.spawn(async move {
            let compiled = gate::compile(&engine, source, candidate, Meanwhile::Starting).await;
            (name, compiled)
        });
    }
    let (mut versions, mut problems) = (Vec::new(), Vec::new());
    while let Some(Ok((name, compiled))) = compiling.join_next().await {
        match compiled {
            Ok(version) => versions.push((name, version)),
            Err(error) => problems.extend(module_problems(config, &name, error.into())),
        }
    }
    (versions, problems)
}

fn access(grant: Grant) -> Access {
    match grant {
        Grant::ReadOnly => Access::ReadOnly,
        Grant::ReadWrite => Access::ReadWrite,
    }
}

fn database_limits(config: &DatabaseConfig) -> DatabaseLimits {
    DatabaseLimits {
        max_connections: config.max_connections,
        acquire_timeout: config.acquire_timeout.get(),
        connect_timeout: config.connect_timeout.get(),
        query_timeout: config.query_timeout.get(),
        idle_timeout: config.idle_timeout.get(),
        max_rows: config.max_rows,
        max_result_bytes: config.max_result_bytes.bytes(),
    }
}
