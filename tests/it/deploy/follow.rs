//! The first way to deploy: `hassock serve` takes a new module when its file changes, and does not take anything else
//! for one.

mod config;
mod messages;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use hassock_tests::site::lines;
use hassock_tests::{Daemon, Site, app, eventually, marked, version_of};
use serde_json::Value;

/// A site with two apps. `chat` is tested; `witness` comes after it when both files have changed, so when `witness` has
/// its new version, everything about `chat` is done.
fn site(keys: &str) -> Site {
    let apps = [app("chat", Path::new("chat.wasm")), app("witness", Path::new("witness.wasm"))];
    let site = Site::new(&format!("{keys}{}", apps.concat()));
    site.put("chat.wasm", marked("v1"));
    site.put("witness.wasm", marked("w1"));
    site
}

/// The versions of an app that were deployed, according to the log.
fn deploys(log: &str, app: &str) -> Vec<Value> {
    let lines = lines(log, "deployed").into_iter().filter(|line| line["app"] == app);
    lines.map(|line| line["version"].clone()).collect()
}

/// Change the other file, and wait until its deploy, and everything before it, is logged.
async fn settled(site: &Site, host: &Daemon, mark: &str) {
    site.put("witness.wasm", marked(mark));
    let version = Value::from(version_of(mark));
    let is_there = || deploys(&host.process.stderr(), "witness").contains(&version);
    eventually(&format!("the deploy of {mark}"), || async { is_there() }).await;
}

/// A way to put a new module in place.
type Way<'a> = &'a dyn Fn(&Site);

/// Put a file in the place of another in one step.
fn replace(site: &Site, name: &str, make: impl FnOnce(&Path)) {
    let temporary = site.file("temporary");
    make(&temporary);
    fs::rename(temporary, site.file(name)).unwrap();
}

/// A module is copied over the old one, renamed into its place, or reached by a link to the file or to its folder that
/// is switched: the open connection gets it, and the log says which version replaced which.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_module_is_taken_however_it_comes() {
    let site = site("");
    let host = site.serve().await;
    let mut client = host.connect("/chat").await;
    assert_eq!(client.ask("who").await, "v1 who");
    let copy = |site: &Site| {
        site.put("copy.wasm", marked("v2"));
        fs::copy(site.file("copy.wasm"), site.file("chat.wasm")).unwrap();
    };
    let rename = |site: &Site| replace(site, "chat.wasm", |new| fs::write(new, marked("v3")).unwrap());
    let link = |site: &Site| {
        site.put("chat-4.wasm", marked("v4"));
        replace(site, "chat.wasm", |new| symlink("chat-4.wasm", new).unwrap());
    };
    let target = |site: &Site| site.put("chat-4.wasm", marked("v5"));
    let folder = |site: &Site| {
        fs::create_dir_all(site.file("releases/6")).unwrap();
        fs::create_dir_all(site.file("releases/7")).unwrap();
        site.put("releases/6/chat.wasm", marked("v6"));
        site.put("releases/7/chat.wasm", marked("v7"));
        symlink("releases/6", site.file("current")).unwrap();
        replace(site, "chat.wasm", |new| symlink("current/chat.wasm", new).unwrap());
    };
    let switch = |site: &Site| replace(site, "current", |new| symlink("releases/7", new).unwrap());
    let ways: [(&str, Way<'_>); 6] =
        [("v2", &copy), ("v3", &rename), ("v4", &link), ("v5", &target), ("v6", &folder), ("v7", &switch)];
    for (mark, change) in ways {
        change(&site);
        client.ask_until(mark).await;
    }
    drop(client);
    let log = host.stop().await;
    let deployed = lines(&log, "deployed");
    assert_eq!(deployed.len(), ways.len(), "one deploy for one change: {deployed:?}");
    for (number, line) in (1..).zip(&deployed) {
        let (before, after) = (format!("v{number}"), format!("v{}", number + 1));
        assert_eq!((&line["level"], &line["app"]), (&"INFO".into(), &"chat".into()));
        assert_eq!((&line["before"], &line["version"]), (&version_of(&before).into(), &version_of(&after).into()));
    }
    assert!(lines(&log, "refused").is_empty(), "{log}");
}

/// A file that is being written is not loaded, however long that takes: not when it is overwritten, and not when it is
/// new. Other files are loaded meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_file_is_never_loaded() {
    let site = site("");
    let host = site.serve().await;
    let mut client = host.connect("/chat").await;
    for (number, is_new) in [(2, false), (3, true)] {
        let module = marked(&format!("v{number}"));
        if is_new {
            fs::remove_file(site.file("chat.wasm")).unwrap();
        }
        let mut file = File::create(site.file("chat.wasm")).unwrap();
        file.write_all(&module[..module.len() / 2]).unwrap();
        settled(&site, &host, &format!("w{number}")).await;
        assert_eq!(client.ask("who").await, format!("v{} who", number - 1));
        file.write_all(&module[module.len() / 2..]).unwrap();
        drop(file);
        client.ask_until(&format!("v{number}")).await;
    }
    drop(client);
    let log = host.stop().await;
    assert_eq!(deploys(&log, "chat").len(), 2);
    assert!(!log.contains("\"ERROR\"") && !log.contains("\"WARN\""), "{log}");
}

