//! What follows from a change of an app's versions: connections are told, and what is not used any more goes.

use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::app::App;
use crate::module::Version;

/// Connections that are woken in one go. Each has a task of its own; messages go on between.
const WOKEN_AT_ONCE: usize = 64;

/// Have every connection look which version serves it now, also those that are silent: a version that is
/// left by all can go.
pub(super) fn announce(app: &Arc<App>) {
    app.setup().pool.drop_retired();
    app.tasks.spawn(wake_all(Arc::clone(app)));
    if let Some(until) = app.versions.next_release() {
        release_later(app, until);
    }
}

/// A version fails too often: the one before it takes over for all.
pub(crate) fn take_back(app: &Arc<App>, sick: &Arc<Version>, reason: String) {
    let Some(change) = app.versions.change(&app.setup(), |state| state.take_back(sick, &reason)) else { return };
    tracing::error!(
        app = %app.name,
        version = %sick.id,
        serving = %change.version.id,
        "ROLLED BACK: {reason}; version {} serves all connections now. Find the calls above that failed, and deploy a mended module",
        change.version.id
    );
    announce(app);
}

/// A connection has moved away from a version.
pub(super) fn left_by_a_connection(app: &App, version: &Version) {
    if version.is_retired() && version.stats.connections() == 0 {
        let setup = app.setup();
        app.versions.tidy(&setup);
        setup.pool.drop_retired();
    }
}

async fn wake_all(app: Arc<App>) {
    for (count, connection) in app.connections.all().into_iter().enumerate() {
        connection.wake();
        if count % WOKEN_AT_ONCE == WOKEN_AT_ONCE - 1 {
            yield_now().await;
        }
    }
}

/// Not one of the host's tasks: a drain does not wait for it.
fn release_later(app: &Arc<App>, until: Instant) {
    let app = Arc::downgrade(app);
    tokio::spawn(async move {
        sleep_until(until).await;
        if let Some(app) = app.upgrade() {
            let now = Instant::now();
            app.versions.change(&app.setup(), |state| state.release_pinned(|until| until <= now));
            announce(&app);
        }
    });
}
