//! Watching the files of modules: a new module is loaded when its file changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    /// The folders whose events are received. A folder that was replaced has another identity.
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
    /// Watch these files. Call this before the files are read, so that no change is missed.
    ///
    /// # Errors
    /// If a folder does not exist, or the system does not report events.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut modules = Self { watched: Arc::new(Mutex::new(Watched::new()?)), poll };
        modules.watch(files)?;
        Ok(modules)
    }

    /// Watch these files instead (after a config reload). Call this before they are read, so that no change is missed.
    ///
    /// # Errors
    /// If a folder does not exist. The other files are still watched, and a file in a folder that is created later is
    /// reported.
    pub fn watch(&mut self, files: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
        let files: Vec<_> = files.into_iter().collect();
        let missing = files.iter().try_for_each(|file| folder_exists(file));
        self.watched.lock().watch(files);
        missing
    }

    /// Report all files soon, as if they had changed. Files that are being written are reported when the write is over.
    pub fn look_again(&self) {
        self.watched.lock().files.values_mut().for_each(|state| state.reported = None);
    }

    /// Wait until some of the files have changed and no program writes to them any more. Returns the files under the
    /// names that were given. A file that is empty or missing is not reported until it has content. Dropping the future
    /// does not lose a change.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            // Also what a check has found whose future was dropped. A check that still runs reports later.
            let due = self.watched.try_lock().map(|mut watched| watched.take_due()).unwrap_or_default();
            if !due.is_empty() {
                return due;
            }
            self.poll.tick().await;
            let watched = Arc::clone(&self.watched);
            // Checking files on a network mount may take long. If this panics, the next check finds the same changes.
            let _ = spawn_blocking(move || watched.lock().look()).await;
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
        let writers = Arc::clone(&self.writers);
        for (file, state) in &mut self.files {
            state.look(file);
            state.is_due &= !writers.lock().is_writing(&state.target);
        }
        self.receive_events();
    }

    /// The files to report. They count as known from now on.
    fn take_due(&mut self) -> Vec<PathBuf> {
        let mut writers = self.writers.lock();
        let due = self.files.iter_mut().filter(|(_, state)| state.is_due);
        due.map(|(file, state)| {
            state.is_due = false;
            state.reported = state.latest;
            writers.forget(&state.target);
            file.clone()
        })
        .collect()
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

fn folder_exists(file: &Path) -> io::Result<()> {
    let file = std::path::absolute(file)?;
    let folder = file.parent().unwrap_or(&file);
    if folder.is_dir() {
        return Ok(());
    }
    let message = format!("the folder {} does not exist; create it, or correct the key `module`", folder.display());
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}
