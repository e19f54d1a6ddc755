//! The first way in: a module's file changes.

use tokio_util::sync::CancellationToken;

use super::{Control, ModuleWatcher};

/// Deploy the modules whose files change, until `stop`. What goes wrong is in the log.
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
        for (app, _) in control.module_files().into_iter().filter(|(_, file)| changed.contains(file)) {
            // An error is in the log, with the app and the reason.
            let _ = control.deploy_file(&app).await;
        }
    }
}

fn watch_again(watcher: &mut ModuleWatcher, control: &Control) {
    if let Err(error) = watcher.watch(control.module_files().into_iter().map(|(_, file)| file)) {
        tracing::warn!("changes of modules may go unnoticed until the next reload: {error}");
    }
    // What changed between the reading of the config and this would not be told.
    watcher.look_again();
}
