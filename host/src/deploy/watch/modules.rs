//! Watching the files of modules: a new module is loaded when its file changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::read::Look;
use super::writers::Writers;

/// How often the host checks the files. A change is reported when two checks in a row see the same, so within twice
/// this time. A check makes about ten system calls for each file: with a hundred apps, it takes a thousandth of one
/// core.
const POLL: Duration = if cfg!(test) { Duration::from_millis(150) } else { Duration::from_millis(500) };

/// Reports which module files have new and complete content.
///
/// A file may be copied, renamed or linked into its place. The file, or any folder above it, may be replaced or moved,
/// or be a link that changes. A file that is being written is reported after its writer has closed it. The watcher does
/// not recognise a writer on another machine, a writer that began before the file was watched, and a second writer that
/// pauses while a first one closes the same file. If such a writer pauses for longer than two checks, an incomplete
/// module can be reported. The module is then reported again when it is complete.
pub struct ModuleWatcher {
    watched: Arc<Mutex<Watched>>,
    poll: Interval,
}

struct Watched {
    files: BTreeMap<PathBuf, FileState>,
    /// The folders from which events are received. A folder that was replaced has another identity.
    folders: HashMap<PathBuf, Identity>,
    /// Shared with the thread that receives the events.
    writers: Arc<Mutex<Writers>>,
    watcher: RecommendedWatcher,
}

/// The state of one file. A snapshot is None if the file is missing or empty.
#[derive(Default)]
struct FileState {
    /// The path of the file without links, as events name it.
    target: PathBuf,
    reported: Option<Look>,
    latest: Option<Look>,
    is_due: bool,
}

/// Device and inode number.
type Identity = (u64, u64);

impl ModuleWatcher {
    /// Watch these files. Call this before the files are read, so that no change is missed. This blocks.
    ///
    /// # Errors
    /// If a folder does not exist, or the system does not report events.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let files: Vec<_> = files.into_iter().collect();
        folders_exist(&files)?;
        let mut watched = Watched::new()?;
        watched.watch(files);
        Ok(Self { watched: Arc::new(Mutex::new(watched)), poll })
    }

    /// Watch these files instead (after a config reload). Call this before they are read, so that no change is missed.
    /// Dropping the future does not stop what it began.
    ///
    /// # Errors
    /// If a folder does not exist. The other files are still watched, and a file in a folder that is created later is
    /// reported.
    pub async fn watch(&mut self, files: Vec<PathBuf>) -> io::Result<()> {
        let with_files = move |watched: &mut Watched| {
            let missing = folders_exist(&files);
            watched.watch(files);
            missing
        };
        self.with_watched(with_files).await?
    }

    /// Report all files soon, as if they had changed. Files that are being written are reported when the write is over.
    ///
    /// # Errors
    /// If the check of the files panicked.
    pub async fn look_again(&self) -> io::Result<()> {
        self.with_watched(|watched| watched.files.values_mut().for_each(|state| state.reported = None)).await
    }

    /// Do something off the runtime's threads: it waits for a check of the files, which is slow on some network mounts.
    async fn with_watched<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Watched) -> T + Send + 'static,
    ) -> io::Result<T> {
        let watched = Arc::clone(&self.watched);
        spawn_blocking(move || f(&mut watched.lock())).await.map_err(io::Error::other)
    }

    /// Wait until some of the files have changed and no program writes to them any more. Returns the files under the
    /// names that were given. A file that is empty or missing is not reported until it has content. Dropping the future
    /// does not lose a change.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            // This includes what a check found although its future was dropped. A check that still runs reports later.
            let due = self.watched.try_lock().map(|mut watched| watched.take_due()).unwrap_or_default();
            if !due.is_empty() {
                return due;
            }
            self.poll.tick().await;
            // If this panics, the next check finds the same changes.
            let _ = self.with_watched(Watched::look).await;
        }
    }
}

impl Watched {
    fn new() -> io::Result<Self> {
        let writers = Arc::new(Mutex::new(Writers::default()));
        let learner = Arc::clone(&writers);
        let watcher = notify::recommended_watcher(move |event| learner.lock().learn(event));
        let watcher = watcher.map_err(io::Error::other)?;
        Ok(Self { files: BTreeMap::new(), folders: HashMap::new(), writers, watcher })
    }

