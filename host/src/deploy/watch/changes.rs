//! What is known about watched files from the system's events: which have changed, and which are being written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind};

/// Build tools write a file in several steps, and each would be loaded: wait until it is quiet.
const QUIET: Duration = Duration::from_millis(150);

/// Only Linux tells when a writer closes a file. ExternalWork quiet has to do, and a writer that pauses is not seen.
const CLOSE_IS_TOLD: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// For each watched file, the names that [`super::route::trace`] found.
pub(super) type Routes = BTreeMap<PathBuf, Vec<PathBuf>>;

/// What is known. It is as large as the number of watched files, however many events come.
#[derive(Default)]
pub(super) struct Changes {
    routes: Routes,
    /// The files that each name leads to.
    names: HashMap<PathBuf, Vec<PathBuf>>,
    /// The folders of the names.
    folders: HashSet<PathBuf>,
    phases: HashMap<PathBuf, Phase>,
    /// The files that have changed, and when they have been quiet for long enough.
    due: BTreeMap<PathBuf, Instant>,
    moved: Option<Lost>,
}

/// Folders that may be others now than those that are watched.
pub(super) type Lost = BTreeSet<PathBuf>;

/// Files that can be reported, and when the next may be.
pub(super) type Due = (Vec<PathBuf>, Option<Instant>);

/// What somebody does with the file of a name. None: nobody writes to it, as far as we know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The name is new. Who opens it next may be the one that made it, in order to write.
    Created,
    /// Somebody has written to it, and not closed it yet.
    Writing,
}

impl Changes {
    /// From now on it is about these files and names. A file whose way is another one than before has changed.
    pub(super) fn adopt(&mut self, routes: Routes, now: Instant) {
        for (file, route) in &routes {
            if self.routes.get(file).is_some_and(|known| known != route) {
                self.due.insert(file.clone(), now + QUIET);
            }
        }
        self.names.clear();
        for (file, name) in routes.iter().flat_map(|(file, route)| route.iter().map(move |name| (file, name))) {
            self.names.entry(name.clone()).or_default().push(file.clone());
        }
        self.folders = self.names.keys().filter_map(|name| name.parent()).map(Path::to_owned).collect();
        self.phases.retain(|name, _| self.names.contains_key(name));
        self.due.retain(|file, _| routes.contains_key(file));
        self.routes = routes;
    }

    /// The folders to watch.
    pub(super) fn folders(&self) -> HashSet<PathBuf> {
        self.folders.clone()
    }

    /// Learn from an event. True if somebody who waits has something to do now.
    pub(super) fn learn(&mut self, event: notify::Result<Event>, now: Instant) -> bool {
        match event {
            Ok(event) if !event.need_rescan() => {
                event.paths.first().is_some_and(|path| self.learn_of(path, event.kind, now))
            }
            // Events were lost.
            Ok(_) | Err(_) => self.anything_may_have_happened(now),
        }
    }

