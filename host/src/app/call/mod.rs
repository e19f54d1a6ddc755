//! The calls that the host makes: one function for each export, each within the limits of the app.

mod output;
mod pool;
mod state;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::{Trap, WasmBacktrace};

use pool::Lease;
pub(crate) use pool::Pool;
pub(crate) use state::{CallContext, InstanceState, LogBudget};

use super::connection::Connection;
use super::versions::{self, Version};
use super::{App, Setup};
use crate::config::AppLimits;
use crate::module::bindings::exports::hassock::host::handler::{Acceptance, Closing, Refusal, Request};
use crate::module::bindings::hassock::host::types::Message;
use crate::module::{CallError, FailedCall};

use crate::lazy_timeout::lazy_timeout;
use crate::sim::{Failure, Lab, thread_time};
use crate::text::log_line;

/// Call one exported function in a leased instance of a version, within `call_timeout`. `$check` may find
/// a failure in what the module returned. Gives the result, and how long the call took if there was one.
/// In a laboratory, which a self-test is not part of, the call may be made to fail, and its cost is counted.
macro_rules! call {
    ($version:expr, $app:expr, $setup:expr, $connection:expr, $check:expr, |$instance:ident| $call:expr) => {
        call!($app.context.lab.as_ref(), $version, $app, $setup, $connection, $check, |$instance| $call)
    };
    ($lab:expr, $version:expr, $app:expr, $setup:expr, $connection:expr, $check:expr, |$instance:ident| $call:expr) => {{
        let (app, setup, connection): (&Arc<App>, &Arc<Setup>, Option<&Arc<Connection>>) = ($app, $setup, $connection);
        let lab: Option<&Arc<Lab>> = $lab;
        let computed = lab.map(|_| thread_time());
        let began = Instant::now();
        let context = CallContext::new(Arc::clone(app), Arc::clone(setup), connection.cloned(), lab.cloned());
        let called = match setup.pool.lease($version, context).await {
            Ok(mut lease) => {
                let limit = setup.limits.call_timeout;
                let $instance = &mut lease.instance;
                let result = match lab.and_then(|lab| lab.faults.next_call(&app.name)) {
                    Some(error) => Err(error),
                    None => match lazy_timeout(limit.get(), $call).await {
                        Ok(Ok(value)) => {
                            lease.finish().await;
                            $check(value)
                        }
                        Ok(Err(error)) => Err(classify(&lease, &setup.limits, &error)),
                        Err(_) => Err(CallError::Timeout(limit)),
                    },
                };
                (result, Some(began.elapsed()))
            }
            Err(error) => (Err(error), None),
        };
        if let (Some(lab), Some(computed)) = (lab, computed) {
            lab.meter.called(computed);
        }
        called
    }};
}

