//! Tests of module files that change in all the ways in which people and tools change files.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::ModuleWatcher;

mod links_and_folders;

/// The deadline suits the slowest machine, because a test only reaches it when it fails.
const DEADLINE: Duration = Duration::from_secs(30);

/// Watches `chat.wasm`, which most tests change, and `other/poll.wasm`, which shows that no other file is reported.
struct Watched {
    watcher: ModuleWatcher,
    chat: PathBuf,
    poll: PathBuf,
    root: TempDir,
}

impl Watched {
    fn new() -> Self {
        Self::with(|chat| fs::write(chat, "old").unwrap())
    }

    /// `make` creates `chat.wasm`.
    fn with(make: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let [chat, poll] = ["app/chat.wasm", "other/poll.wasm"].map(|name| root.path().join(name));
        for file in [&chat, &poll] {
            fs::create_dir(file.parent().unwrap()).unwrap();
        }
        fs::write(&poll, "poll").unwrap();
        make(&chat);
        Self { watcher: ModuleWatcher::new([chat.clone(), poll.clone()]).unwrap(), chat, poll, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    async fn report(&mut self) -> Vec<PathBuf> {
        timeout(DEADLINE, self.watcher.changed()).await.expect("no report")
    }

    async fn reports_chat(&mut self) {
        let report = self.report().await;
        assert_eq!(report, [self.chat.as_path()]);
    }

    /// All changes of `chat.wasm` have been processed when a later change of the other file is reported.
    async fn does_not_report_chat(&mut self) {
        fs::write(&self.poll, "changed").unwrap();
        let report = self.report().await;
        assert_eq!(report, [self.poll.as_path()]);
    }
}

/// Replace a file or a link with another one in one step.
fn replace(target: &Path, make: impl FnOnce(&Path)) {
    let temporary = target.with_extension("tmp");
    make(&temporary);
    fs::rename(temporary, target).unwrap();
}

#[tokio::test]
async fn a_copy_is_reported_once() {
    let mut watched = Watched::new();
    watched.does_not_report_chat().await;
    fs::copy(&watched.poll, &watched.chat).unwrap();
    watched.reports_chat().await;
    watched.does_not_report_chat().await;
}

#[tokio::test]
async fn a_rename_into_its_place_is_reported() {
    let mut watched = Watched::new();
    for folder in ["app", "."] {
        let temporary = watched.path(folder).join("new");
        fs::write(&temporary, "new").unwrap();
        fs::rename(temporary, &watched.chat).unwrap();
        watched.reports_chat().await;
    }
}

#[tokio::test]
async fn a_new_file_and_a_hard_link_are_reported() {
    let mut watched = Watched::new();
    fs::remove_file(&watched.chat).unwrap();
    watched.does_not_report_chat().await;
    fs::write(&watched.chat, "new").unwrap();
    watched.reports_chat().await;
    fs::remove_file(&watched.chat).unwrap();
    fs::write(watched.path("built"), "built").unwrap();
    fs::hard_link(watched.path("built"), &watched.chat).unwrap();
    assert_eq!(fs::read(&watched.chat).unwrap(), b"built", "reading it makes no difference");
    watched.reports_chat().await;
}

#[tokio::test]
async fn two_quick_writes_are_one_report() {
    let mut watched = Watched::new();
    fs::write(&watched.chat, "first").unwrap();
    fs::write(&watched.chat, "second").unwrap();
    watched.reports_chat().await;
    watched.does_not_report_chat().await;
}

#[tokio::test]
async fn a_half_written_file_is_not_reported() {
    type Open = fn(&Path) -> File;
    let ways: [(&str, Open); 3] = [
        ("over the old", |file| File::create(file).unwrap()),
        ("into the old", |file| OpenOptions::new().write(true).open(file).unwrap()),
        ("a new file", |file| {
            fs::remove_file(file).unwrap();
            File::create_new(file).unwrap()
        }),
    ];
    for (way, open) in ways {
        let mut watched = Watched::new();
        let mut writer = open(&watched.chat);
        writer.write_all(b"half").unwrap();
        println!("{way}");
        watched.does_not_report_chat().await;
        writer.write_all(b"and half").unwrap();
        watched.does_not_report_chat().await;
        drop(writer);
        watched.reports_chat().await;
    }
}

#[tokio::test]
async fn a_file_that_is_written_again_before_it_was_reported_waits_for_the_end() {
    let mut watched = Watched::new();
    fs::write(&watched.chat, "whole").unwrap();
    let mut writer = File::create(&watched.chat).unwrap();
    writer.write_all(b"half").unwrap();
    watched.does_not_report_chat().await;
    drop(writer);
    watched.reports_chat().await;
}

#[tokio::test]
async fn a_second_writer_is_waited_for_once_it_writes_again() {
    let mut watched = Watched::new();
    let [mut first, mut second] = [(); 2].map(|()| OpenOptions::new().append(true).open(&watched.chat).unwrap());
    first.write_all(b"first").unwrap();
    second.write_all(b"second").unwrap();
    drop(first);
    second.write_all(b"second").unwrap();
    watched.does_not_report_chat().await;
    drop(second);
    watched.reports_chat().await;
}

#[tokio::test]
async fn a_rename_ends_the_wait_for_the_writer_of_the_old_file() {
    let mut watched = Watched::new();
    let mut writer = File::create(&watched.chat).unwrap();
    writer.write_all(b"half").unwrap();
    replace(&watched.chat, |temporary| fs::write(temporary, "new").unwrap());
    watched.reports_chat().await;
    drop(writer);
}

#[tokio::test]
async fn an_empty_file_and_a_folder_are_not_reported() {
    let mut watched = Watched::new();
    File::create(&watched.chat).unwrap();
    watched.does_not_report_chat().await;
    fs::remove_file(&watched.chat).unwrap();
    fs::create_dir(&watched.chat).unwrap();
    watched.does_not_report_chat().await;
    fs::remove_dir(&watched.chat).unwrap();
    fs::write(&watched.chat, "new").unwrap();
    watched.reports_chat().await;
}

#[tokio::test]
async fn setting_the_time_afterwards_is_not_a_write() {
    let mut watched = Watched::new();
    fs::write(&watched.chat, "new").unwrap();
    File::open(&watched.chat).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    watched.reports_chat().await;
}

#[tokio::test]
async fn other_files_of_the_folder_are_ignored() {
    let mut watched = Watched::new();
    fs::write(watched.path("app/chat.db"), "data").unwrap();
    fs::rename(watched.path("app/chat.db"), watched.path("app/chat.wasm.bak")).unwrap();
    symlink("chat.wasm", watched.path("app/link")).unwrap();
    fs::remove_file(watched.path("app/link")).unwrap();
    watched.does_not_report_chat().await;
}

#[tokio::test]
async fn other_files_can_be_watched_instead() {
    let mut watched = Watched::new();
    let extra = watched.path("app/extra.wasm");
    fs::write(&watched.chat, "no longer wanted").unwrap();
    watched.watcher.watch(vec![extra.clone(), watched.poll.clone()]).await.unwrap();
    fs::write(&watched.chat, "no longer wanted").unwrap();
    watched.does_not_report_chat().await;
    fs::write(&extra, "new").unwrap();
    assert_eq!(watched.report().await, [extra]);
}

/// Whether this process receives the events of a folder, according to the system.
fn is_watched(folder: &Path) -> bool {
    let inode = format!(" ino:{:x} ", fs::metadata(folder).unwrap().ino());
    let infos =
        fs::read_dir("/proc/self/fdinfo").unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    infos
        .flat_map(|info| info.lines().map(str::to_owned).collect::<Vec<_>>())
        .any(|line| line.starts_with("inotify ") && line.contains(&inode))
}

#[tokio::test]
async fn only_folders_that_matter_are_watched() {
    let mut watched = Watched::new();
    let folders = [".", "app", "other"].map(|name| watched.path(name));
    let expect = |expected: [bool; 3]| assert_eq!(folders.each_ref().map(|folder| is_watched(folder)), expected);
    expect([false, true, true]);
    watched.watcher.watch(vec![watched.poll.clone()]).await.unwrap();
    expect([false, false, true]);
}

#[tokio::test]
async fn a_change_that_was_not_reported_yet_survives_a_new_list() {
    let mut watched = Watched::new();
    fs::write(&watched.chat, "new").unwrap();
    watched.watcher.watch(vec![watched.chat.clone()]).await.unwrap();
    watched.reports_chat().await;
}

#[tokio::test]
async fn a_missing_folder_is_named_and_waited_for() {
    let mut watched = Watched::new();
    let file = watched.path("none/deep/chat.wasm");
    let error = ModuleWatcher::new([file.clone()]).err().unwrap().to_string();
    assert!(error.contains(&format!("the folder {} does not exist", watched.path("none/deep").display())), "{error}");
    watched.watcher.watch(vec![watched.chat.clone(), file.clone()]).await.unwrap_err();
    fs::write(&watched.chat, "new").unwrap();
    watched.reports_chat().await;
    fs::create_dir_all(watched.path("none/deep")).unwrap();
    fs::write(&file, "new").unwrap();
    assert_eq!(watched.report().await, [file]);
}

#[tokio::test]
async fn a_relative_path_is_reported_as_it_was_given() {
    let root = tempfile::tempdir().unwrap();
    let up: PathBuf = std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
    let file = up.join(root.path().strip_prefix("/").unwrap()).join("chat.wasm");
    let mut watcher = ModuleWatcher::new([file.clone()]).unwrap();
    fs::write(root.path().join("chat.wasm"), "new").unwrap();
    assert_eq!(timeout(DEADLINE, watcher.changed()).await.unwrap(), [file]);
}

#[tokio::test]
async fn a_dropped_wait_loses_nothing() {
    let mut watched = Watched::new();
    fs::write(&watched.chat, "new").unwrap();
    let impatient = async {
        loop {
            tokio::select! {
                biased;
                report = watched.watcher.changed() => break report,
                () = yield_now() => {}
            }
        }
    };
    assert_eq!(timeout(DEADLINE, impatient).await.unwrap(), [watched.chat.clone()]);
}

/// Where no events arrive, as on a network mount, checks still find a change.
#[tokio::test]
async fn without_events_a_change_is_noticed() {
    let mut watched = Watched::new();
    watched.watcher.receive_no_events();
    fs::write(&watched.chat, "new").unwrap();
    watched.reports_chat().await;
    watched.does_not_report_chat().await;
}

#[tokio::test]
async fn after_looking_again_all_files_are_reported() {
    let mut watched = Watched::new();
    watched.watcher.look_again().await.unwrap();
    assert_eq!(watched.report().await, [watched.chat.clone(), watched.poll.clone()]);
    let mut writer = OpenOptions::new().append(true).open(&watched.chat).unwrap();
    writer.write_all(b"half").unwrap();
    watched.watcher.look_again().await.unwrap();
    assert_eq!(watched.report().await, [watched.poll.clone()], "the other is being written");
    drop(writer);
    watched.reports_chat().await;
}
