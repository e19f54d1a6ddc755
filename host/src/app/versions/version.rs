//! One exact module, compiled and checked against the WIT interfaces, with its statistics.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use super::HealthMonitor;
use super::pace::Pace;
use super::stats::Stats;
use crate::app::call::InstanceState;
use crate::app::imports::{self, Waits};
use crate::config::Grant;
use crate::module::bindings::exports::hassock::host::{
    handler, migration, packed_handler, request_handler, resumption_handler, self_test, subscription_handler,
    timer_handler,
};
use crate::module::{Binary, Engine, LoadError, VersionId};

/// The first bytes of any WebAssembly file, and of a component (the layer field is 1).
const WASM: &[u8] = b"\0asm";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A module that can be instantiated. It is unloaded when its last reference is dropped.
pub struct Version {
    /// The name of the version.
    pub id: VersionId,
    /// The statistics of the version.
    pub stats: Stats,
    /// The health monitor, which is active while the version is new.
    pub(crate) health: HealthMonitor,
    pub(crate) pace: Pace,
    pub(in crate::app) pre: InstancePre<InstanceState>,
    pub(in crate::app) exports: Exports,
    needs_database: bool,
    /// Whether a call may wait, see [`imports::waits`].
    pub(in crate::app) may_wait: bool,
    /// The version serves no new connections, so its idle instances are not kept.
    retired: AtomicBool,
}

/// The exports of the module. All except the handler are optional.
#[derive(Clone)]
pub(in crate::app) struct Exports {
    pub(in crate::app) handler: handler::GuestIndices,
    /// `receive-packed`, which has its own way to be called.
    pub(in crate::app) receive_packed: Option<ComponentExportIndex>,
    /// The functions of the handler that are called directly, if the version cannot wait.
    pub(in crate::app) direct: Option<DirectExports>,
    pub(in crate::app) timer_handler: Option<timer_handler::GuestIndices>,
    pub(in crate::app) subscription_handler: Option<subscription_handler::GuestIndices>,
    pub(in crate::app) request_handler: Option<request_handler::GuestIndices>,
    pub(in crate::app) resumption_handler: Option<resumption_handler::GuestIndices>,
    pub(in crate::app) self_test: Option<self_test::GuestIndices>,
    pub(in crate::app) migration: Option<migration::GuestIndices>,
}

/// Functions of `handler` that a version which cannot wait has on the stack of the caller.
#[derive(Clone)]
pub(in crate::app) struct DirectExports {
    pub(in crate::app) open: ComponentExportIndex,
    pub(in crate::app) closed: ComponentExportIndex,
}

impl Version {
    /// Compile a component and check that it is a module for the app `name` with these grants. `file` is used in
    /// messages. This takes between a tenth of a second and many seconds, so call it off the runtime's threads.
    ///
    /// # Errors
    /// One error that lists every problem.
    pub fn compile(
        engine: &Engine,
        file: &Path,
        binary: &Binary,
        name: &str,
        databases: &BTreeMap<String, Grant>,
    ) -> Result<Self, LoadError> {
        let file = file.to_owned();
        let bytes = binary.bytes();
        if !bytes.starts_with(WASM) {
            return Err(LoadError::NotWasm { file });
        }
        if !bytes.starts_with(COMPONENT) {
            return Err(LoadError::NotComponent { file });
        }
        let component = match engine.compile(binary) {
            Ok(component) => component,
            Err(error) => return Err(LoadError::Invalid { file, reason: one_line(&error) }),
        };
        let mismatch = |error| LoadError::Mismatch { file: file.clone(), reason: one_line(&error) };
        // Before linking, because the linker would name only the first import that the host does not have.
        check_imports(&component, name, databases)?;
        let waits = imports::waits(&component, engine.membership());
        let may_wait = waits != Waits::Never;
        let engine = component.engine();
        let linker = match waits {
            Waits::InCluster => imports::linker_of_cluster(engine),
            Waits::Alone => imports::linker(engine),
            Waits::Never => imports::linker_without_waiting(engine),
        };
        let pre = linker.and_then(|linker| linker.instantiate_pre(&component)).map_err(mismatch)?;
        let mut exports = exports(&file, &component, &pre)?;
        exports.direct = if may_wait { None } else { direct_exports(&component) };
        Ok(Self {
            id: binary.version(),
            stats: Stats::default(),
            health: HealthMonitor::default(),
            pace: Pace::default(),
            may_wait,
            needs_database: has_import(&component, SQL),
            pre,
            exports,
            retired: AtomicBool::new(false),
        })
    }

