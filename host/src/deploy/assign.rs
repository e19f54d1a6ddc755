//! Which version serves a connection's next call, and what happens when that is another one than before.

use std::sync::Arc;

use bytes::Bytes;

use super::rollout;
use crate::app::App;
use crate::module::{CallError, FailedCall, Version, call};
use crate::session::Connection;
use crate::session::seat::Before;

/// The version for the next call of a connection, or of the app itself. If the connection moves to another
/// version, its attachment is migrated first: the caller makes sure that no other call of it is running.
///
/// # Errors
/// If the connection has to leave a version that was rolled back, and cannot.
pub(crate) async fn version_for(
    app: &Arc<App>,
    connection: Option<&Arc<Connection>>,
) -> Result<Arc<Version>, FailedCall> {
    let Some(connection) = connection else { return Ok(app.versions.serving()) };
    let generation = app.versions.generation();
    match connection.seat.version_in(generation) {
        Some(version) => Ok(version),
        // Boxed: it is rare, and each connection would keep the room.
        None => Box::pin(assign(app, connection, generation)).await,
    }
}

/// Whether [`version_for`] would have something to do for the connection.
pub(crate) fn is_unsettled(app: &App, connection: &Connection) -> bool {
    connection.seat.version_in(app.versions.generation()).is_none()
}

async fn assign(app: &Arc<App>, connection: &Arc<Connection>, generation: u64) -> Result<Arc<Version>, FailedCall> {
    let seat = &connection.seat;
    let on = seat.version();
    let chosen = app.versions.choose(connection.id, on.as_ref(), &app.setup());
    let Some(on) = on else {
        seat.take(&chosen, generation, None);
        return Ok(chosen);
    };
    if Arc::ptr_eq(&on, &chosen) {
        seat.stay(generation);
        return Ok(on);
    }
    let must_leave = app.versions.is_rolled_back(&on);
    if seat.is_refused_by(&chosen) && !must_leave {
        seat.stay(generation);
        return Ok(on);
    }
    match attachment_for(app, connection, &on, &chosen).await {
        Ok(changed) => {
            move_over(app, connection, &on, &chosen, generation, changed);
            Ok(chosen)
        }
        Err(failed) if must_leave => {
            // Its `closed` still has to be called, and only `chosen` is there for it.
            move_over(app, connection, &on, &chosen, generation, None);
            Err(FailedCall { version: failed.version, error: CallError::Stranded(failed.error.to_string()) })
        }
        // Nothing is wrong with either: the next call tries again.
        Err(FailedCall { error: CallError::Busy { .. }, .. }) => Ok(on),
        Err(_) => {
            // That may just have been the failure that made the host take `chosen` back.
            seat.stay_refused(generation, &chosen);
            Ok(on)
        }
    }
}

/// What the attachment has to become for `chosen`, if it has to change.
async fn attachment_for(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    on: &Version,
    chosen: &Arc<Version>,
) -> Result<Option<Bytes>, FailedCall> {
    if let Some(restored) = connection.seat.came_from(chosen) {
        return Ok(restored);
    }
    if !chosen.has_migration() || on.id == chosen.id {
        return Ok(None);
    }
    let attachment = connection.attachment.lock().clone();
    let migrated = call::migrate(app, connection, chosen, &on.id, &attachment).await;
    app.versions.with(|state| match &migrated {
        Ok(_) => state.counts.migrations += 1,
        Err(_) => state.counts.failed_migrations += 1,
    });
    Ok(Some(migrated?).filter(|migrated| *migrated != attachment).map(Bytes::from))
}

fn move_over(
    app: &Arc<App>,
    connection: &Connection,
    on: &Version,
    chosen: &Arc<Version>,
    generation: u64,
    changed: Option<Bytes>,
) {
    let replaced = changed.map(|changed| std::mem::replace(&mut *connection.attachment.lock(), changed));
    let before = Before { version: Arc::clone(&on.id), attachment: replaced };
    if let Some(left) = connection.seat.take(chosen, generation, Some(before)) {
        rollout::left_by_a_connection(app, &left);
    }
}
