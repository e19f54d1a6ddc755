//! Detects which of the watched files a program is writing to. Polling cannot detect it: an incomplete file looks like
//! a complete file while its writer pauses. The events of the file's folder show the difference.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind};

/// Only Linux reports when a writer closes a file. On other systems, a writer that pauses is not recognised.
const CLOSE_IS_REPORTED: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// How long a program that opened a new file counts as its writer before its first write is reported. A linker writes
/// to memory that is mapped to the file, which is not reported. It is not reported either that a program that only reads
/// closes the file.
const OPENED: Duration = Duration::from_secs(30);

/// The known writers. The size depends on the number of watched files, not on the number of events.
#[derive(Default)]
pub(super) struct Writers {
    files: HashSet<PathBuf>,
    phases: HashMap<PathBuf, Phase>,
    lost: Lost,
}

/// Folders that were removed or moved, so that their events no longer arrive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost(HashSet<PathBuf>);

/// What a program does with a file. A file without a phase has no known writer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The name is new. The next program that opens the file may be the one that created it, in order to write to it.
    Created,
    /// The name is new, and a program has opened the file since.
    Opened(Instant),
    /// A program has written to the file and has not closed it yet.
    Writing,
}

impl Writers {
    /// Process the events of these files from now on. Each path is without links, as events name it.
    pub(super) fn adopt(&mut self, files: HashSet<PathBuf>) {
        self.phases.retain(|file, _| files.contains(file));
        self.files = files;
    }

    /// Whether a program is writing to the file.
    pub(super) fn is_writing(&self, file: &Path, now: Instant) -> bool {
        match self.phases.get(file) {
            Some(Phase::Opened(since)) => now.duration_since(*since) < OPENED,
            Some(Phase::Writing) => true,
            Some(Phase::Created) | None => false,
        }
    }

    /// The file was reported, so its earlier events do not matter any more.
    pub(super) fn forget(&mut self, file: &Path) {
        self.phases.remove(file);
    }

    /// The events of a folder are not received any more, so the end of a write will not be reported.
    pub(super) fn forget_below(&mut self, folder: &Path) {
        self.phases.retain(|file, _| !file.starts_with(folder));
    }

    /// Process an event.
    pub(super) fn learn(&mut self, event: notify::Result<Event>) {
        match event {
            Ok(event) if !event.need_rescan() => {
                if let Some(path) = event.paths.first() {
                    self.learn_of(path, event.kind);
                }
            }
            // Events were lost, possibly including the end of a write.
            Ok(_) | Err(_) => self.phases.clear(),
        }
    }

    /// The folders to watch again.
    pub(super) fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    fn learn_of(&mut self, path: &Path, kind: EventKind) {
        if is_move(kind) && self.is_folder(path) {
            self.lost.0.insert(path.to_owned());
            self.forget_below(path);
        }
        if !self.files.contains(path) {
            return;
        }
        match kind {
            EventKind::Access(AccessKind::Open(_)) => self.opened(path),
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.forget(path),
            EventKind::Modify(ModifyKind::Data(_)) if CLOSE_IS_REPORTED => self.written(path),
            EventKind::Create(_) => drop(self.phases.insert(path.to_owned(), Phase::Created)),
            kind if is_move(kind) => self.forget(path),
            _ => {}
        }
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.parent() == Some(path))
    }

    /// The system also reports when a program opens a file to read it. But the writer of a new file opens it first, and
    /// the system reports the close after its first write. A hard link is a new name of an existing file.
    fn opened(&mut self, file: &Path) {
        let is_new = || fs::symlink_metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1);
        if self.phases.get(file) == Some(&Phase::Created) && is_new() {
            self.phases.insert(file.to_owned(), Phase::Opened(Instant::now()));
        }
    }

    /// A program that only sets the time of a file causes the same event, but no event when it is finished. A write
    /// sets mtime and ctime to the same value.
    fn written(&mut self, file: &Path) {
        let is_write = |metadata: fs::Metadata| {
            (metadata.mtime(), metadata.mtime_nsec()) == (metadata.ctime(), metadata.ctime_nsec())
        };
        if self.phases.get(file) != Some(&Phase::Writing) && fs::symlink_metadata(file).is_ok_and(is_write) {
            self.phases.insert(file.to_owned(), Phase::Writing);
        }
    }
}

impl Lost {
    pub(super) fn contains(&self, folder: &Path) -> bool {
        self.0.contains(folder)
    }
}