/// A call of the version that serves a connection, or the app itself: counted, and logged if it fails.
macro_rules! serve {
    ($name:literal, $app:expr, $connection:expr, $check:expr, |$instance:ident| $call:expr) => {{
        let (app, connection): (&Arc<App>, Option<&Arc<Connection>>) = ($app, $connection);
        let setup = app.setup();
        match versions::version_for(app, connection).await {
            Ok(version) => {
                let (result, time) = call!(&version, app, &setup, connection, $check, |$instance| $call);
                served($name, app, &version, connection, time, CallError::is_failure, result)
            }
            Err(failed) => Err(failed),
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
) -> Result<Result<Acceptance, Refusal>, FailedCall> {
    serve!("open", app, Some(connection), Ok, |instance| {
        instance.handler.call_open(&mut instance.store, connection.id, request)
    })
}

/// `handler.receive`
///
/// # Errors
/// If the call did not return, or returned an error.
pub async fn receive(app: &Arc<App>, connection: &Arc<Connection>, messages: &[Message]) -> Result<(), FailedCall> {
    serve!("receive", app, Some(connection), returned, |instance| {
        instance.handler.call_receive(&mut instance.store, connection.id, messages)
    })
}

/// `handler.closed`
///
/// # Errors
/// If the call did not return.
pub async fn closed(app: &Arc<App>, connection: &Arc<Connection>, closing: &Closing) -> Result<(), FailedCall> {
    let (version, setup) = (versions::last_version_for(app, connection).await, app.setup());
    let (result, time) = call!(&version, app, &setup, Some(connection), Ok, |instance| {
        instance.handler.call_closed(&mut instance.store, connection.id, closing)
    });
    served("closed", app, &version, Some(connection), time, CallError::is_failure, result)
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
) -> Result<(), FailedCall> {
    let id = connection.map(|connection| connection.id);
    serve!("fired", app, connection, returned, |instance| async {
        match &instance.timer_handler {
            Some(handler) => handler.call_fired(&mut instance.store, id, name, payload).await,
            None => Ok(Ok(())),
        }
    })
}

/// `migration.migrate`: what `version` makes of an attachment of `from`; itself, without that export.
///
/// # Errors
/// If the call did not return, or returned an error. Either counts as a failed call.
pub async fn migrate(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    version: &Arc<Version>,
    from: &str,
    attachment: &[u8],
) -> Result<Vec<u8>, FailedCall> {
    let setup = app.setup();
    let check = |result: Result<Vec<u8>, String>| fits(returned(result)?, &setup.limits);
    let (result, time) = call!(version, app, &setup, Some(connection), check, |instance| async {
        match &instance.migration {
            Some(migration) => migration.call_migrate(&mut instance.store, from, attachment).await,
            None => Ok(Ok(attachment.to_vec())),
        }
    });
    // A refused attachment is a failure: the version does not fit the connections that there are.
    let is_failure = |error: &CallError| error.is_failure() || matches!(error, CallError::Returned(_));
    served("migrate", app, version, Some(connection), time, is_failure, result)
}

/// `self-test.check`, in an instance of its own. `app` has no connections, and `setup` no way to write.
///
/// # Errors
/// If no instance can be made, the call did not return, or returned an error.
pub async fn check(app: &Arc<App>, setup: &Arc<Setup>, version: &Arc<Version>) -> Result<(), CallError> {
    let (result, _) = call!(None, version, app, setup, None, returned, |instance| async {
        match &instance.self_test {
            Some(test) => test.call_check(&mut instance.store).await,
            None => Ok(Ok(())),
        }
    });
    result
}

fn returned<T>(result: Result<T, String>) -> Result<T, CallError> {
    result.map_err(|text| CallError::Returned(log_line(&text).into_owned()))
}

fn fits(attachment: Vec<u8>, limits: &AppLimits) -> Result<Vec<u8>, CallError> {
    match attachment.len() <= limits.attachment_bytes.bytes() {
        true => Ok(attachment),
        false => Err(CallError::Returned(format!(
            "an attachment of {} bytes, more than `attachment_bytes` = {}",
            attachment.len(),
            limits.attachment_bytes
        ))),
    }
}

/// Count a call, and if it failed, log it with the version that served it and let the version answer for it.
fn served<T>(
    call: &str,
    app: &Arc<App>,
    version: &Arc<Version>,
    connection: Option<&Arc<Connection>>,
    time: Option<Duration>,
    is_failure: impl Fn(&CallError) -> bool,
    result: Result<T, CallError>,
) -> Result<T, FailedCall> {
    if let Some(time) = time {
        version.stats.count(time);
    }
    let error = match result {
        Ok(value) => {
            version.health.call_succeeded();
            return Ok(value);
        }
        Err(error) => error,
    };
    report(call, app, &version.id, connection, &error);
    let failed = FailedCall { version: Arc::clone(&version.id), error };
    if let Some(lab) = &app.context.lab {
        let connection = connection.map(|connection| connection.id);
        lab.failures.add(Failure {
            app: Arc::clone(&app.name),
            call: call.to_owned(),
            connection,
            failed: failed.clone(),
        });
    }
    if is_failure(&failed.error) {
        version.stats.count_failure();
        if let Some(reason) = version.health.call_failed() {
            versions::take_back(app, version, reason);
        }
    } else if time.is_some() {
        version.health.call_succeeded();
    }
    Err(failed)
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
    log_line(&names.join(" <- ")).into_owned()
}
