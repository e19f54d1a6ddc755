//! Calls of `receive-packed` on the stack of the session. A call that may wait runs on a stack of its own, so that its task
//! can do other things meanwhile; a version that cannot wait does without, which saves a tenth of a message.

use std::sync::Arc;
use std::time::Duration;

use hassock_frames::Packed;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::Instant;

use super::export::{Export, Receive, received};
use super::failure::classify;
use super::run::Call;
use super::{CallContext, InstanceState};
use crate::app::connection::Connection;
use crate::app::{App, versions};
use crate::module::FailedCall;

/// How long a call that computes for longer than a tick sleeps once, so that another thread surely takes over the tasks
/// of its thread.
const HANDOVER: Duration = Duration::from_millis(1);

/// `packed-handler.receive-packed`, if it can be called at once: the version of the connection is settled, cannot wait and
/// is quick, and one of its instances is idle. None if not. `began` is now.
pub fn receive_directly(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    messages: &Packed,
    began: Instant,
) -> Option<Result<(), FailedCall>> {
    // A simulation has one thread, and decides which task runs next.
    if app.context.sim.is_some() {
        return None;
    }
    let version = versions::settled_version(app, connection)?;
    if version.may_wait || version.exports.receive_packed.is_none() || !version.pace.is_quick() {
        return None;
    }
    let setup = app.setup();
    let context = CallContext::new(Arc::clone(app), Arc::clone(&setup), Some(Arc::clone(connection)), None);
    let mut lease = setup.pool.try_lease(&version, context)?;
    let instance = &mut *lease.instance;
    let receive = instance.receive_packed?;
    let room = instance.store.data_mut().call.as_mut().map_or(0, |call| {
        call.direct_since = Some(began);
        call.promise_room()
    });
    let called = receive.call(&mut instance.store, (connection.id, messages.as_bytes(), room));
    let result = match received(&mut instance.store, called) {
        Ok(returned) => {
            lease.put_back();
            Receive::check(returned, &setup.limits)
        }
        Err(error) => Err(classify(&lease, &setup.limits, &error)),
    };
    Some(Call::new(app, &version, Some(connection)).conclude::<Receive<'_>>(result, Some(began.elapsed())))
}

impl InstanceState {
    /// A tick has passed in a call on the stack of its session. False if the call has taken too long.
    pub(super) fn direct_tick(&mut self, began: Instant) -> bool {
        let Some(call) = &mut self.call else { return true };
        call.is_late = began.elapsed() >= call.setup.limits.call_timeout.get();
        if call.ticks == 1 {
            hand_over();
        }
        !call.is_late
    }
}

/// Let another thread run the tasks of this thread, which is busy with one call from now on.
fn hand_over() {
    if Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread) {
        block_in_place(|| std::thread::sleep(HANDOVER));
    }
}
