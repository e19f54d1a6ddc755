//! Which version serves the next call of a connection, and what happens when it is not the version of the last call.

use std::sync::Arc;

use bytes::Bytes;

use super::{Version, rollout};
use crate::app::connection::{Connection, PreviousVersion};
use crate::app::{App, call};
use crate::memory_budget::Use;
use crate::module::{CallError, FailedCall};

/// How many times an attachment is migrated when other calls change it meanwhile. After that, the result of the
/// migration is kept.
const MAX_ATTEMPTS: usize = 3;

/// The version for the next call of a connection, unless it has to be chosen again.
pub(crate) fn settled_version(app: &App, connection: &Connection) -> Option<Arc<Version>> {
    connection.binding.version_in(app.versions.generation())
}

/// The version for the first call of a connection. If it is asked for again before that call, nothing is migrated.
pub(crate) fn first_version_for(app: &Arc<App>, connection: &Connection) -> Arc<Version> {
    let generation = app.versions.generation();
    let chosen = app.versions.choose(connection.id, None, &app.setup());
    if let Some(left) = connection.binding.take(&chosen, generation, None)
        && !Arc::ptr_eq(&left, &chosen)
    {
        rollout::left_by_a_connection(app, &left);
    }
    chosen
}

/// The version for the next call of a connection, or of the app. If the connection moves to another version, its
/// attachment is migrated first: the caller ensures that no other call of the connection is running.
///
/// # Errors
/// If the connection has to leave a version that was rolled back, and cannot move to another one.
pub(crate) async fn version_for(
    app: &Arc<App>,
    connection: Option<&Arc<Connection>>,
) -> Result<Arc<Version>, FailedCall> {
    let Some(connection) = connection else { return Ok(app.versions.serving()) };
    let generation = app.versions.generation();
    match connection.binding.version_in(generation) {
        Some(version) => Ok(version),
        // Boxed, because this path is rare and every connection would otherwise keep memory for its future.
        None => Box::pin(assign(app, connection, generation)).await,
    }
}

/// The version for the last call of a connection. The connection gets it even if the migration of its attachment fails
/// (invariant 2).
pub(crate) async fn last_version_for(app: &Arc<App>, connection: &Arc<Connection>) -> Arc<Version> {
    if let Ok(version) = version_for(app, Some(connection)).await {
        return version;
    }
    let generation = app.versions.generation();
    match connection.binding.version() {
        // There was no instance for the migration.
        Some(on) if app.versions.is_rolled_back(&on) => {
            let chosen = app.versions.choose(connection.id, Some(&on), &app.setup());
            move_over(app, connection, &on, &chosen, generation, None);
            chosen
        }
        // The connection has moved even so.
        Some(on) => on,
        None => app.versions.serving(),
    }
}

/// Whether [`version_for`] would have to choose or migrate for the connection.
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
        // Neither the version nor the attachment is at fault: the next call tries again.
        Err(failed) if failed.error.is_busy() && !must_leave => Ok(on),
        Err(failed) if failed.error.is_busy() => Err(failed),
        Err(failed) if must_leave => {
            // `closed` still has to be called, and `chosen` is the only version that can serve it.
            move_over(app, connection, &on, &chosen, generation, None);
            Err(FailedCall { version: Arc::clone(&on.id), error: CallError::Stranded(failed.to_string()) })
        }
        Err(_) => {
            // This failure may be the one that made the host roll back `chosen`.
            binding.stay_refused(generation, &chosen);
            Ok(on)
        }
    }
}

/// Migrate the attachment to what `chosen` expects. Returns the previous attachment if it has changed.
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
        // A call of another connection may have changed the attachment meanwhile, and this change must not be lost.
        if *current == attachment || attempts.next().is_none() {
            let has_changed = migrated != *current;
            if !has_changed {
                return Ok(None);
            }
            let kept = app.context.memory.keep(Use::Attachment, migrated);
            let kept = kept.map_err(|error| FailedCall {
                version: Arc::clone(&chosen.id),
                error: CallError::HostBusy(error.to_string()),
            })?;
            return Ok(Some(std::mem::replace(&mut *current, kept)));
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
    // A connection that has returned keeps nothing of the version that it left. If that version comes back, it migrates
    // again what was changed meanwhile.
    let has_returned = connection.binding.came_from(chosen).is_some();
    let before = (!has_returned).then(|| PreviousVersion { version: Arc::clone(&on.id), attachment: replaced });
    if let Some(left) = connection.binding.take(chosen, generation, before) {
        rollout::left_by_a_connection(app, &left);
    }
}
