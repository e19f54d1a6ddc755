//! Calls on the stack of the caller. A call that may wait runs on a stack of its own, so that its task
//! can do other things meanwhile; a version that cannot wait does without, which saves a tenth of a message.

use std::sync::Arc;
use std::time::Duration;

use hassock_frames::Packed;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout};

use super::export::{Closed, DirectExport, Open, Receive};
use super::failure::classify;
use super::run::Call;
use super::{CallContext, InstanceState};
use crate::app::App;
use crate::app::connection::Connection;
use crate::app::versions::{self, Version};
use crate::module::FailedCall;
use crate::module::bindings::exports::hassock::host::handler::{Acceptance, Closing, Refusal, Request};

/// How long a call that computes for longer than a tick sleeps at each tick, so that another thread takes over the tasks of
/// its thread. On a busy machine this may take several ticks. Afterwards the sleep leaves others a share of the core.
const HANDOVER: Duration = Duration::from_millis(1);

/// `handler.open`, if it can be called at once. None if not.
pub fn open_directly(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    request: &Request,
) -> Option<Result<Result<Acceptance, Refusal>, FailedCall>> {
    let version = versions::first_version_for(app, connection);
    call(app, connection, &version, Open { connection: connection.id, request }, Instant::now())
}

/// `packed-handler.receive-packed`, if it can be called at once. None if not. `began` is now.
pub fn receive_directly(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    messages: &Packed,
    began: Instant,
) -> Option<Result<(), FailedCall>> {
    let version = versions::settled_version(app, connection)?;
    version.exports.receive_packed.as_ref()?;
    call(app, connection, &version, Receive { connection: connection.id, messages }, began)
}

/// `handler.closed`, if it can be called at once. None if not.
pub fn closed_directly(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    closing: &Closing,
) -> Option<Result<(), FailedCall>> {
    let version = versions::settled_version(app, connection)?;
    call(app, connection, &version, Closed { connection: connection.id, closing }, Instant::now())
}

/// Call a function of a version that cannot wait and is quick, if an instance is idle.
fn call<E: DirectExport>(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    version: &Arc<Version>,
    export: E,
    began: Instant,
) -> Option<Result<E::Value, FailedCall>> {
    let is_observed = || app.context.observer.as_ref().is_some_and(|observer| observer.wants(connection));
    if version.may_wait || !version.pace.is_quick() || is_observed() {
        return None;
    }
    let setup = app.setup();
    let context = CallContext::new(Arc::clone(app), Arc::clone(&setup), Some(Arc::clone(connection)), None);
    let mut lease = setup.pool.try_lease(version, context)?;
    if let Some(call) = &mut lease.instance.store.data_mut().call {
        call.direct_since = Some(began);
    }
    let result = match export.call_directly(&mut lease.instance)? {
        Ok(returned) => {
            lease.put_back();
            E::check(returned, &setup.limits)
        }
        Err(error) => Err(classify(&lease, &setup.limits, &error)),
    };
    Some(Call::new(app, version, Some(connection)).conclude::<E>(result, Some(began.elapsed())))
}

impl InstanceState {
    /// A tick has passed in a call on the stack of its caller. False if the call has taken too long.
    pub(super) fn direct_tick(&mut self, began: Instant, turn: impl Future<Output = ()>) -> bool {
        let Some(call) = &mut self.call else { return true };
        let left = call.setup.limits.call_timeout.get().saturating_sub(began.elapsed());
        hand_over(timeout(left, turn));
        call.is_late = began.elapsed() >= call.setup.limits.call_timeout.get();
        !call.is_late
    }
}

/// Let another thread run the tasks of this thread, which is busy with one call from now on. Go on when it is the turn of
/// that call.
fn hand_over<T>(turn: impl Future<Output = T>) {
    if let Ok(runtime) = Handle::try_current()
        && runtime.runtime_flavor() == RuntimeFlavor::MultiThread
    {
        block_in_place(|| {
            std::thread::sleep(HANDOVER);
            // Too late is not an error here: the caller looks at the time.
            runtime.block_on(turn);
        });
    }
}
