//! What a failed call was: wasmtime's error with a name, and the line in the log.

use wasmtime::{Trap, WasmBacktrace};

use super::pool::Lease;
use crate::app::App;
use crate::config::AppLimits;
use crate::module::{CallError, FailedCall};
use crate::text::log_line;

/// Log a failed call with its version, its connection and the wasm frames.
pub(super) fn log(call: &str, app: &App, connection: Option<u64>, failed: &FailedCall) {
    let (version, error) = (&*failed.version, &failed.error);
    match error.backtrace() {
        _ if matches!(error, CallError::Stopping) => {
            tracing::warn!(app = %app.name, version, connection, call, "{error}")
        }
        "" => tracing::error!(app = %app.name, version, connection, call, "{error}"),
        backtrace => tracing::error!(app = %app.name, version, connection, call, backtrace, "{error}"),
    }
}

/// The error for what wasmtime reports.
pub(super) fn classify(lease: &Lease<'_>, limits: &AppLimits, error: &wasmtime::Error) -> CallError {
    let state = lease.instance.store.data();
    let backtrace = backtrace(error);
    let reason = match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) if state.call.as_ref().is_some_and(|call| call.is_late) => {
            return CallError::Timeout(limits.call_timeout);
        }
        Some(Trap::Interrupt) => return CallError::CpuTime { limit: limits.cpu_time, backtrace },
        Some(trap) => trap.to_string(),
        None => match format!("{:#}", error.root_cause()) {
            text if text.contains("fuel allocated for hostcalls") => {
                let most = state.call.as_ref().map_or(0, |call| call.setup.host_call_bytes);
                format!("it passed more than {most} bytes to the host at once")
            }
            text => text,
        },
    };
    match state.memory.exceeded {
        true => CallError::Memory { limit: limits.memory, reason },
        false => CallError::Trap { reason, backtrace },
    }
}

/// The frames, innermost first, on one line. Only the text of wasmtime's error has the names in readable form.
fn backtrace(error: &wasmtime::Error) -> String {
    let Some(frames) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let text = frames.to_string();
    let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(" - ")?.1.trim())).collect();
    // The names are the module's, which may have put anything into them.
    log_line(&names.join(" <- ")).into_owned()
}
