//! What follows from a change of an app's versions: connections are told, and what is not used any more goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use super::Version;
use crate::app::App;

/// How long silent connections are left alone after a change. Those that send move by themselves at once, and
/// one sweep is enough for several changes.
const SWEEP_DELAY: Duration = Duration::from_millis(100);

/// Connections that are woken in one go. Each has a task of its own; messages go on between.
const WOKEN_AT_ONCE: usize = 64;

/// Have every connection look which version serves it now, also those that are silent: a version that is
/// left by all can go.
pub(crate) fn announce(app: &Arc<App>) {
    app.setup().pool.drop_retired();
    if app.versions.ask_for_sweep() {
        sweep_soon(app);
    }
    if let Some(until) = app.versions.take_next_release() {
        release_later(app, until);
    }
}

/// A version fails too often: the one before it takes over for all.
pub(crate) fn take_back(app: &Arc<App>, sick: &Arc<Version>, reason: String) {
    let Some(change) = app.versions.change(&app.setup(), |state| state.take_back(sick, &reason, &app.setup())) else {
        return;
    };
    tracing::error!(
        app = %app.name,
        version = %sick.id,
        serving = %change.version.id,
        "ROLLED BACK: {reason}; version {} serves all connections now. Find the calls above that failed, and deploy a mended module",
        change.version.id
    );
    announce(app);
}

/// A connection has moved away from a version, or has ended.
pub(crate) fn left_by_a_connection(app: &App, version: &Version) {
    // The last one may have been what it was there for.
    if version.stats.connections() == 0 {
        let setup = app.setup();
        app.versions.prune(&setup);
        setup.pool.drop_retired();
    }
}

/// Not one of the host's tasks: a drain wakes all connections anyway.
fn sweep_soon(app: &Arc<App>) {
    let app = Arc::downgrade(app);
    tokio::spawn(async move {
        sleep(SWEEP_DELAY).await;
        if let Some(app) = app.upgrade() {
            // A change from here on needs a sweep of its own.
            app.versions.take_sweep();
            wake_all(&app).await;
        }
    });
}

async fn wake_all(app: &App) {
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
            app.versions.release(&app.setup(), Instant::now());
            announce(&app);
        }
    });
}
