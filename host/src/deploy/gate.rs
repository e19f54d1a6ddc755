//! The gate before traffic: a module is compiled, linked against the grants of its app, instantiated and
//! asked to test itself. What fails here never serves, and what serves goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::read_whole;
use crate::app::versions::Version;
use crate::app::{App, HostContext, Setup, call};
use crate::config::{AppConfig, Grant};
use crate::database::OpenError;
use crate::external::external;
use crate::module::{Binary, CallError, Engine, LoadError, run_niced};

/// Why a version gets no traffic.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// It cannot be loaded, or lacks a grant.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// A database cannot be opened read-only for its self-test.
    #[error("the self-test of version {version} cannot run: {source}")]
    Database {
        /// The version.
        version: Arc<str>,
        /// Why not.
        source: OpenError,
    },
    /// It cannot be instantiated.
    #[error("version {version} cannot be instantiated: {source}")]
    Instantiate {
        /// The version.
        version: Arc<str>,
        /// Why not.
        source: CallError,
    },
    /// Its self-test failed.
    #[error("the self-test (`check`) of version {version} failed: {source}{}", frames(.source))]
    Check {
        /// The version.
        version: Arc<str>,
        /// How.
        source: CallError,
    },
}

impl GateError {
    /// A word for the kind of failure, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Load(error) => error.kind(),
            Self::Database { .. } => "database",
            Self::Instantiate { .. } => "instantiate",
            Self::Check { .. } => "check",
        }
    }

    /// The problems that it stands for, a sentence each.
    pub fn sentences(self) -> Vec<String> {
        match self {
            Self::Load(LoadError::Imports { imports }) => imports,
            error => vec![error.to_string()],
        }
    }
}

/// The wasm frames of a trap: there is no log line of a call that would have them.
fn frames(error: &CallError) -> String {
    match error.backtrace() {
        "" => String::new(),
        frames => format!(" (in {frames})"),
    }
}

/// Where a component comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file of this machine.
    File(PathBuf),
    /// Bytes that were sent to the host.
    Bytes(Vec<u8>),
}

/// The app that a version is for.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) granted: BTreeMap<String, Grant>,
    /// If it runs already: a version that it has need not be compiled again.
    pub(super) running: Option<Arc<App>>,
}

/// What else the host does while a component is compiled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meanwhile {
    /// Nothing: it starts, and a caller waits for that.
    Starting,
    /// It serves, and the threads that compile have a lower priority.
    Serving,
}

/// Read and compile a component, off the runtime's threads.
///
/// # Errors
/// If it is not a module for this app.
pub(super) async fn compile(
    engine: &Engine,
    source: Source,
    app: Candidate,
    meanwhile: Meanwhile,
) -> Result<Arc<Version>, LoadError> {
    let engine = engine.clone();
    let shown = source.path();
    let work = move || {
        let file = source.path();
        let binary = Binary::new(source.read()?);
        match app.running.and_then(|running| running.versions.find(&binary.version())) {
            Some(version) => Ok(version),
            None => Version::compile(&engine, &file, &binary, &app.name, &app.granted).map(Arc::new),
        }
    };
    let failed = |reason| Err(LoadError::Invalid { file: shown, reason });
    let compiling = spawn_blocking(move || match meanwhile {
        Meanwhile::Starting => Ok(work()),
        Meanwhile::Serving => run_niced(work),
    });
    match external(compiling).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => failed(format!("cannot start a thread to compile on: {error}")),
        Err(error) => failed(error.to_string()),
    }
}

/// Whether a version may serve an app with this setup: its grants are there, it can be instantiated, and it
/// passes its own test.
///
/// # Errors
/// The first thing that stands in the way; all imports that are not granted count as one.
pub(super) async fn admit(
    name: &str,
    version: &Arc<Version>,
    setup: &Setup,
    context: &HostContext,
) -> Result<(), GateError> {
    version.check_grants(name, &setup.config.databases)?;
    let id = || Arc::clone(&version.id);
    // Only the version and the setup are the app's: a message that the self-test publishes reaches no connection.
    // Boxed, because futures that open a database are large and deep.
    let setup =
        Box::pin(setup.for_self_test()).await.map_err(|source| GateError::Database { version: id(), source })?;
    let rehearsal = App::without_timers(name, Arc::clone(&setup), Arc::clone(version), context.clone());
    // Boxed: a call is large, and the future of a deploy contains it.
    let checked = Box::pin(call::check(&rehearsal, &setup, version)).await;
    checked.map_err(|source| match source {
        CallError::Instantiate(_) | CallError::HostBusy(_) => GateError::Instantiate { version: id(), source },
        source => GateError::Check { version: id(), source },
    })
}

impl Candidate {
    /// An app of a config that is not running yet, or with other grants than those that it has.
    pub(super) fn configured(name: &str, config: &AppConfig, running: Option<&Arc<App>>) -> Self {
        Self { name: name.to_owned(), granted: config.databases.clone(), running: running.cloned() }
    }

    /// An app as it runs.
    pub(super) fn running(app: &Arc<App>) -> Self {
        Self {
            name: app.name.to_string(),
            granted: app.setup().config.databases.clone(),
            running: Some(Arc::clone(app)),
        }
    }
}

impl Source {
    fn path(&self) -> PathBuf {
        match self {
            Self::File(file) => file.clone(),
            Self::Bytes(_) => PathBuf::from("the component that was sent"),
        }
    }

    fn read(self) -> Result<Vec<u8>, LoadError> {
        match self {
            Self::File(file) => match read_whole(&file) {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => Err(LoadError::BeingWritten { file }),
                Err(source) => Err(LoadError::Unreadable { file, source }),
            },
            Self::Bytes(bytes) => Ok(bytes),
        }
    }
}