    fn learn_of(&mut self, path: &Path, kind: EventKind, now: Instant) -> bool {
        let lost = is_move(kind) && self.folders.contains(path);
        if lost {
            self.folder_moved(path, now);
        }
        if !self.names.contains_key(path) {
            return lost;
        }
        match kind {
            EventKind::Access(AccessKind::Open(_)) => self.opened(path),
            EventKind::Modify(ModifyKind::Data(_)) if CLOSE_IS_TOLD => self.written(path),
            EventKind::Modify(ModifyKind::Data(_)) | EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                self.finished(path, now);
                return true;
            }
            kind if is_move(kind) => {
                self.name_moved(path, kind, now);
                return true;
            }
            _ => {}
        }
        lost
    }

    /// The folder is another one now, or none, and so is all in it.
    fn folder_moved(&mut self, folder: &Path, now: Instant) {
        self.moved.get_or_insert_default().insert(folder.to_owned());
        let below: Vec<_> = self.names.keys().filter(|name| name.starts_with(folder)).cloned().collect();
        below.iter().for_each(|name| self.finished(name, now));
    }

    /// The name has another file now, or none.
    fn name_moved(&mut self, name: &Path, kind: EventKind, now: Instant) {
        self.moved.get_or_insert_default();
        self.finished(name, now);
        if matches!(kind, EventKind::Create(_)) {
            self.phases.insert(name.to_owned(), Phase::Created);
        }
    }

    fn finished(&mut self, name: &Path, now: Instant) {
        self.phases.remove(name);
        for file in self.names.get(name).into_iter().flatten() {
            self.due.insert(file.clone(), now + QUIET);
        }
    }

    /// Opening is told for readers too. But a new file is opened by its writer, whose first write is told
    /// when it is over, and not when it begins. A hard link is a new name of a file that was there before.
    fn opened(&mut self, name: &Path) {
        let new_file = || fs::symlink_metadata(name).is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1);
        if self.phases.get(name) == Some(&Phase::Created) && new_file() {
            self.phases.insert(name.to_owned(), Phase::Writing);
        }
    }

    /// That only the time of a file is set is told as if it was written, but then nobody closes it. A write sets
    /// mtime and ctime to the same.
    fn written(&mut self, name: &Path) {
        let times = |metadata: fs::Metadata| {
            (metadata.mtime(), metadata.mtime_nsec()) == (metadata.ctime(), metadata.ctime_nsec())
        };
        if self.phases.get(name) != Some(&Phase::Writing) && fs::symlink_metadata(name).is_ok_and(times) {
            self.phases.insert(name.to_owned(), Phase::Writing);
        }
    }

    /// Among what was lost may be that a writer has closed its file: better one load too many than none.
    fn anything_may_have_happened(&mut self, now: Instant) -> bool {
        self.phases.clear();
        self.all_have_changed(now);
        self.moved.get_or_insert_default().extend(self.folders.iter().cloned());
        true
    }

    /// All files count as changed now.
    pub(super) fn all_have_changed(&mut self, now: Instant) {
        self.due = self.routes.keys().map(|file| (file.clone(), now + QUIET)).collect();
    }

    /// Whether the ways to the files must be found again, and which folders must be watched anew then.
    pub(super) fn take_moved(&mut self) -> Option<Lost> {
        self.moved.take()
    }

    /// Take the files that have been quiet for long enough and that nobody writes to.
    pub(super) fn take_due(&mut self, now: Instant) -> Due {
        let (mut files, mut next) = (Vec::new(), None::<Instant>);
        for (file, at) in &self.due {
            let route = self.routes.get(file).map(Vec::as_slice).unwrap_or_default();
            if route.iter().any(|name| self.phases.get(name) == Some(&Phase::Writing)) {
                // The event of the end of the writing wakes who waits.
            } else if *at <= now {
                files.push(file.clone());
            } else {
                next = Some(next.map_or(*at, |next| next.min(*at)));
            }
        }
        for file in &files {
            self.due.remove(file);
            for name in self.routes.get(file).into_iter().flatten() {
                self.phases.remove(name);
            }
        }
        (files, next)
    }
}