/// Whether a name was created or removed, or now refers to another file. The event with both names of a rename is
/// reported in addition to the event for each name.
fn is_move(kind: EventKind) -> bool {
    match kind {
        EventKind::Modify(ModifyKind::Name(mode)) => mode != RenameMode::Both,
        EventKind::Create(_) | EventKind::Remove(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, RemoveKind};

    use super::*;

    const OPEN: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
    const DATA: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const CREATE: EventKind = EventKind::Create(CreateKind::File);

    /// Two files that exist and are complete.
    struct Files {
        writers: Writers,
        chat: PathBuf,
        poll: PathBuf,
        _folder: tempfile::TempDir,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let [chat, poll] = ["chat.wasm", "poll.wasm"].map(|name| folder.path().join(name));
            fs::write(&chat, "chat").unwrap();
            fs::write(&poll, "poll").unwrap();
            let mut writers = Writers::default();
            writers.adopt([chat.clone(), poll.clone()].into());
            Self { writers, chat, poll, _folder: folder }
        }

        fn event(&mut self, file: &Path, kind: EventKind) {
            self.writers.learn(Ok(Event::new(kind).add_path(file.to_owned())));
        }

        /// Whether a program writes to `chat.wasm` after these events.
        fn writes_after(&mut self, kinds: &[EventKind]) -> bool {
            let chat = self.chat.clone();
            kinds.iter().for_each(|kind| self.event(&chat, *kind));
            self.writers.is_writing(&chat, Instant::now())
        }
    }

    #[test]
    fn a_write_lasts_until_the_file_is_closed() {
        let mut files = Files::new();
        assert!(!files.writes_after(&[OPEN]), "it may be opened to be read");
        assert!(files.writes_after(&[DATA]));
        assert!(!files.writes_after(&[CLOSE]));
        assert!(files.writes_after(&[DATA]), "a second writer");
    }

    #[test]
    fn the_writer_of_a_new_file_has_it_open_before_its_first_write_is_reported() {
        let mut files = Files::new();
        assert!(!files.writes_after(&[CREATE]));
        assert!(files.writes_after(&[OPEN]));
        assert!(!files.writes_after(&[CLOSE]));
    }

    #[test]
    fn a_program_that_opens_a_new_file_and_does_not_write_is_not_waited_for_for_ever() {
        let mut files = Files::new();
        assert!(files.writes_after(&[CREATE, OPEN]));
        assert!(!files.writers.is_writing(&files.chat, Instant::now() + OPENED));
        assert!(files.writes_after(&[DATA]));
        assert!(files.writers.is_writing(&files.chat, Instant::now() + OPENED), "it pauses");
    }

    #[test]
    fn the_program_that_opens_a_hard_link_or_a_reported_file_need_not_be_a_writer() {
        let mut files = Files::new();
        fs::remove_file(&files.chat).unwrap();
        fs::hard_link(&files.poll, &files.chat).unwrap();
        assert!(!files.writes_after(&[CREATE, OPEN]));
        fs::remove_file(&files.poll).unwrap();
        let chat = files.chat.clone();
        files.writers.forget(&chat);
        assert!(!files.writes_after(&[OPEN]));
    }

    #[test]
    fn a_file_that_was_renamed_into_its_place_is_not_new() {
        let mut files = Files::new();
        let renamed = |mode| EventKind::Modify(ModifyKind::Name(mode));
        assert!(!files.writes_after(&[CREATE, renamed(RenameMode::To), OPEN]));
        assert!(files.writes_after(&[DATA, renamed(RenameMode::Both)]), "this repeats an event");
        assert!(!files.writes_after(&[renamed(RenameMode::From)]));
    }

    #[test]
    fn setting_the_time_is_not_a_write() {
        let mut files = Files::new();
        fs::File::open(&files.chat).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert!(!files.writes_after(&[DATA]));
    }

    #[test]
    fn nothing_is_kept_of_files_that_are_not_watched() {
        let mut files = Files::new();
        let (poll, other) = (files.poll.clone(), files.chat.with_extension("db"));
        for kind in [CREATE, OPEN, DATA] {
            files.event(&other, kind);
            files.event(&poll, kind);
        }
        assert_eq!(files.writers.phases.len(), 1);
        let chat = files.chat.clone();
        files.writers.adopt([chat].into());
        assert!(files.writers.phases.is_empty());
        assert_eq!(files.writers.take_lost(), Lost::default());
    }

    #[test]
    fn after_lost_events_no_writer_is_waited_for() {
        let mut files = Files::new();
        assert!(files.writes_after(&[DATA]));
        files.writers.learn(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(!files.writes_after(&[]));
    }

    #[test]
    fn a_folder_that_is_removed_or_moved_takes_its_writers_with_it() {
        let removed = EventKind::Remove(RemoveKind::Folder);
        for kind in [removed, EventKind::Modify(ModifyKind::Name(RenameMode::From))] {
            let mut files = Files::new();
            assert!(files.writes_after(&[DATA]));
            let folder = files.chat.parent().unwrap().to_owned();
            files.event(&folder, kind);
            assert!(!files.writes_after(&[]));
            assert!(files.writers.take_lost().contains(&folder));
            assert!(!files.writers.take_lost().contains(&folder), "once");
        }
    }
}
