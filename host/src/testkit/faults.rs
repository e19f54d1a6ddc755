//! What a test injects into calls, and what it sees of calls that failed.

use hassock_transcript::backend::{CallFault, FailedCall};

use crate::app::App;
use crate::app::connection::Close;
use crate::config::AppLimits;
use crate::module::{self, CallError};
use crate::sim::Failure;

/// The error that the host reports for a fault.
pub(super) fn call_error(fault: CallFault, limits: &AppLimits) -> CallError {
    let (reason, backtrace) = ("the test had the call fail".to_owned(), String::new());
    match fault {
        CallFault::Trap => CallError::Trap { reason, backtrace },
        CallFault::Memory => CallError::Memory { limit: limits.memory, reason },
        CallFault::CpuTime => CallError::CpuTime { limit: limits.cpu_time, backtrace },
        CallFault::Timeout => CallError::Timeout(limits.call_timeout),
        CallFault::Busy => CallError::Busy { instances: limits.instances, wait: limits.instance_wait },
    }
}

/// A failed call as a test sees it. The app is none if the config has dropped it meanwhile.
pub(super) fn failed_call(failure: Failure, app: Option<&App>) -> FailedCall {
    let close_code = app.and_then(|app| close_code(&failure, app));
    let Failure { app, call, connection, failed } = failure;
    FailedCall {
        call,
        app: app.to_string(),
        version: failed.version.to_string(),
        connection,
        close_code,
        error: failed.error.to_string(),
        backtrace: failed.error.backtrace().to_owned(),
    }
}

/// The code with which the host closes a connection because its call failed.
fn close_code(failure: &Failure, app: &App) -> Option<u16> {
    failure.connection?;
    let failed = match failure.call.as_str() {
        // The connection is refused, or has ended.
        "open" | "closed" => return None,
        // A connection closes for it only if it has to leave its version.
        "migrate" => {
            let error = CallError::Stranded(failure.failed.to_string());
            &module::FailedCall { version: failure.failed.version.clone(), error }
        }
        _ => &failure.failed,
    };
    Some(Close::call_failed(failed, app.setup().error_close_code()).code)
}
