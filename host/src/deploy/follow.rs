//! Deploys modules when their files change.

use tokio_util::sync::CancellationToken;

use super::{Control, ModuleWatcher};

/// Deploy modules when their files change, until `stop`. Errors are in the log.
pub(crate) async fn follow_files(mut watcher: ModuleWatcher, control: Control, stop: CancellationToken) {
    loop {
        let changed = tokio::select! {
            () = stop.cancelled() => return,
            () = control.reloaded() => {
                // A file on a mount that hangs must not delay the end of the host.
                stop.run_until_cancelled(watch_again(&mut watcher, &control)).await;
                continue;
            }
            changed = watcher.changed() => changed,
        };
        for (app, _) in control.module_files().into_iter().filter(|(_, file)| changed.contains(file)) {
            // An error is in the log already, with the app and the reason.
            let _ = control.deploy_file(&app).await;
        }
    }
}

async fn watch_again(watcher: &mut ModuleWatcher, control: &Control) {
    let files = control.module_files().into_iter().map(|(_, file)| file).collect();
    let watching = watcher.watch(files).await;
    // The watcher does not report what changed between the reading of the config and this.
    let looking = watcher.look_again().await;
    if let Err(error) = watching.and(looking) {
        tracing::warn!("changes of modules may go unnoticed until the next reload: {error}");
    }
}
