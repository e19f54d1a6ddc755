//! Modules whose files change.

use tokio_util::sync::CancellationToken;

use super::{Control, ModuleWatcher, Rollout, Source};

/// Deploy the modules whose files change, until `stop`. Errors are in the log.
pub(crate) async fn follow_files(mut watcher: ModuleWatcher, control: Control, stop: CancellationToken) {
    loop {
        let changed = tokio::select! {
            () = stop.cancelled() => return,
            () = control.reloaded() => {
                watch_again(&mut watcher, &control);
                continue;
            }
            changed = watcher.changed() => changed,
        };
        for (app, file) in control.module_files().into_iter().filter(|(_, file)| changed.contains(file)) {
            // An error is in the log already, with the app and the reason.
            let _ = control.deploy_source(&app, Source::File(file), Rollout::Full).await;
        }
    }
}

fn watch_again(watcher: &mut ModuleWatcher, control: &Control) {
    if let Err(error) = watcher.watch(control.module_files().into_iter().map(|(_, file)| file)) {
        tracing::warn!("changes of modules may go unnoticed until the next reload: {error}");
    }
    // The watcher does not report what changed between the reading of the config and this.
    watcher.look_again();
}
