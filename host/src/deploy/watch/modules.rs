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

/// How often the files are looked at. A change is reported when two looks in a row see the same, so within twice this
/// time. A look is about ten system calls a file: with a hundred apps, a thousandth of one core.
const POLL: Duration = if cfg!(test) { Duration::from_millis(150) } else { Duration::from_millis(500) };

/// Reports which module files hold something new and complete.
///
/// A file may be copied, renamed or linked into its place, and it, or any folder above it, may be replaced, moved or
/// be a link that changes. A file that is being written is reported once its writer has closed it. Not recognised is
/// a writer on another machine or one that began before the file was watched, and a second writer that pauses while a
/// first one closes the same file: if such a writer pauses for longer than two looks, half a module can be reported,
/// and once more when it is whole.
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

/// What is known about one file. A look is none if the file is missing or empty.
#[derive(Default)]
struct FileState {
    /// The file without links, as events name it.
    target: PathBuf,
    reported: Option<Look>,
    latest: Option<Look>,
    is_due: bool,
}

/// Device and inode.
type Identity = (u64, u64);

impl ModuleWatcher {
    /// Watch these files. To miss nothing, begin before they are read.
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

    /// Watch these files instead (after a config reload). To miss nothing, begin before they are read.
    ///
    /// # Errors
    /// If a folder does not exist. The other files are watched all the same, and a file in a folder that is created
    /// later is reported.
    pub fn watch(&mut self, files: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
        let files: Vec<_> = files.into_iter().collect();
        let missing = files.iter().try_for_each(|file| folder_exists(file));
        self.watched.lock().watch(files);
        missing
    }

    /// Report all files soon, as if they had changed: those that are being written now, when that is over.
    pub fn look_again(&self) {
        self.watched.lock().files.values_mut().for_each(|state| state.reported = None);
    }

    /// Wait until some of the files have changed and no program writes to them any more; returns them, as they were
    /// named. A file that is empty or missing is not reported until it is filled. To drop the future loses nothing.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            self.poll.tick().await;
            let watched = Arc::clone(&self.watched);
            // A look at a network mount may take long. If this panics, the next look finds what it would have found.
            let _ = spawn_blocking(move || watched.lock().look()).await;
            let due = self.watched.lock().take_due();
            if !due.is_empty() {
                return due;
            }
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

    /// Look at all files.
    fn look(&mut self) {
        let writers = Arc::clone(&self.writers);
        for (file, state) in &mut self.files {
            state.look(file);
            state.is_due &= !writers.lock().is_writing(&state.target);
        }
        self.receive_events();
    }

    /// The files to report, which are known from now on.
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

    /// Receive the events of the folders that the files are in now, and of no others.
    fn receive_events(&mut self) {
        let targets: HashSet<_> = self.files.values().map(|state| state.target.clone()).collect();
        let wanted: HashSet<_> = targets.iter().filter_map(|target| target.parent()).map(Path::to_owned).collect();
        let lost = {
            let mut writers = self.writers.lock();
            // Known before their events are received, so that none is ignored.
            writers.adopt(targets);
            writers.take_lost()
        };
        let replaced = |folder: &Path, known: &Identity| lost.contains(folder) || identity(folder) != Some(*known);
        for (folder, _) in self.folders.extract_if(|folder, known| !wanted.contains(folder) || replaced(folder, known))
        {
            // An error means that the folder was removed, and its events have ended.
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
    /// A file as it is now, which counts as reported.
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
    /// As on a file system that reports no events.
    pub(super) fn receive_no_events(&self) {
        let mut watched = self.watched.lock();
        let folders: Vec<_> = watched.folders.keys().cloned().collect();
        folders.iter().for_each(|folder| watched.watcher.unwatch(folder).unwrap());
    }
}

/// The path that the system's events have for a file: without links. Of a link that leads nowhere, the link itself.
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
