//! Watching the source files of an app: `hassock dev` builds again when one changes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ignore::WalkBuilder;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::read::Look;

/// How often the watcher checks the files. A build begins when two checks in a row see the same, because editors write
/// a file in several steps and `git checkout` writes many files.
const POLL: Duration = Duration::from_millis(250);

/// Checking a large tree takes long. The checks are then spread so that they use at most one part in this many of a
/// core, unless a developer would notice the delay.
const SHARE: u32 = 50;
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Folders that builds write to, or that contain no sources.
const IGNORED_FOLDERS: [&str; 4] = ["target", "node_modules", ".git", "__pycache__"];

/// Files that a build or a running app writes, and temporary files of editors.
const IGNORED_ENDINGS: [&str; 12] =
    ["token", "sock", "wasm", "hassock-code", "db", "db-wal", "db-shm", "db-journal", "swp", "swx", "tmp", "lock"];

/// Reports when a source file below a folder has changed.
///
/// A file is a source unless a `.gitignore` or `.ignore` names it, a build writes it, or it is a temporary file of an
/// editor or of a build tool.
pub struct SourceWatcher {
    folder: PathBuf,
    /// The files at the last report.
    reported: Sources,
}

/// The snapshot of each source file.
type Sources = BTreeMap<PathBuf, Look>;