    /// Whether the app `name` still has the grants that the module needs.
    ///
    /// # Errors
    /// One sentence for each import that is not granted.
    pub fn check_grants(&self, name: &str, databases: &BTreeMap<String, Grant>) -> Result<(), LoadError> {
        check_imports(self.pre.component(), name, databases)
    }

    /// Whether these grants are enough for the version.
    pub(crate) fn has_grants(&self, databases: &BTreeMap<String, Grant>) -> bool {
        !self.needs_database || !databases.is_empty()
    }

    /// Whether the version migrates the attachments of connections that move to it.
    pub fn has_migration(&self) -> bool {
        self.exports.migration.is_some()
    }

    /// The version serves new connections from now on.
    pub(crate) fn enlist(&self) {
        self.retired.store(false, Ordering::Release);
    }

    /// The version serves no new connections from now on. The pool may still have idle instances of it.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }
}

/// Nothing is allowed by default: every import of the module has to exist and be granted. The error lists all imports
/// that are not.
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
    /// These have no folders, variables or network; see `InstanceState`.
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
        return Err(missing(HANDLER, "; in Rust, write `hassock_sdk::export!(YourType);`"));
    }
    if !has(TIMER_HANDLER) && has_import(component, TIMERS) {
        return Err(missing(TIMER_HANDLER, ", but imports `hassock:host/timers`: its timers could never fire"));
    }
    Ok(Exports {
        handler: handler::GuestIndices::new(pre).map_err(mismatch)?,
        receive_packed: receive_packed(component, pre).map_err(mismatch)?,
        direct: None,
        timer_handler: has(TIMER_HANDLER)
            .then(|| timer_handler::GuestIndices::new(pre))
            .transpose()
            .map_err(mismatch)?,
        subscription_handler: has(SUBSCRIPTION_HANDLER)
            .then(|| subscription_handler::GuestIndices::new(pre))
            .transpose()
            .map_err(mismatch)?,
        request_handler: has(REQUEST_HANDLER)
            .then(|| request_handler::GuestIndices::new(pre))
            .transpose()
            .map_err(mismatch)?,
        resumption_handler: has(RESUMPTION_HANDLER)
            .then(|| resumption_handler::GuestIndices::new(pre))
            .transpose()
            .map_err(mismatch)?,
        self_test: has(SELF_TEST).then(|| self_test::GuestIndices::new(pre)).transpose().map_err(mismatch)?,
        migration: has(MIGRATION).then(|| migration::GuestIndices::new(pre)).transpose().map_err(mismatch)?,
    })
}

fn direct_exports(component: &Component) -> Option<DirectExports> {
    let handler = component.get_export_index(None, HANDLER)?;
    let function = |name| component.get_export_index(Some(&handler), name);
    Some(DirectExports { open: function("open")?, closed: function("closed")? })
}

fn receive_packed(
    component: &Component,
    pre: &InstancePre<InstanceState>,
) -> wasmtime::Result<Option<ComponentExportIndex>> {
    let Some(interface) = component.get_export_index(None, PACKED_HANDLER) else { return Ok(None) };
    packed_handler::GuestIndices::new(pre)?;
    Ok(component.get_export_index(Some(&interface), "receive-packed"))
}

/// Whether a component imports an interface, in any version.
fn has_import(component: &Component, interface: &str) -> bool {
    let types = component.component_type();
    let mut imports = types.imports(component.engine());
    imports.any(|(import, _)| import.split('@').next() == Some(interface))
}

const SQL: &str = "hassock:host/sql";
const TIMERS: &str = "hassock:host/timers";
const HANDLER: &str = "hassock:host/handler@0.1.0";
const PACKED_HANDLER: &str = "hassock:host/packed-handler@0.1.0";
const TIMER_HANDLER: &str = "hassock:host/timer-handler@0.1.0";
const SUBSCRIPTION_HANDLER: &str = "hassock:host/subscription-handler@0.1.0";
const REQUEST_HANDLER: &str = "hassock:host/request-handler@0.1.0";
const RESUMPTION_HANDLER: &str = "hassock:host/resumption-handler@0.1.0";
const SELF_TEST: &str = "hassock:host/self-test@0.1.0";
const MIGRATION: &str = "hassock:host/migration@0.1.0";

/// Wasmtime's errors are chains over several lines; the host's messages are one line.
fn one_line(error: &wasmtime::Error) -> String {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    chain.join(": ").replace('\n', " ")
}
