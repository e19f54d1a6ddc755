//! Which version serves a connection's next call, and what happens when that is another one than before.

use std::sync::Arc;

use bytes::Bytes;

use super::{Version, rollout};
use crate::app::connection::{Connection, PreviousVersion};
use crate::app::{App, call};
use crate::module::{CallError, FailedCall};

/// How often an attachment is migrated that others change meanwhile. Then the migration counts.
const MAX_ATTEMPTS: usize = 3;

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
    match connection.binding.version_in(generation) {
        Some(version) => Ok(version),
        // Boxed: it is rare, and each connection would keep the room.
        None => Box::pin(assign(app, connection, generation)).await,
    }
}

/// The version for the last call of a connection, which it gets whatever became of its attachment (invariant 2).
pub(crate) async fn last_version_for(app: &Arc<App>, connection: &Arc<Connection>) -> Arc<Version> {
    match version_for(app, Some(connection)).await {
        Ok(version) => version,
        // It has moved all the same.
        Err(_) => connection.binding.version().unwrap_or_else(|| app.versions.serving()),
    }
}

/// Whether [`version_for`] would have something to do for the connection.
pub(crate) fn is_unsettled(app: &App, connection: &Connection) -> bool {
    !connection.binding.is_of(app.versions.generation())
}

async fn assign(app: &Arc<App>, connection: &Arc<Connection>, generation: u64) -> Result<Arc<Version>, FailedCall> {
    let binding = &connection.binding;
    let on = binding.version();
    let chosen = app.versions.choose(connection.id, on.as_ref(), &app.setup());
    let Some(on) = on else {
        binding.take(&chosen, generation, None);
        return Ok(chosen);
    };
    if Arc::ptr_eq(&on, &chosen) {
        binding.stay(generation);
        return Ok(on);
    }
    let must_leave = app.versions.is_rolled_back(&on);
    if binding.is_refused_by(&chosen) && !must_leave {
        binding.stay(generation);
        return Ok(on);
    }
    match attachment_for(app, connection, &on, &chosen).await {
        Ok(replaced) => {
            move_over(app, connection, &on, &chosen, generation, replaced);
            Ok(chosen)
        }
        // Nothing is wrong with either: the next call tries again.
        Err(FailedCall { error: CallError::Busy { .. }, .. }) if !must_leave => Ok(on),
        Err(failed @ FailedCall { error: CallError::Busy { .. }, .. }) => Err(failed),
        Err(failed) if must_leave => {
            // Its `closed` still has to be called, and only `chosen` is there for it.
            move_over(app, connection, &on, &chosen, generation, None);
            Err(FailedCall { version: Arc::clone(&on.id), error: CallError::Stranded(failed.to_string()) })
        }
        Err(_) => {
            // That may just have been the failure that made the host take `chosen` back.
            binding.stay_refused(generation, &chosen);
            Ok(on)
        }
    }
}

/// Make the attachment what `chosen` expects. Returns what it was before, if it has changed.
async fn attachment_for(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    on: &Version,
    chosen: &Arc<Version>,
) -> Result<Option<Bytes>, FailedCall> {
    if let Some(restored) = connection.binding.came_from(chosen) {
        return Ok(restored.map(|restored| std::mem::replace(&mut *connection.attachment.lock(), restored)));
    }
    if !chosen.has_migration() || on.id == chosen.id {
        return Ok(None);
    }
    let mut attempts = 1..=MAX_ATTEMPTS;
    loop {
        let attachment = connection.attachment.lock().clone();
        let migrated = call::migrate(app, connection, chosen, &on.id, &attachment).await;
        app.versions.with(|state| match &migrated {
            Ok(_) => state.counts.migrations += 1,
            Err(_) => state.counts.failed_migrations += 1,
        });
        let migrated = migrated?;
        let mut current = connection.attachment.lock();
        // A call of another connection may have set it meanwhile, which must not be lost.
        if *current == attachment || attempts.next().is_none() {
            let has_changed = migrated != *current;
            return Ok(has_changed.then(|| std::mem::replace(&mut *current, Bytes::from(migrated))));
        }
    }
}

fn move_over(
    app: &Arc<App>,
    connection: &Connection,
    on: &Version,
    chosen: &Arc<Version>,
    generation: u64,
    replaced: Option<Bytes>,
) {
    // Who has returned keeps nothing of where it was: should that version come again, it migrates again what
    // was changed meanwhile.
    let has_returned = connection.binding.came_from(chosen).is_some();
    let before = (!has_returned).then(|| PreviousVersion { version: Arc::clone(&on.id), attachment: replaced });
    if let Some(left) = connection.binding.take(chosen, generation, before) {
        rollout::left_by_a_connection(app, &left);
    }
}
