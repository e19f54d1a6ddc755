//! The calls that the host makes: one function for each export, each within the limits of the app.

use std::sync::Arc;

use wasmtime::{Trap, WasmBacktrace};

use super::CallError;
use super::bindings::exports::hassock::host::handler::{Acceptance, Closing, Refusal, Request};
use super::bindings::hassock::host::types::Message;
use super::pool::Lease;
use super::state::CallContext;
use crate::app::App;
use crate::config::AppLimits;
use crate::imports::log::cut;
use crate::patience::within;
use crate::session::Connection;

/// Call one exported function in a leased instance, within `call_timeout`. What goes wrong is logged here,
/// with the version that served the call; `$check` may find a failure in what the module returned.
macro_rules! call {
    ($name:literal, $app:expr, $connection:expr, $check:expr, |$instance:ident| $call:expr) => {{
        let (app, connection): (&Arc<App>, Option<&Arc<Connection>>) = ($app, $connection);
        let version = app.version();
        let result = match version.lease(CallContext::new(Arc::clone(app), connection.cloned())).await {
            Ok(mut lease) => {
                let limit = app.limits.call_timeout;
                let $instance = &mut lease.instance;
                match within(limit.get(), $call).await {
                    Ok(Ok(value)) => {
                        lease.finish().await;
                        $check(value)
                    }
                    Ok(Err(error)) => Err(classify(&lease, &app.limits, &error)),
                    Err(_) => Err(CallError::Timeout(limit)),
                }
            }
            Err(error) => Err(error),
        };
        result.inspect_err(|error| report($name, app, &version.id, connection, error))
    }};
}

/// `handler.open`
///
/// # Errors
/// If the call did not return.
pub async fn open(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    request: &Request,
) -> Result<Result<Acceptance, Refusal>, CallError> {
    call!("open", app, Some(connection), Ok, |instance| {
        instance.handler.call_open(&mut instance.store, connection.id, request)
    })
}

/// `handler.receive`
///
/// # Errors
/// If the call did not return, or returned an error.
pub async fn receive(app: &Arc<App>, connection: &Arc<Connection>, messages: &[Message]) -> Result<(), CallError> {
    call!("receive", app, Some(connection), returned, |instance| {
        instance.handler.call_receive(&mut instance.store, connection.id, messages)
    })
}

/// `handler.closed`
///
/// # Errors
/// If the call did not return.
pub async fn closed(app: &Arc<App>, connection: &Arc<Connection>, closing: &Closing) -> Result<(), CallError> {
    call!("closed", app, Some(connection), Ok, |instance| {
        instance.handler.call_closed(&mut instance.store, connection.id, closing)
    })
}

/// `timer-handler.fired`, for a connection or for the app. A version without that export, which can only
/// be one that came after the timer was set, does not care.
///
/// # Errors
/// If the call did not return, or returned an error.
pub async fn fired(
    app: &Arc<App>,
    connection: Option<&Arc<Connection>>,
    name: &str,
    payload: &[u8],
) -> Result<(), CallError> {
    let id = connection.map(|connection| connection.id);
    call!("fired", app, connection, returned, |instance| async {
        match &instance.timer_handler {
            Some(handler) => handler.call_fired(&mut instance.store, id, name, payload).await,
            None => Ok(Ok(())),
        }
    })
}

fn returned(result: Result<(), String>) -> Result<(), CallError> {
    result.map_err(|text| CallError::Returned(cut(&text).into_owned()))
}

/// Log a failed call: with the version, the connection and the wasm frames.
fn report(call: &str, app: &App, version: &str, connection: Option<&Arc<Connection>>, error: &CallError) {
    let connection = connection.map(|connection| connection.id);
    match error.backtrace() {
        "" => tracing::error!(app = %app.name, version, connection, call, "{error}"),
        backtrace => tracing::error!(app = %app.name, version, connection, call, backtrace, "{error}"),
    }
}

/// Put a name to what wasmtime reports.
fn classify(lease: &Lease<'_>, limits: &AppLimits, error: &wasmtime::Error) -> CallError {
    let state = lease.instance.store.data();
    let backtrace = backtrace(error);
    let reason = match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return CallError::CpuTime { limit: limits.cpu_time, backtrace },
        Some(trap) => trap.to_string(),
        None => format!("{:#}", error.root_cause()),
    };
    match state.memory.exceeded {
        true => CallError::Memory { limit: limits.memory, reason },
        false => CallError::Trap { reason, backtrace },
    }
}

/// The frames, innermost first, on one line. Only wasmtime's own text has the names as they were written.
fn backtrace(error: &wasmtime::Error) -> String {
    let Some(frames) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let text = frames.to_string();
    let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(" - ")?.1.trim())).collect();
    // The names are the module's, which may have put anything into them.
    cut(&names.join(" <- ")).into_owned()
}
