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
use crate::patience::within;
use crate::session::Connection;

/// What a module returned as an error, for the log.
pub type ModuleError = String;

/// Call one exported function in a leased instance, within `call_timeout`.
macro_rules! call {
    ($app:expr, $context:expr, |$instance:ident| $call:expr) => {{
        let limit = $app.limits.call_timeout;
        let version = $app.version();
        let mut lease = version.lease($context).await?;
        let $instance = &mut lease.instance;
        let result = within(limit.get(), $call).await;
        match result {
            Ok(Ok(value)) => {
                lease.finish().await;
                Ok(value)
            }
            Ok(Err(error)) => Err(classify(&lease, &$app.limits, &error)),
            Err(_) => Err(CallError::Timeout(limit)),
        }
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
    call!(app, context(app, connection), |instance| {
        instance.handler.call_open(&mut instance.store, connection.id, request)
    })
}

/// `handler.receive`
///
/// # Errors
/// If the call did not return.
pub async fn receive(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    messages: &[Message],
) -> Result<Result<(), ModuleError>, CallError> {
    call!(app, context(app, connection), |instance| {
        instance.handler.call_receive(&mut instance.store, connection.id, messages)
    })
}

/// `handler.closed`
///
/// # Errors
/// If the call did not return.
pub async fn closed(app: &Arc<App>, connection: &Arc<Connection>, closing: &Closing) -> Result<(), CallError> {
    call!(app, context(app, connection), |instance| {
        instance.handler.call_closed(&mut instance.store, connection.id, closing)
    })
}

/// `timer-handler.fired`, for a connection or for the app. A version without that export, which can only
/// be one that came after the timer was set, does not care.
///
/// # Errors
/// If the call did not return.
pub async fn fired(
    app: &Arc<App>,
    connection: Option<&Arc<Connection>>,
    name: &str,
    payload: &[u8],
) -> Result<Result<(), ModuleError>, CallError> {
    let context = CallContext::new(Arc::clone(app), connection.cloned());
    let id = connection.map(|connection| connection.id);
    call!(app, context, |instance| async {
        match &instance.timer_handler {
            Some(handler) => handler.call_fired(&mut instance.store, id, name, payload).await,
            None => Ok(Ok(())),
        }
    })
}

fn context(app: &Arc<App>, connection: &Arc<Connection>) -> CallContext {
    CallContext::new(Arc::clone(app), Some(Arc::clone(connection)))
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

fn backtrace(error: &wasmtime::Error) -> String {
    let Some(frames) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => name.to_owned(),
        None => format!("function {}", frame.func_index()),
    };
    frames.frames().iter().map(name).collect::<Vec<_>>().join("\n")
}
