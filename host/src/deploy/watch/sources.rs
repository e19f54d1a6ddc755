//! Watching the source files of an app: `hassock dev` builds again when one changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Editors write a file in several steps, and `git checkout` many files: wait until it is quiet.
const QUIET: Duration = Duration::from_millis(150);

/// Folders that builds write to, or that hold no sources.
const IGNORED_FOLDERS: [&str; 4] = ["target", "node_modules", ".git", "__pycache__"];

/// Files that a build or a running app makes, and what editors leave behind.
const IGNORED_ENDINGS: [&str; 11] =
    ["token", "sock", "wasm", "db", "db-wal", "db-shm", "db-journal", "swp", "swx", "tmp", "lock"];

/// Tells when a source file below a folder has changed.
pub struct SourceWatcher {
    changes: mpsc::UnboundedReceiver<PathBuf>,
    _watcher: RecommendedWatcher,
}

impl SourceWatcher {
    /// Watch `folder` and everything below it.
    ///
    /// # Errors
    /// If the system does not let us, for instance because too many folders are watched.
    pub fn new(folder: &Path) -> notify::Result<Self> {
        let (sender, changes) = mpsc::unbounded_channel();
        // Canonical, so that events name paths below the folder, however it was written.
        let folder = folder.canonicalize().map_err(notify::Error::io)?;
        let below = folder.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            for path in event.paths.into_iter().filter(|path| is_source(&below, path)) {
                // Nobody listens any more only when the watcher is being dropped.
                let _ = sender.send(path);
            }
        })?;
        watcher.watch(&folder, RecursiveMode::Recursive)?;
        Ok(Self { changes, _watcher: watcher })
    }

    /// Wait for a change, and then until changes stop. Returns one of the files.
    pub async fn changed(&mut self) -> Option<PathBuf> {
        let first = self.changes.recv().await?;
        while let Ok(Some(_)) = timeout(QUIET, self.changes.recv()).await {}
        Some(first)
    }
}

fn is_source(folder: &Path, path: &Path) -> bool {
    let Ok(relative) = path.strip_prefix(folder) else { return false };
    let ignored_folder =
        relative.components().any(|part| IGNORED_FOLDERS.iter().any(|ignored| part.as_os_str() == *ignored));
    let name = relative.file_name().unwrap_or_default().to_string_lossy();
    let ignored_file = name.starts_with(".#")
        || name.ends_with('~')
        || name.rsplit_once('.').is_some_and(|(_, ending)| IGNORED_ENDINGS.contains(&ending));
    !ignored_folder && !ignored_file && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_databases_and_editors_do_not_cause_builds() {
        let folder = Path::new("/app");
        let source = |path: &str| is_source(folder, Path::new(path));
        for path in ["/app/src/lib.rs", "/app/hassock.toml", "/app/Cargo.toml", "/app/index.js"] {
            assert!(source(path), "{path}");
        }
        for path in [
            "/app/target/x.d",
            "/app/chat.wasm",
            "/app/chat.db-wal",
            "/app/Cargo.lock",
            "/app/src/.lib.rs.swp",
            "/app/src/lib.rs~",
            "/external/lib.rs",
            "/app",
        ] {
            assert!(!source(path), "{path}");
        }
    }
}
