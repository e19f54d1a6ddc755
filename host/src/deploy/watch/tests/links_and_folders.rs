//! Links that are switched, and folders that are replaced.

use super::*;

fn switch(link: &Path, target: impl AsRef<Path>) {
    replace(link, |temporary| symlink(target, temporary).unwrap());
}

#[tokio::test]
async fn a_switched_link_is_reported_and_its_target_watched() {
    let mut watched = Watched::with(|chat| symlink("../chat-1.wasm", chat).unwrap());
    let [first, second] = ["chat-1.wasm", "releases/chat-2.wasm"].map(|name| watched.path(name));
    fs::write(&first, "1").unwrap();
    watched.reports_chat().await;
    fs::create_dir(watched.path("releases")).unwrap();
    fs::write(&second, "2").unwrap();
    watched.does_not_report_chat().await;
    switch(&watched.chat, "../releases/chat-2.wasm");
    watched.reports_chat().await;
    fs::write(&first, "no longer wanted").unwrap();
    watched.does_not_report_chat().await;
    let mut writer = File::create(&second).unwrap();
    writer.write_all(b"half").unwrap();
    watched.does_not_report_chat().await;
    drop(writer);
    watched.reports_chat().await;
}

#[tokio::test]
async fn a_switched_link_to_the_folder_is_reported() {
    let mut watched = Watched::with(|chat| symlink("current/chat.wasm", chat).unwrap());
    for release in ["1", "2", "3"] {
        let folder = watched.path("app").join(release);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("chat.wasm"), release).unwrap();
        watched.does_not_report_chat().await;
        switch(&watched.path("app/current"), release);
        watched.reports_chat().await;
        fs::write(folder.join("chat.wasm"), "corrected").unwrap();
        watched.reports_chat().await;
    }
}

#[tokio::test]
async fn a_folder_that_is_made_again_is_watched_again() {
    let mut watched = Watched::new();
    let folder = watched.path("app");
    // Linux does not report the end of a folder while a process has it open, so test with and without such a process.
    for standing in [None, Some(File::open(&folder).unwrap())] {
        fs::remove_dir_all(&folder).unwrap();
        watched.does_not_report_chat().await;
        drop(standing);
        fs::create_dir(&folder).unwrap();
        watched.does_not_report_chat().await;
        fs::write(&watched.chat, "new").unwrap();
        watched.reports_chat().await;
    }
    for standing in [None, Some(File::open(&folder).unwrap())] {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(&watched.chat, "at once").unwrap();
        watched.reports_chat().await;
        fs::write(&watched.chat, "and again").unwrap();
        watched.reports_chat().await;
        drop(standing);
    }
}

#[tokio::test]
async fn a_folder_in_the_place_of_another_is_watched_instead() {
    let mut watched = Watched::new();
    let [folder, old, new] = ["app", "old", "new"].map(|name| watched.path(name));
    fs::create_dir(&new).unwrap();
    fs::write(new.join("chat.wasm"), "new").unwrap();
    fs::rename(&folder, &old).unwrap();
    fs::rename(&new, &folder).unwrap();
    watched.reports_chat().await;
    fs::write(old.join("chat.wasm"), "no longer wanted").unwrap();
    watched.does_not_report_chat().await;
    fs::write(&watched.chat, "newer").unwrap();
    watched.reports_chat().await;
}

/// The watcher receives no event of a folder above, so only a check finds this change.
#[tokio::test]
async fn a_folder_above_that_is_renamed_or_replaced_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let [release, other, next] = ["release", "other", "next"].map(|name| root.path().join(name));
    for (folder, content) in [(&release, "old"), (&next, "new")] {
        fs::create_dir_all(folder.join("app")).unwrap();
        fs::write(folder.join("app/chat.wasm"), content).unwrap();
    }
    let chat = release.join("app/chat.wasm");
    let mut watcher = ModuleWatcher::new([chat.clone()]).unwrap();
    fs::rename(&release, &other).unwrap();
    fs::rename(&next, &release).unwrap();
    assert_eq!(timeout(DEADLINE, watcher.changed()).await.unwrap(), [chat.as_path()]);
    fs::write(&chat, "newer").unwrap();
    assert_eq!(timeout(DEADLINE, watcher.changed()).await.unwrap(), [chat.as_path()]);
    // The watcher does not wait for the writer of the old file.
    let mut writer = OpenOptions::new().append(true).open(&chat).unwrap();
    writer.write_all(b"half").unwrap();
    fs::rename(&release, &next).unwrap();
    fs::rename(&other, &release).unwrap();
    assert_eq!(timeout(DEADLINE, watcher.changed()).await.unwrap(), [chat.as_path()]);
}