    fn watch(&mut self, files: Vec<PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        self.files = files
            .into_iter()
            .map(|file| {
                let known = before.remove(&file);
                let state = known.unwrap_or_else(|| FileState::of(&file));
                (file, state)
            })
            .collect();
        self.receive_events();
    }

    /// Check all files.
    fn look(&mut self) {
        self.files.iter_mut().for_each(|(file, state)| state.look(file));
        self.receive_events();
    }

    /// The files to report. They count as known from now on.
    fn take_due(&mut self) -> Vec<PathBuf> {
        let (mut writers, now) = (self.writers.lock(), Instant::now());
        // A program may have begun to write since the check.
        let due = self.files.iter_mut().filter(|(_, state)| state.is_due && !writers.is_writing(&state.target, now));
        // Collected first, because the filter borrows what `forget` changes.
        let due: Vec<_> = due.collect();
        let report = |(file, state): (&PathBuf, &mut FileState)| {
            state.is_due = false;
            state.reported = state.latest;
            writers.forget(&state.target);
            file.clone()
        };
        due.into_iter().map(report).collect()
    }

    /// Receive the events of the folders that contain the files now, and of no other folders.
    fn receive_events(&mut self) {
        let targets: HashSet<_> = self.files.values().map(|state| state.target.clone()).collect();
        let wanted: HashSet<_> = targets.iter().filter_map(|target| target.parent()).map(Path::to_owned).collect();
        let lost = {
            let mut writers = self.writers.lock();
            // Add the files before their events are received, so that no event is ignored.
            writers.adopt(targets);
            writers.take_lost()
        };
        let replaced = |folder: &Path, known: &Identity| lost.contains(folder) || identity(folder) != Some(*known);
        for (folder, _) in self.folders.extract_if(|folder, known| !wanted.contains(folder) || replaced(folder, known))
        {
            // An error means that the folder was removed and its events have already ended.
            let _ = self.watcher.unwatch(&folder);
            self.writers.lock().forget_below(&folder);
        }
        for folder in wanted {
            if !self.folders.contains_key(&folder)
                && let Some(identity) = identity(&folder)
            {
                if let Err(error) = self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                    let folder = folder.display();
                    tracing::warn!("a module in {folder} may be loaded while it is being written: {error}");
                }
                self.folders.insert(folder, identity);
            }
        }
    }
}

impl FileState {
    /// The current state of a file, which counts as reported.
    fn of(file: &Path) -> Self {
        let look = Look::at_content(file);
        Self { target: target(file), reported: look, latest: look, is_due: false }
    }

    fn look(&mut self, file: &Path) {
        let look = Look::at_content(file);
        self.is_due = look.is_some() && look == self.latest && look != self.reported;
        self.latest = look;
        self.target = target(file);
    }
}

#[cfg(test)]
impl ModuleWatcher {
    /// The same watcher as on a file system that reports no events.
    pub(super) fn receive_no_events(&self) {
        let mut watched = self.watched.lock();
        let folders: Vec<_> = watched.folders.keys().cloned().collect();
        folders.iter().for_each(|folder| watched.watcher.unwatch(folder).unwrap());
    }
}

/// The path that the system's events have for a file: without links. If a link points to a file that does not exist,
/// this is the path of the link itself.
fn target(file: &Path) -> PathBuf {
    let in_folder = || Some(file.parent()?.canonicalize().ok()?.join(file.file_name()?));
    file.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| file.to_owned())
}

fn identity(folder: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn folders_exist(files: &[PathBuf]) -> io::Result<()> {
    files.iter().try_for_each(|file| folder_exists(file))
}

fn folder_exists(file: &Path) -> io::Result<()> {
    let file = std::path::absolute(file)?;
    let folder = file.parent().unwrap_or(&file);
    if folder.is_dir() {
        return Ok(());
    }
    let message = format!("the folder {} does not exist; create it, or correct the key `module`", folder.display());
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}
