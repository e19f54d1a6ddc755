//! What a failed call was: wasmtime's error with a name, and the line in the log.

use wasmtime::{Trap, WasmBacktrace};

use super::panic::Panic;
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
        backtrace => {
            let at = error.panicked_at();
            tracing::error!(app = %app.name, version, connection, call, at, backtrace, "{error}");
        }
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
    if state.memory.exceeded {
        state.stderr.forget_deferred();
        return CallError::Memory { limit: limits.memory, reason };
    }
    match state.stderr.take_panic() {
        Some(Panic { at, message }) => CallError::Panic { at, message, backtrace },
        None => CallError::Trap { reason, backtrace },
    }
}

/// The frames, innermost first, on one line, without those of Rust's standard library: what it does after a panic is always
/// the same. Only the text of wasmtime's error has the names in readable form.
fn backtrace(error: &wasmtime::Error) -> String {
    let Some(frames) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let text = frames.to_string();
    let all: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(" - ")?.1.trim())).collect();
    let own: Vec<&str> = all.iter().copied().filter(|name| !is_of_std(name)).collect();
    let names = if own.is_empty() { all } else { own };
    // The names are the module's, which may have put anything into them.
    log_line(&names.join(" <- ")).into_owned()
}

/// Whether a frame is one of Rust's standard library or of its allocator: `module.wasm!core::panicking::panic_fmt::h0123`.
fn is_of_std(frame: &str) -> bool {
    let name = frame.split_once('!').map_or(frame, |(_, name)| name);
    let name = name.trim_start_matches('<');
    ["core::", "std::", "alloc::", "__rust", "rust_", "abort", "dlmalloc::"].iter().any(|own| name.starts_with(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_the_standard_library_are_left_out() {
        for own in [
            "chat.wasm!chat::Chat::on_message::h01",
            "guest.wasm!<chat::Chat as hassock_sdk::Handler>::on_message",
            "m.wasm!<wasm function 12>",
            "m.wasm!stdout",
        ] {
            assert!(!is_of_std(own), "{own}");
        }
        for std in [
            "m.wasm!core::panicking::panic_fmt::h01",
            "m.wasm!<alloc::string::String as core::fmt::Write>::write_str",
            "m.wasm!__rustc::rust_begin_unwind",
            "m.wasm!std::process::abort",
            "m.wasm!abort",
        ] {
            assert!(is_of_std(std), "{std}");
        }
    }
}