/// Whether a name has come, gone or got another file. That both ends of a renaming are known is told in addition
/// to each of them.
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
        changes: Changes,
        chat: PathBuf,
        poll: PathBuf,
        start: Instant,
        _folder: tempfile::TempDir,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let [chat, poll] = ["chat.wasm", "poll.wasm"].map(|name| folder.path().join(name));
            fs::write(&chat, "chat").unwrap();
            fs::write(&poll, "poll").unwrap();
            let changes = Changes::default();
            let mut files =
                Self { changes, chat: chat.clone(), poll: poll.clone(), start: Instant::now(), _folder: folder };
            files.adopt(0, &[(&chat, &[&chat]), (&poll, &[&poll])]);
            files
        }

        fn adopt(&mut self, at: u64, routes: &[(&PathBuf, &[&PathBuf])]) {
            let owned = |route: &[&PathBuf]| route.iter().copied().cloned().collect();
            let routes = routes.iter().map(|(file, route)| ((*file).clone(), owned(route))).collect();
            self.changes.adopt(routes, self.start + Duration::from_millis(at));
        }

        /// Something happens to a file, so many milliseconds after the start.
        fn event(&mut self, at: u64, file: &Path, kind: EventKind) -> bool {
            let now = self.start + Duration::from_millis(at);
            self.changes.learn(Ok(Event::new(kind).add_path(file.to_owned())), now)
        }

        fn due(&mut self, at: u64) -> (Vec<PathBuf>, Option<u64>) {
            let (files, next) = self.changes.take_due(self.start + Duration::from_millis(at));
            (files, next.map(|next| u64::try_from((next - self.start).as_millis()).unwrap()))
        }
    }

    #[test]
    fn writes_in_a_row_are_one_change() {
        let mut files = Files::new();
        let chat = files.chat.clone();
        assert!(files.event(0, &chat, CLOSE));
        assert_eq!(files.due(149), (vec![], Some(150)));
        assert!(files.event(149, &chat, CLOSE));
        assert_eq!(files.due(298), (vec![], Some(299)));
        assert_eq!(files.due(299), (vec![chat], None));
        assert_eq!(files.due(1000), (vec![], None));
    }

    #[test]
    fn a_file_that_always_changes_delays_no_other() {
        let mut files = Files::new();
        let (chat, poll) = (files.chat.clone(), files.poll.clone());
        files.event(0, &poll, CLOSE);
        files.event(50, &chat, CLOSE);
        assert_eq!(files.due(50), (vec![], Some(150)));
        files.event(149, &chat, CLOSE);
        assert_eq!(files.due(150), (vec![poll.clone()], Some(299)));
        files.event(160, &poll, CLOSE);
        files.event(290, &chat, CLOSE);
        assert_eq!(files.due(290), (vec![], Some(310)));
    }

    #[test]
    fn the_writer_of_a_new_file_has_it_open_before_its_first_write_is_told() {
        let mut files = Files::new();
        let chat = files.chat.clone();
        files.event(0, &chat, CREATE);
        assert!(!files.event(0, &chat, OPEN));
        assert_eq!(files.due(5000), (vec![], None));
        assert!(files.event(5000, &chat, CLOSE));
        assert_eq!(files.due(5150), (vec![chat], None));
    }

    #[test]
    fn who_opens_a_hard_link_or_an_old_file_need_not_be_a_writer() {
        let mut files = Files::new();
        let (chat, poll) = (files.chat.clone(), files.poll.clone());
        fs::remove_file(&chat).unwrap();
        fs::hard_link(&poll, &chat).unwrap();
        files.event(0, &chat, CREATE);
        files.event(0, &chat, OPEN);
        assert_eq!(files.due(150), (vec![chat.clone()], None));
        fs::remove_file(&poll).unwrap();
        files.event(200, &chat, CLOSE);
        files.event(200, &chat, OPEN);
        assert_eq!(files.due(350), (vec![chat], None));
    }

    #[test]
    fn a_file_that_was_renamed_into_its_place_or_reported_is_not_new() {
        let mut files = Files::new();
        let chat = files.chat.clone();
        files.event(0, &chat, CREATE);
        files.event(0, &chat, EventKind::Modify(ModifyKind::Name(RenameMode::To)));
        files.event(0, &chat, OPEN);
        assert_eq!(files.due(150), (vec![chat.clone()], None));
        files.event(200, &chat, CREATE);
        assert_eq!(files.due(350), (vec![chat.clone()], None));
        files.event(400, &chat, OPEN);
        files.adopt(400, &[(&chat, &[&chat.with_extension("link"), &chat])]);
        assert_eq!(files.due(550), (vec![chat], None));
    }

    #[test]
    fn a_renaming_is_known_by_its_two_ends() {
        let mut files = Files::new();
        let chat = files.chat.clone();
        assert!(!files.event(0, &chat, EventKind::Modify(ModifyKind::Name(RenameMode::Both))));
        assert_eq!(files.due(150), (vec![], None));
    }

    #[test]
    fn another_way_is_a_change_and_another_list_is_none() {
        let mut files = Files::new();
        let (chat, poll) = (files.chat.clone(), files.poll.clone());
        files.event(0, &poll, DATA);
        files.event(0, &poll, EventKind::Remove(RemoveKind::File));
        files.event(0, &poll, DATA);
        let link = chat.with_extension("link");
        files.adopt(0, &[(&chat, &[&link]), (&link, &[&link])]);
        assert!(files.changes.phases.is_empty(), "nothing is kept of files that are watched no more");
        assert_eq!(files.due(150), (vec![chat], None));
    }

    #[test]
    fn after_lost_events_all_files_count_as_changed_and_all_ways_as_unknown() {
        let mut files = Files::new();
        let (chat, poll) = (files.chat.clone(), files.poll.clone());
        assert!(!files.event(0, &chat, DATA));
        assert_eq!(files.changes.take_moved(), None);
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(files.changes.learn(Ok(overflow), files.start));
        assert_eq!(files.changes.take_moved().unwrap(), files.changes.folders().into_iter().collect());
        assert_eq!(files.due(150), (vec![chat, poll], None));
    }

    #[test]
    fn who_writes_while_all_files_count_as_changed_is_waited_for() {
        let mut files = Files::new();
        let (chat, poll) = (files.chat.clone(), files.poll.clone());
        assert!(!files.event(0, &chat, DATA));
        files.changes.all_have_changed(files.start);
        assert_eq!(files.due(150), (vec![poll], None));
        assert!(files.event(200, &chat, CLOSE));
        assert_eq!(files.due(350), (vec![chat], None));
    }

    #[test]
    fn a_folder_that_moves_takes_its_writers_with_it() {
        let mut files = Files::new();
        let (chat, poll) = (files.chat.clone(), files.poll.clone());
        let folder = chat.parent().unwrap().to_owned();
        files.event(0, &chat, DATA);
        assert_eq!(files.due(5000), (vec![], None));
        assert!(files.event(5000, &folder, EventKind::Modify(ModifyKind::Name(RenameMode::From))));
        assert_eq!(files.changes.take_moved(), Some([folder].into()));
        assert_eq!(files.due(5150), (vec![chat, poll], None));
    }

    #[test]
    fn other_names_wake_nobody() {
        let mut files = Files::new();
        let other = files.chat.with_extension("db");
        for kind in [CREATE, OPEN, DATA, CLOSE] {
            assert!(!files.event(0, &other, kind));
        }
        assert_eq!(files.changes.take_moved(), None);
        assert_eq!(files.due(1000), (vec![], None));
        assert!(files.changes.phases.is_empty(), "nothing is kept of them");
    }
}