/// If a file is broken, the old version and even its instance stay, and one line in the log says why. The corrected
/// file is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_logged_once_and_the_corrected_one_is_taken() {
    let site = site("");
    let host = site.serve().await;
    let mut client = host.connect("/chat").await;
    let half = marked("v2")[..1000].to_vec();
    for (count, (bytes, kind, words)) in (1..).zip([
        (b"no module".to_vec(), "not-wasm", "chat.wasm is not WebAssembly"),
        (half, "invalid", "chat.wasm does not compile"),
        (marked("v2 check-error"), "check", "the check says no"),
    ]) {
        site.put("chat.wasm", bytes);
        let refused = host.logs("a new version was refused, the running one goes on: ", count).await;
        let line = refused.last().unwrap();
        assert_eq!((&line["level"], &line["app"], &line["kind"]), (&"ERROR".into(), &"chat".into(), &kind.into()));
        assert!(line["message"].as_str().unwrap().contains(words), "{line}");
        settled(&site, &host, &format!("w{count}x")).await;
        assert_eq!(lines(&host.process.stderr(), "a new version was refused").len(), count, "once each");
        assert_eq!(client.ask("who").await, "v1 who");
    }
    site.put("chat.wasm", marked("v2"));
    client.ask_until("v2").await;
    drop(client);
    let log = host.stop().await;
    assert_eq!(log.matches("\"ERROR\"").count(), 3, "{log}");
}

/// The same content again is not a new version: not when it is written again, and not when a version that was deployed
/// by hand serves.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_again_does_nothing() {
    let site = site("[admin]\nlisten = \"unix:admin.sock\"\n");
    let host = site.serve().await;
    let mut client = host.connect("/chat").await;
    site.put("chat.wasm", marked("v1"));
    settled(&site, &host, "w2").await;
    replace(&site, "chat.wasm", |new| fs::write(new, marked("v1")).unwrap());
    settled(&site, &host, "w3").await;
    assert_eq!(deploys(&host.process.stderr(), "chat"), [""; 0]);
    site.put("by-hand.wasm", marked("v2"));
    assert_eq!(site.run("module deploy chat by-hand.wasm").await.code, Some(0));
    site.put("chat.wasm", marked("v1"));
    settled(&site, &host, "w4").await;
    assert_eq!(client.ask("who").await, "v2 who");
    site.put("chat.wasm", marked("v3"));
    client.ask_until("v3").await;
    drop(client);
    assert_eq!(deploys(&host.stop().await, "chat"), [version_of("v2"), version_of("v3")]);
}

/// `watch = false`: files are read at the start and when the config is read again, and not before. Another host that
/// watches the same file shows that there was enough time.
#[tokio::test(flavor = "multi_thread")]
async fn without_watch_a_file_is_not_looked_at() {
    let site = site("");
    let watching = site.serve().await;
    let still = Site::new(&format!("watch = false\n{}", app("chat", &site.file("chat.wasm"))));
    let host = still.serve().await;
    let mut client = host.connect("/chat").await;
    let mut other = watching.connect("/chat").await;
    for mark in ["v2", "v3", "v4"] {
        site.put("chat.wasm", marked(mark));
        other.ask_until(mark).await;
        assert_eq!(client.ask("who").await, "v1 who");
    }
    host.process.signal("HUP");
    host.logs(&format!("config: the app `chat` serves version {}", version_of("v4")), 1).await;
    assert_eq!(client.ask("who").await, "v4 who");
    drop((client, other));
    assert!(lines(&host.stop().await, "deployed").is_empty());
    watching.stop().await;
}

/// Two apps with one file both serve what it contains. A module that one of them may not serve, the other may.
#[tokio::test(flavor = "multi_thread")]
async fn apps_that_share_a_file_change_together() {
    let guestbook = "[databases.main]\nurl = \"sqlite::memory:\"\n";
    let apps = [app("one", Path::new("chat.wasm")), app("two", Path::new("./chat.wasm"))].concat();
    let site = site(&format!("{guestbook}{apps}databases.main = \"read-only\"\n"));
    let host = site.serve().await;
    let (mut chat, mut one, mut two) =
        (host.connect("/chat").await, host.connect("/one").await, host.connect("/two").await);
    site.put("chat.wasm", marked("v2"));
    for client in [&mut chat, &mut one, &mut two] {
        client.ask_until("v2").await;
    }
    // It imports a database, which is granted to one of them.
    fs::copy(hassock_tests::guest("probe"), site.file("chat.wasm")).unwrap();
    let refused = host.logs("a new version was refused", 2).await;
    assert!(refused.iter().all(|line| line["kind"] == "imports" && line["app"] != "two"), "{refused:?}");
    host.logs("deployed", 4).await;
    assert_eq!((chat.ask("who").await, one.ask("who").await), ("v2 who".to_owned(), "v2 who".to_owned()));
    drop((chat, one, two));
    let log = host.stop().await;
    assert_eq!(["chat", "one", "two"].map(|app| deploys(&log, app).len()), [1, 1, 2]);
}

/// When a file or its folder is removed, nothing is loaded; when it is made again, the file is loaded.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_and_made_again_is_taken() {
    let inside = app("inside", Path::new("folder/inside.wasm"));
    let site = site(&inside);
    fs::create_dir(site.file("folder")).unwrap();
    site.put("folder/inside.wasm", marked("i1"));
    let host = site.serve().await;
    let (mut chat, mut inside) = (host.connect("/chat").await, host.connect("/inside").await);
    fs::remove_file(site.file("chat.wasm")).unwrap();
    fs::remove_dir_all(site.file("folder")).unwrap();
    settled(&site, &host, "w2").await;
    assert_eq!((chat.ask("who").await, inside.ask("who").await), ("v1 who".to_owned(), "i1 who".to_owned()));
    site.put("chat.wasm", marked("v2"));
    fs::create_dir(site.file("folder")).unwrap();
    site.put("folder/inside.wasm", marked("i2"));
    chat.ask_until("v2").await;
    inside.ask_until("i2").await;
    drop((chat, inside));
    let log = host.stop().await;
    assert!(!log.contains("\"ERROR\""), "{log}");
}
