//! One exact module of an app: compiled, checked against its grants, with the pool of its instances.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::bindings::CompleteModule;
use super::bindings::exports::hassock::host::{handler, timer_handler};
use super::pool::Pool;
use super::{Engine, LoadError, State};
use crate::config::AppConfig;

/// The first bytes of any WebAssembly file, and of a component (the layer field is 1).
const WASM: &[u8] = b"\0asm";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Names a version: the first 12 hex digits of the SHA-256 of its component.
pub type VersionId = Arc<str>;

/// A module that can be called.
pub struct Version {
    /// Its name.
    pub id: VersionId,
    pub(super) pre: InstancePre<State>,
    pub(super) handler: handler::GuestIndices,
    pub(super) timer_handler: Option<timer_handler::GuestIndices>,
    pub(super) pool: Pool,
}

impl Version {
    /// Compile a component and check that it is a module for `app`. Takes from a tenth of a second to
    /// many: call it off the runtime's threads.
    ///
    /// # Errors
    /// One error that names everything that is wrong with it.
    pub fn load(engine: &Engine, file: &Path, bytes: &[u8], name: &str, app: &AppConfig) -> Result<Self, LoadError> {
        let file = file.to_owned();
        if !bytes.starts_with(WASM) {
            return Err(LoadError::NotWasm { file });
        }
        if !bytes.starts_with(COMPONENT) {
            return Err(LoadError::NotComponent { file });
        }
        let component = match Component::from_binary(engine.get(), bytes) {
            Ok(component) => component,
            Err(error) => return Err(LoadError::Invalid { file, reason: one_line(&error) }),
        };
        let linker =
            linker(engine).map_err(|error| LoadError::Mismatch { file: file.clone(), reason: one_line(&error) })?;
        check_imports(&component, name, app)?;
        let pre = linker
            .instantiate_pre(&component)
            .map_err(|error| LoadError::Mismatch { file: file.clone(), reason: one_line(&error) })?;
        let (handler, timer_handler) = exports(&file, &component, &pre)?;
        Ok(Self { id: version_id(bytes), pre, handler, timer_handler, pool: Pool::new(app.limits.instances) })
    }
}

/// The name of the version that these bytes are.
fn version_id(bytes: &[u8]) -> VersionId {
    let digest = Sha256::digest(bytes);
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Everything that the host can give.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine.get());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    CompleteModule::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Denied by default: what the module imports must be there and granted. All that is not is said at once.
fn check_imports(component: &Component, name: &str, app: &AppConfig) -> Result<(), LoadError> {
    let imports: Vec<String> = component
        .component_type()
        .imports(component.engine())
        .filter_map(|(import, _)| objection(import, name, app))
        .collect();
    if imports.is_empty() { Ok(()) } else { Err(LoadError::Imports { imports }) }
}

fn objection(import: &str, name: &str, app: &AppConfig) -> Option<String> {
    let interface = import.split('@').next().unwrap_or(import);
    match interface {
        "hassock:host/sql" if app.databases.is_empty() => Some(format!(
            "the module imports `{import}`, which is not granted; add `databases = {{ NAME = \"read-write\" }}` to `[apps.{name}]`"
        )),
        "hassock:host/types"
        | "hassock:host/connections"
        | "hassock:host/topics"
        | "hassock:host/sql"
        | "hassock:host/timers"
        | "hassock:host/log"
        | "hassock:host/about"
        | "wasi:config/store" => None,
        // Without folders, variables and network; see `State`.
        _ if ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"]
            .iter()
            .any(|package| interface.starts_with(package)) =>
        {
            None
        }
        _ => Some(format!("the module imports `{import}`, which this host does not have; no key can grant it")),
    }
}

type Exports = (handler::GuestIndices, Option<timer_handler::GuestIndices>);

fn exports(file: &Path, component: &Component, pre: &InstancePre<State>) -> Result<Exports, LoadError> {
    let mismatch = |error| LoadError::Mismatch { file: file.to_owned(), reason: one_line(&error) };
    let missing = |export, hint| LoadError::MissingExport { file: file.to_owned(), export, hint };
    if component.get_export_index(None, HANDLER).is_none() {
        return Err(missing(HANDLER, "; in Rust, write `hassock_guest::export!(YourType);`"));
    }
    let handler = handler::GuestIndices::new(pre).map_err(mismatch)?;
    if component.get_export_index(None, TIMER_HANDLER).is_some() {
        return Ok((handler, Some(timer_handler::GuestIndices::new(pre).map_err(mismatch)?)));
    }
    let sets_timers = component
        .component_type()
        .imports(component.engine())
        .any(|(import, _)| import.starts_with("hassock:host/timers@"));
    match sets_timers {
        true => Err(missing(TIMER_HANDLER, ", but imports `hassock:host/timers`: its timers could never fire")),
        false => Ok((handler, None)),
    }
}

const HANDLER: &str = "hassock:host/handler@0.1.0";
const TIMER_HANDLER: &str = "hassock:host/timer-handler@0.1.0";

/// Wasmtime's errors are chains over several lines; ours are one message.
fn one_line(error: &wasmtime::Error) -> String {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    chain.join(": ").replace('\n', " ")
}
