//! Watching the files of modules: a new module is loaded when its file changes.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::changes::{Changes, Lost, Routes};
use super::route::trace;

/// Folders can come and go while we begin to watch them. Who is faster than this is told by the next event.
const ROUNDS: usize = 10;

/// Tells which module files hold something new and complete.
///
/// A file may be copied, renamed or linked into its place, and it, or a folder above it, may be a link that is
/// switched. Its folder may be removed or renamed and made again. What is not noticed:
/// * that a folder above the file's folder is renamed, unless it is a link;
/// * changes behind a mount: of a single file that is mounted (mount its folder), or by another machine;
/// * that a second writer pauses while a first one closes the same file, and that a file was already being
///   written when it came into its place, or when the watching of it began. Then half a module can be reported,
///   and once more when it is whole.
pub struct ModuleWatcher {
    files: Vec<PathBuf>,
    folders: HashSet<PathBuf>,
    shared: Arc<Shared>,
    watcher: RecommendedWatcher,
}

/// With the thread that reads the system's events.
#[derive(Default)]
struct Shared {
    changes: Mutex<Changes>,
    wake: Notify,
}

impl ModuleWatcher {
    /// Watch these files. To miss nothing, begin before they are read.
    ///
    /// # Errors
    /// If a folder does not exist, or the system does not let us watch it.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> notify::Result<Self> {
        let shared = Arc::new(Shared::default());
        let learner = Arc::clone(&shared);
        let watcher = notify::recommended_watcher(move |event| {
            let wake = learner.changes.lock().learn(event, Instant::now());
            if wake {
                learner.wake.notify_one();
            }
        })?;
        let mut modules = Self { files: Vec::new(), folders: HashSet::new(), shared, watcher };
        modules.watch(files)?;
        Ok(modules)
    }

    /// Watch these files instead (after a config reload). To miss nothing, begin before they are read.
    ///
    /// # Errors
    /// If a folder does not exist, or the system does not let us watch it. The other files are watched all the
    /// same, and a file in a folder that is made later is reported.
    pub fn watch(&mut self, files: impl IntoIterator<Item = PathBuf>) -> notify::Result<()> {
        self.files = files.into_iter().collect();
        let watched = self.watch_ways();
        self.files.iter().try_for_each(|file| folder_exists(file))?;
        watched
    }

    /// Report all files soon, as if they had changed: those that somebody writes to now, when that is over.
    pub fn look_again(&self) {
        self.shared.changes.lock().all_have_changed(Instant::now());
    }

    /// Wait until some of the files have changed and nobody writes to them any more; returns them, as they were
    /// named. A file that is empty or missing is not reported until it is filled. To drop the future loses nothing.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            let moved = self.shared.changes.lock().take_moved();
            if let Some(lost) = moved {
                self.follow(&lost);
            }
            let (mut files, next) = self.shared.changes.lock().take_due(Instant::now());
            files.retain(|file| holds_something(file));
            if !files.is_empty() {
                return files;
            }
            let woken = self.shared.wake.notified();
            match next {
                Some(next) => drop(timeout_at(next.into(), woken).await),
                None => woken.await,
            }
        }
    }

    /// Links and folders have changed: watch where they lead to now.
    fn follow(&mut self, lost: &Lost) {
        for folder in self.folders.extract_if(|folder| lost.iter().any(|lost| folder.starts_with(lost))) {
            // It need not be watched any more: the watch of a removed folder ends by itself.
            let _ = self.watcher.unwatch(&folder);
        }
        if let Err(error) = self.watch_ways() {
            tracing::warn!("changes of modules may go unnoticed until the next reload: {error}");
        }
    }

    /// Watch the folders of all names on the ways to the files. The ways may change until they are watched, so
    /// look again.
    fn watch_ways(&mut self) -> notify::Result<()> {
        let mut routes = self.routes();
        let mut watched = Ok(());
        for _ in 0..ROUNDS {
            // Known before they are watched, so that no event of them is ignored.
            let folders = {
                let mut changes = self.shared.changes.lock();
                changes.adopt(routes.clone(), Instant::now());
                changes.folders()
            };
            watched = self.watch_folders(folders);
            let again = self.routes();
            if again == routes && watched.is_ok() {
                break;
            }
            routes = again;
        }
        watched
    }

    /// Watch these folders and no others. Those that are watched already, too: the name may have gone to another
    /// folder, and if not, nothing happens.
    fn watch_folders(&mut self, folders: HashSet<PathBuf>) -> notify::Result<()> {
        for folder in self.folders.difference(&folders) {
            let _ = self.watcher.unwatch(folder);
        }
        let mut watched = Ok(());
        for folder in &folders {
            watched = watched.and(self.watcher.watch(folder, RecursiveMode::NonRecursive));
        }
        self.folders = folders;
        watched
    }

    fn routes(&self) -> Routes {
        self.files.iter().map(|file| (file.clone(), trace(file))).collect()
    }
}

fn folder_exists(file: &Path) -> notify::Result<()> {
    let file = std::path::absolute(file)?;
    let folder = file.parent().unwrap_or(&file);
    if folder.is_dir() {
        return Ok(());
    }
    let message = format!("the folder {} does not exist: make it, or correct the module's path", folder.display());
    Err(notify::Error::new(ErrorKind::Io(io::Error::new(io::ErrorKind::NotFound, message))))
}

/// This looks at the file system in passing, as it takes no longer than the system calls of a message.
fn holds_something(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}