impl SourceWatcher {
    /// Watch `folder` and everything below it. This blocks for a short time.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::read_dir(folder)?;
        Ok(Self { folder: folder.to_owned(), reported: look(folder) })
    }

    /// Wait for a change, and then until changes stop. Returns one of the changed files, relative to the folder.
    pub async fn changed(&mut self) -> PathBuf {
        let mut latest = self.reported.clone();
        let mut pause = POLL;
        loop {
            sleep(pause).await;
            let folder = self.folder.clone();
            // If this panics, the next check finds the same changes.
            let Ok((now, time)) = spawn_blocking(move || timed(|| look(&folder))).await else { continue };
            pause = (time * SHARE).clamp(POLL, LONGEST_PAUSE);
            let is_settled = now == latest;
            latest = now;
            if is_settled && let Some(file) = difference(&self.reported, &latest) {
                let file = file.strip_prefix(&self.folder).unwrap_or(&file).to_owned();
                self.reported = latest;
                return file;
            }
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// All source files below a folder. A file that cannot be read is treated as missing.
fn look(folder: &Path) -> Sources {
    let walk = WalkBuilder::new(folder)
        .hidden(false)
        .follow_links(true)
        // Skip the files that git would ignore, even if the folder is not a repository yet.
        .require_git(false)
        .filter_entry(|entry| entry.depth() == 0 || is_of_interest(&entry.file_name().to_string_lossy()))
        .build();
    let files = walk.flatten().filter_map(|entry| {
        let metadata = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
        Some((entry.into_path(), Look::at(&metadata)))
    });
    files.collect()
}

/// A file that has changed, was created or was removed.
fn difference(before: &Sources, now: &Sources) -> Option<PathBuf> {
    let changed = now.iter().find(|(file, look)| before.get(*file) != Some(look));
    let removed = || before.keys().find(|file| !now.contains_key(*file));
    changed.map(|(file, _)| file).or_else(removed).cloned()
}

/// Whether the name is not that of a temporary file or of a build folder.
fn is_of_interest(name: &str) -> bool {
    let is_temporary = name.starts_with(".#") || name.starts_with(".hassock-") || name.ends_with('~');
    let has_ignored_ending = name.rsplit_once('.').is_some_and(|(_, ending)| IGNORED_ENDINGS.contains(&ending));
    // vim creates `4913` to test whether it may write; cargo creates `targetXXXXXX` and renames it to `target`.
    let is_of_a_tool = name == "4913" || is_random(name.strip_prefix("target"));
    !IGNORED_FOLDERS.contains(&name) && !is_temporary && !has_ignored_ending && !is_of_a_tool
}

/// Whether this is a suffix that `tempfile` creates: six letters and digits.
fn is_random(suffix: Option<&str>) -> bool {
    suffix.is_some_and(|suffix| suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::*;

    /// The deadline suits the slowest machine, because a test only reaches it when it fails.
    const DEADLINE: Duration = Duration::from_secs(30);

    fn folder(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|file| write(&folder, file, "old"));
        folder
    }

    fn write(folder: &TempDir, file: &str, text: &str) {
        let file = folder.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn sources(folder: &TempDir) -> Vec<String> {
        let sources = look(folder.path());
        sources.keys().map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string()).collect()
    }

    async fn report(watcher: &mut SourceWatcher) -> PathBuf {
        timeout(DEADLINE, watcher.changed()).await.expect("no report")
    }

    #[test]
    fn what_builds_databases_and_editors_write_is_not_a_source() {
        let sources_of = ["Cargo.toml", "hassock.toml", "index.js", "src/.cargo", "src/lib.rs", "targets.rs"];
        let others = [
            "target/x.d",
            "targetcFPbMn/x.d",
            "chat.wasm",
            "chat.db-wal",
            "cache/0123-45.hassock-code",
            "Cargo.lock",
            "src/.lib.rs.swp",
            "src/lib.rs~",
            "src/.#lib.rs",
            "src/4913",
            ".hassock-x.tmp",
            ".git/HEAD",
        ];
        let folder = folder(&[sources_of.as_slice(), others.as_slice()].concat());
        assert_eq!(sources(&folder), sources_of);
    }

    #[test]
    fn what_git_ignores_is_not_a_source() {
        let folder = folder(&["src/lib.rs", "src/generated.rs", "dist/app.js", "web/dist/app.js", "web/app.js"]);
        write(&folder, ".gitignore", "/dist\n");
        write(&folder, "src/.gitignore", "generated.rs\n");
        let expected = [".gitignore", "src/.gitignore", "src/lib.rs", "web/app.js", "web/dist/app.js"];
        assert_eq!(sources(&folder), expected);
    }

    #[tokio::test]
    async fn a_change_a_new_file_and_a_removed_one_are_reported_once() {
        let folder = folder(&["src/lib.rs", "witness"]);
        let mut watcher = SourceWatcher::new(folder.path()).unwrap();
        write(&folder, "src/lib.rs", "newer");
        assert_eq!(report(&mut watcher).await, Path::new("src/lib.rs"));
        write(&folder, "src/new.rs", "new");
        assert_eq!(report(&mut watcher).await, Path::new("src/new.rs"));
        fs::remove_file(folder.path().join("src/new.rs")).unwrap();
        assert_eq!(report(&mut watcher).await, Path::new("src/new.rs"));
        write(&folder, "witness", "nothing else has changed");
        assert_eq!(report(&mut watcher).await, Path::new("witness"));
    }

    #[tokio::test]
    async fn what_a_build_writes_is_not_reported() {
        let folder = folder(&["src/lib.rs", "witness"]);
        let mut watcher = SourceWatcher::new(folder.path()).unwrap();
        for file in ["targetcFPbMn/x.d", "target/x.d", "Cargo.lock", "app.wasm"] {
            write(&folder, file, "built");
        }
        write(&folder, "witness", "changed");
        assert_eq!(report(&mut watcher).await, Path::new("witness"));
    }

    /// A change during a build is reported after the build, although no call was waiting for it.
    #[tokio::test]
    async fn a_change_without_a_waiting_call_is_reported() {
        let folder = folder(&["src/lib.rs"]);
        let mut watcher = SourceWatcher::new(folder.path()).unwrap();
        let waiting = timeout(Duration::ZERO, watcher.changed()).await;
        assert!(waiting.is_err());
        write(&folder, "src/lib.rs", "newer");
        assert_eq!(report(&mut watcher).await, Path::new("src/lib.rs"));
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        let folder = folder(&[]);
        let error = SourceWatcher::new(&folder.path().join("none")).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
