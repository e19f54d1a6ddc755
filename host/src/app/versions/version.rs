//! One exact module: compiled, fit for the contract, with what it has done so far.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::{Component, InstancePre};

use super::HealthMonitor;
use super::stats::Stats;
use crate::app::call::InstanceState;
use crate::app::imports;
use crate::config::Grant;
use crate::module::bindings::exports::hassock::host::{handler, migration, self_test, timer_handler};
use crate::module::{Engine, LoadError, VersionId, version_id};

/// The first bytes of any WebAssembly file, and of a component (the layer field is 1).
const WASM: &[u8] = b"\0asm";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A module that can be instantiated. It is unloaded when nobody has it any more.
pub struct Version {
    /// Its name.
    pub id: VersionId,
    /// What it has done.
    pub stats: Stats,
    /// Whether it is new, and does well.
    pub(crate) health: HealthMonitor,
    pub(in crate::app) pre: InstancePre<InstanceState>,
    pub(in crate::app) exports: Exports,
    needs_database: bool,
    /// It serves no new connections: its instances are not kept for later.
    retired: AtomicBool,
}

/// What it exports: all but the handler is optional.
#[derive(Clone)]
pub(in crate::app) struct Exports {
    pub(in crate::app) handler: handler::GuestIndices,
    pub(in crate::app) timer_handler: Option<timer_handler::GuestIndices>,
    pub(in crate::app) self_test: Option<self_test::GuestIndices>,
    pub(in crate::app) migration: Option<migration::GuestIndices>,
}

impl Version {
    /// Compile a component and check that it is a module for the app `name` with these grants. `file` is for
    /// messages. Takes from a tenth of a second to many: call it off the runtime's threads.
    ///
    /// # Errors
    /// One error that names everything that is wrong with it.
    pub fn compile(
        engine: &Engine,
        file: &Path,
        bytes: &[u8],
        name: &str,
        databases: &BTreeMap<String, Grant>,
    ) -> Result<Self, LoadError> {
        let file = file.to_owned();
        if !bytes.starts_with(WASM) {
            return Err(LoadError::NotWasm { file });
        }
        if !bytes.starts_with(COMPONENT) {
            return Err(LoadError::NotComponent { file });
        }
        let component = match engine.compile(bytes) {
            Ok(component) => component,
            Err(error) => return Err(LoadError::Invalid { file, reason: one_line(&error) }),
        };
        let mismatch = |error| LoadError::Mismatch { file: file.clone(), reason: one_line(&error) };
        let linker = imports::linker(engine).map_err(mismatch)?;
        // Before linking, which would name only the first import that the host does not have.
        check_imports(&component, name, databases)?;
        let pre = linker.instantiate_pre(&component).map_err(mismatch)?;
        let exports = exports(&file, &component, &pre)?;
        Ok(Self {
            id: version_id(bytes),
            stats: Stats::default(),
            health: HealthMonitor::default(),
            needs_database: has_import(&component, SQL),
            pre,
            exports,
            retired: AtomicBool::new(false),
        })
    }

    /// Whether the app `name` still has the grants that the module needs.
    ///
    /// # Errors
    /// A sentence for each import that is not granted.
    pub fn check_grants(&self, name: &str, databases: &BTreeMap<String, Grant>) -> Result<(), LoadError> {
        check_imports(self.pre.component(), name, databases)
    }

    /// Whether these grants are enough for it.
    pub(crate) fn has_grants(&self, databases: &BTreeMap<String, Grant>) -> bool {
        !self.needs_database || !databases.is_empty()
    }

    /// Whether it changes the attachments of connections that move to it.
    pub fn has_migration(&self) -> bool {
        self.exports.migration.is_some()
    }

    /// It serves new connections from now on.
    pub(crate) fn enlist(&self) {
        self.retired.store(false, Ordering::Release);
    }

    /// It serves no new connections any more. The pool still has its idle instances.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }
}

/// Denied by default: what the module imports must be there and granted. All that is not is said at once.
fn check_imports(component: &Component, name: &str, databases: &BTreeMap<String, Grant>) -> Result<(), LoadError> {
    let imports: Vec<String> = component
        .component_type()
        .imports(component.engine())
        .filter_map(|(import, _)| objection(import, name, databases))
        .collect();
    if imports.is_empty() { Ok(()) } else { Err(LoadError::Imports { imports }) }
}

fn objection(import: &str, name: &str, databases: &BTreeMap<String, Grant>) -> Option<String> {
    match import.split('@').next().unwrap_or(import) {
        SQL if databases.is_empty() => Some(format!(
            "the module imports `{import}`, which is not granted; add `databases = {{ NAME = \"read-write\" }}` to `[apps.{name}]`"
        )),
        interface if is_known(interface) => None,
        _ => Some(format!("the module imports `{import}`, which this host does not have; no key can grant it")),
    }
}

fn is_known(interface: &str) -> bool {
    /// Without folders, variables and network; see `InstanceState`.
    const WASI: [&str; 6] =
        ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
    matches!(
        interface,
        "hassock:host/types"
            | "hassock:host/connections"
            | "hassock:host/topics"
            | "hassock:host/sql"
            | "hassock:host/timers"
            | "hassock:host/log"
            | "hassock:host/about"
            | "wasi:config/store"
    ) || WASI.iter().any(|package| interface.starts_with(package))
}

fn exports(file: &Path, component: &Component, pre: &InstancePre<InstanceState>) -> Result<Exports, LoadError> {
    let mismatch = |error| LoadError::Mismatch { file: file.to_owned(), reason: one_line(&error) };
    let missing = |export, hint| LoadError::MissingExport { file: file.to_owned(), export, hint };
    let has = |export| component.get_export_index(None, export).is_some();
    if !has(HANDLER) {
        return Err(missing(HANDLER, "; in Rust, write `hassock_guest::export!(YourType);`"));
    }
    if !has(TIMER_HANDLER) && has_import(component, TIMERS) {
        return Err(missing(TIMER_HANDLER, ", but imports `hassock:host/timers`: its timers could never fire"));
    }
    Ok(Exports {
        handler: handler::GuestIndices::new(pre).map_err(mismatch)?,
        timer_handler: has(TIMER_HANDLER)
            .then(|| timer_handler::GuestIndices::new(pre))
            .transpose()
            .map_err(mismatch)?,
        self_test: has(SELF_TEST).then(|| self_test::GuestIndices::new(pre)).transpose().map_err(mismatch)?,
        migration: has(MIGRATION).then(|| migration::GuestIndices::new(pre)).transpose().map_err(mismatch)?,
    })
}

/// Whether a component imports an interface, of whatever version.
fn has_import(component: &Component, interface: &str) -> bool {
    let types = component.component_type();
    let mut imports = types.imports(component.engine());
    imports.any(|(import, _)| import.split('@').next() == Some(interface))
}

const SQL: &str = "hassock:host/sql";
const TIMERS: &str = "hassock:host/timers";
const HANDLER: &str = "hassock:host/handler@0.1.0";
const TIMER_HANDLER: &str = "hassock:host/timer-handler@0.1.0";
const SELF_TEST: &str = "hassock:host/self-test@0.1.0";
const MIGRATION: &str = "hassock:host/migration@0.1.0";

/// Wasmtime's errors are chains over several lines; ours are one message.
fn one_line(error: &wasmtime::Error) -> String {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    chain.join(": ").replace('\n', " ")
}
