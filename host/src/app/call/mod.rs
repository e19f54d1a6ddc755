//! The calls that the host makes: one function for each export, each within the limits of the app.
//!
//! Reading order: the functions here → `direct` (a call that needs no stack of its own) → `export` (what each exported function takes and returns) → `run` (one call in a
//! leased instance) → `computing` (how long it computes) → `patience` (when it is tried again) → `replies` (messages that it returns) → `pool` (the instances) → `state` (what belongs to an instance, and what to the call that runs).

mod computing;
mod direct;
mod export;
mod failure;
mod output;
mod panic;
mod patience;
mod pool;
mod replies;
mod run;
mod state;

use std::sync::Arc;

use hassock_frames::{Packed, Payload};

pub use direct::{closed_directly, open_directly, receive_directly};
use export::{AppTimer, Ask, Check, Closed, ConnectionTimer, Export, Migrate, Open, Receive, Resumed, Subscribe};
use patience::Patience;
pub(crate) use pool::Pool;
use run::{Call, run};
pub(crate) use state::{CallContext, InstanceState, LogBudget};

use super::connection::Connection;
use super::versions::{self, Version};
use super::{App, Setup};
use crate::module::bindings::exports::hassock::host::handler::{Acceptance, Closing, Refusal, Request};
use crate::module::bindings::hassock::host::types::Message;
use crate::module::{self, CallError, FailedCall};

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
    patiently(app, Some(connection), Closed { connection: connection.id, closing }).await
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

/// `timer-handler.app-timer`, as [`connection_timer`]. It waits for an instance for as long as it takes, and tries again if
/// none can be made.
///
/// # Errors
/// If the call did not return, or returned an error.
pub async fn app_timer(app: &Arc<App>, name: &str, payload: &[u8]) -> Result<(), FailedCall> {
    patiently(app, None, AppTimer { name, payload }).await
}

/// `subscription-handler.subscribe`: whether the client may subscribe to a topic, or the reason why not. None if the module
/// does not let clients subscribe.
///
/// # Errors
/// If the call did not return.
pub async fn subscribe(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    topic: &str,
) -> Result<Option<Result<(), String>>, FailedCall> {
    let version = versions::version_for(app, Some(connection)).await?;
    Call::new(app, &version, Some(connection)).serve(Subscribe { connection: connection.id, topic }).await
}

/// `request-handler.request`: the answer, or the reason why there is none. None if the module has no answers.
///
/// # Errors
/// If the call did not return.
pub async fn request(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    message: Payload<'_>,
) -> Result<Option<Result<Message, String>>, FailedCall> {
    let version = versions::version_for(app, Some(connection)).await?;
    let message = &module::message(message);
    Call::new(app, &version, Some(connection)).serve(Ask { connection: connection.id, message }).await
}

/// `resumption-handler.resumed`. Nothing happens for a version without that export.
///
/// # Errors
/// If the call did not return, or returned an error.
pub async fn resumed(app: &Arc<App>, connection: &Arc<Connection>, request: &Request) -> Result<(), FailedCall> {
    let version = versions::version_for(app, Some(connection)).await?;
    if version.exports.resumption_handler.is_none() {
        return Ok(());
    }
    Call::new(app, &version, Some(connection)).serve(Resumed { connection: connection.id, request }).await
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

/// Make a call that waits for an instance for as long as it takes, and try again if none can be made. Each attempt goes to
/// the version that serves then: that of a connection, which ends, or of the app.
async fn patiently<E: Export + Copy>(
    app: &Arc<App>,
    connection: Option<&Arc<Connection>>,
    export: E,
) -> Result<E::Value, FailedCall> {
    let mut patience = Patience::default();
    loop {
        let version = match connection {
            Some(connection) => versions::last_version_for(app, connection).await,
            None => versions::version_for(app, None).await?,
        };
        let call = Call::new(app, &version, connection);
        let (result, time) = call.attempt(export).await;
        match &result {
            Err(error) if patience.outlasts(error, &app.context.out_of_time).await => {
                let connection = connection.map(|connection| connection.id);
                tracing::debug!(app = %app.name, version = %version.id, connection, call = E::EXPORTED.name(), "the call is tried again: {error}");
            }
            _ => return call.conclude::<E>(result, time),
        }
    }
}
