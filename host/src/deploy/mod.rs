//! From a config to apps that can serve: databases opened, modules compiled and checked. All that is wrong
//! is found before anything is served.

mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::task::TaskTracker;

pub use watch::Watcher;

use crate::app::App;
use crate::config::{AppConfig, Config, DatabaseConfig, Grant, Problem, Problems};
use crate::database::{Access, Database, DatabaseLimits, Handle, OpenError};
use crate::handshake::Routes;
use crate::module::{Engine, LoadError, Version};

/// What a host needs to serve a config.
pub struct Prepared {
    /// The engine that compiled the modules.
    pub engine: Engine,
    /// The apps.
    pub routes: Routes,
    /// All databases of the config, to close them in the end.
    pub databases: Vec<Arc<Database>>,
}

/// Why a module was not reloaded.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The config has no such app.
    #[error("there is no app `{0}`")]
    UnknownApp(String),
    /// Its module cannot serve.
    #[error("{0}")]
    Load(#[from] LoadError),
}

/// Open the databases and load the modules, all at the same time.
///
/// # Errors
/// Everything that stands in the way, at once, with the key that it is about.
pub async fn prepare(config: &Config, tasks: &TaskTracker) -> Result<Prepared, Problems> {
    let engine = match Engine::new(config) {
        Ok(engine) => engine,
        Err(error) => {
            let message = format!("cannot reserve room for so many instances: {error:#}");
            return Err(Problems(vec![config.locator.problem("limits.max_instances", message)]));
        }
    };
    let ((databases, mut problems), (versions, refused)) =
        tokio::join!(open_databases(config), load_versions(&engine, config));
    problems.extend(refused);
    let mut routes = Routes::default();
    for (name, version) in versions {
        let Some(app) = config.apps.get(&name) else { continue };
        match grants(config, &name, app, &databases).await {
            Ok(grants) => {
                let known: BTreeSet<String> = config.databases.keys().cloned().collect();
                routes.insert(&app.path, App::new(&name, app, grants, known, version, tasks.clone()));
            }
            Err(problem) => problems.extend(problem),
        }
    }
    if problems.is_empty() {
        return Ok(Prepared { engine, routes, databases: databases.into_values().collect() });
    }
    problems.sort_by_key(|problem| problem.line);
    Err(Problems(problems))
}

/// Read and compile a module, off the runtime's threads: serving goes on meanwhile.
///
/// # Errors
/// If it cannot serve.
pub async fn load(engine: &Engine, file: PathBuf, name: &str, app: &AppConfig) -> Result<Version, LoadError> {
    let (engine, name, app) = (engine.clone(), name.to_owned(), app.clone());
    let shown = file.clone();
    let work = move || {
        let bytes = std::fs::read(&file).map_err(|source| LoadError::Unreadable { file: file.clone(), source })?;
        Version::load(&engine, &file, &bytes, &name, &app)
    };
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(LoadError::Invalid { file: shown, reason: error.to_string() }),
    }
}

async fn open_databases(config: &Config) -> (BTreeMap<String, Arc<Database>>, Vec<Problem>) {
    let mut opening = JoinSet::new();
    for (name, database) in &config.databases {
        let (name, url, folder) = (name.clone(), database.url.clone(), config.locator.folder().to_owned());
        let limits = database_limits(database);
        opening.spawn(async move {
            let opened = Database::open(&name, url.expose(), &folder, limits).await;
            (name, opened)
        });
    }
    let (mut databases, mut problems) = (BTreeMap::new(), Vec::new());
    while let Some(Ok((name, opened))) = opening.join_next().await {
        match opened {
            Ok(database) => drop(databases.insert(name, Arc::new(database))),
            Err(error) => problems.push(config.locator.problem(&format!("databases.{name}.url"), error.to_string())),
        }
    }
    (databases, problems)
}

async fn load_versions(engine: &Engine, config: &Config) -> (Vec<(String, Version)>, Vec<Problem>) {
    let mut loading = JoinSet::new();
    for (name, app) in &config.apps {
        let (engine, name, app) = (engine.clone(), name.clone(), app.clone());
        let file = config.locator.folder().join(&app.module);
        loading.spawn(async move {
            let loaded = load(&engine, file, &name, &app).await;
            (name, loaded)
        });
    }
    let (mut versions, mut problems) = (Vec::new(), Vec::new());
    while let Some(Ok((name, loaded))) = loading.join_next().await {
        let mut refuse = |message: String| {
            problems.push(config.locator.problem(&format!("apps.{name}.module"), message));
        };
        match loaded {
            Ok(version) => versions.push((name, version)),
            Err(LoadError::Imports { imports }) => imports.into_iter().for_each(refuse),
            Err(error) => refuse(error.to_string()),
        }
    }
    (versions, problems)
}

/// The app's handles. A database that did not open is reported already, and no problem of the app.
async fn grants(
    config: &Config,
    name: &str,
    app: &AppConfig,
    databases: &BTreeMap<String, Arc<Database>>,
) -> Result<BTreeMap<String, Handle>, Vec<Problem>> {
    let (mut handles, mut problems) = (BTreeMap::new(), Vec::new());
    for (database, grant) in &app.databases {
        let Some(opened) = databases.get(database) else { continue };
        match opened.grant(access(*grant)).await {
            Ok(handle) => drop(handles.insert(database.clone(), handle)),
            Err(error) => problems.push(grant_problem(config, name, database, &error)),
        }
    }
    if problems.is_empty() { Ok(handles) } else { Err(problems) }
}

fn grant_problem(config: &Config, app: &str, database: &str, error: &OpenError) -> Problem {
    config.locator.problem(&format!("apps.{app}.databases.{database}"), error.to_string())
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
