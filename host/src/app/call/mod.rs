//! The calls that the host makes: one function for each export, each within the limits of the app.
//!
//! Reading order: the functions here → `direct` (a call that needs no stack of its own) → `export` (what each exported function takes and returns) → `run` (one call in a
//! leased instance) → `replies` (messages that it returns) → `pool` (the instances) → `state` (what belongs to an instance, and what to the call that runs).

mod direct;
mod export;
mod failure;
mod output;
mod pool;
mod replies;
mod run;
mod state;

use std::sync::Arc;
use std::time::Duration;

use hassock_frames::Packed;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use direct::{closed_directly, open_directly, receive_directly};
use export::{AppTimer, Check, Closed, ConnectionTimer, Migrate, Open, Receive};
pub(crate) use pool::Pool;
use run::{Call, run};
pub(crate) use state::{CallContext, InstanceState, LogBudget};

use super::connection::Connection;
use super::versions::{self, Version};
use super::{App, Setup};
use crate::module::bindings::exports::hassock::host::handler::{Acceptance, Closing, Refusal, Request};
use crate::module::{CallError, FailedCall};

/// The pauses before `closed` is tried again when no instance could be made for it. Together they are longer than a peak
/// of memory lasts; a module that can never be instantiated again must not keep its connections for ever.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    BUSY,
];

/// The pause when the host stops.
const SHORTEST: Duration = Duration::from_millis(100);

/// The pause while the instances of other apps are busy, which lasts as long as it takes.
const BUSY: Duration = Duration::from_secs(8);

/// `handler.open`
///
/// # Errors
/// If the call did not return.
pub async fn open(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    request: &Request,
) -> Result<Result<Acceptance, Refusal>, FailedCall> {
    let version = versions::first_version_for(app, connection);
    Call::new(app, &version, Some(connection)).serve(Open { connection: connection.id, request }).await
}

/// `packed-handler.receive-packed`, or `handler.receive` of a module without it.
///
/// # Errors
/// If the call did not return, or returned an error.
pub async fn receive(app: &Arc<App>, connection: &Arc<Connection>, messages: &Packed) -> Result<(), FailedCall> {
    let version = versions::version_for(app, Some(connection)).await?;
    Call::new(app, &version, Some(connection)).serve(Receive { connection: connection.id, messages }).await
}

/// `handler.closed`, which waits for an instance for as long as it takes, and tries again if none can be made.
///
/// # Errors
/// If the call did not return, or no instance could be made again and again.
pub async fn closed(app: &Arc<App>, connection: &Arc<Connection>, closing: &Closing) -> Result<(), FailedCall> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let version = versions::last_version_for(app, connection).await;
        let call = Call::new(app, &version, Some(connection));
        let (result, time) = call.attempt(Closed { connection: connection.id, closing }).await;
        let pause = match &result {
            Err(CallError::Instantiate(_)) => pauses.next(),
            Err(CallError::HostBusy(_)) => pauses.next().or(Some(BUSY)),
            _ => None,
        };
        let (Some(pause), Err(error)) = (pause, &result) else {
            return call.conclude::<Closed>(result, time);
        };
        tracing::debug!(app = %app.name, version = %version.id, connection = connection.id, ?pause, "`closed` is tried again: {error}");
        wait(pause, &app.context.out_of_time).await;
    }
}

/// Wait before another attempt. When the host stops, less time is left than the longest pause takes.
async fn wait(pause: Duration, out_of_time: &CancellationToken) {
    if out_of_time.is_cancelled() {
        return sleep(pause.min(SHORTEST)).await;
    }
    tokio::select! {
        () = sleep(pause) => {}
        () = out_of_time.cancelled() => {}
    }
}

/// `timer-handler.connection-timer`. Nothing happens for a version without that export, which can only be one that was
/// deployed after the timer was set.
///
/// # Errors
/// If the call did not return, or returned an error.
pub async fn connection_timer(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    name: &str,
    payload: &[u8],
) -> Result<(), FailedCall> {
    let version = versions::version_for(app, Some(connection)).await?;
    let timer = ConnectionTimer { connection: connection.id, name, payload };
    Call::new(app, &version, Some(connection)).serve(timer).await
}

/// `timer-handler.app-timer`, as [`connection_timer`].
///
/// # Errors
/// If the call did not return, or returned an error.
pub async fn app_timer(app: &Arc<App>, name: &str, payload: &[u8]) -> Result<(), FailedCall> {
    let version = versions::version_for(app, None).await?;
    Call::new(app, &version, None).serve(AppTimer { name, payload }).await
}

/// `migration.migrate`: what `version` makes of an attachment of `from`. A version without that export returns the
/// attachment itself.
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
    Call::new(app, version, Some(connection)).serve(Migrate { from, attachment }).await
}

/// `self-test.check`, in an instance of its own. `app` has no connections, and `setup` allows no writing. A simulation
/// neither counts the call nor makes it fail.
///
/// # Errors
/// If no instance can be made, the call did not return, or returned an error.
pub async fn check(app: &Arc<App>, setup: &Arc<Setup>, version: &Arc<Version>) -> Result<(), CallError> {
    let (result, _) = run(Check, app, setup, version, None, None).await;
    result
}
