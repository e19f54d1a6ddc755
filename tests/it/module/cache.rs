//! Compiled code on disk: a restart or a rollback does not compile again, and an invalid file is never used.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use hassock::deploy::AppReport;
use hassock_tests::site::lines;
use hassock_tests::{Process, Site, app, binary, marked, version_of};
use serde_json::Value;

const CACHE: &str = "[cache]\ndirectory = \"code\"\n";

/// A site with `v1` of the app `chat`, and with its own folder for compiled code.
fn site(cache: &str, keys: &str) -> Site {
    let chat = app("chat", Path::new("chat.wasm"));
    let site = Site::new(&format!("[admin]\nlisten = \"unix:admin.sock\"\n{cache}{chat}{keys}\n"));
    site.put("chat.wasm", marked("v1"));
    site
}

/// Serve, check that it works, and stop. Returns the log.
async fn run(site: &Site) -> String {
    let host = site.serve().await;
    assert_eq!(host.connect("/chat").await.ask("who").await, "v1 who");
    host.stop().await
}

/// The versions that were compiled according to a log.
fn compiled(log: &str) -> Vec<String> {
    versions(lines(log, "compiled").into_iter().filter(|line| line["message"] == "compiled"))
}

/// The versions that came from the cache according to a log.
fn loaded(log: &str) -> Vec<String> {
    versions(lines(log, "loaded compiled code from the cache").into_iter())
}

fn versions(lines: impl Iterator<Item = Value>) -> Vec<String> {
    lines.map(|line| line["version"].as_str().unwrap().to_owned()).collect()
}

/// The files with code, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "hassock-code")).collect();
    files.sort();
    files
}

/// The file with the code of a version.
fn code(site: &Site, mark: &str) -> PathBuf {
    let name = version_of(mark);
    let is_it = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(&name);
    files(&site.file("code")).into_iter().find(is_it).unwrap_or_else(|| panic!("no code of {mark}"))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The first start compiles, once for all apps with that module; the next ones and `check` do not. Only the owner can
/// access the files.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_does_not_compile() {
    let site = site(CACHE, &app("twin", Path::new("chat.wasm")));
    let first = run(&site).await;
    assert_eq!((compiled(&first), loaded(&first)), (vec![version_of("v1")], vec![version_of("v1")]));
    for _ in 0..2 {
        let again = run(&site).await;
        assert_eq!((compiled(&again), loaded(&again)), (vec![], vec![version_of("v1"), version_of("v1")]));
    }
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(site.file("code")), mode(site.file("code/key")), mode(code(&site, "v1"))), (0o700, 0o600, 0o600));
    assert_eq!(fs::read_dir(site.file("code")).unwrap().count(), 2, "the key, the code, and nothing else");
    let before = fs::read(code(&site, "v1")).unwrap();
    assert_eq!(site.run("check").await.code, Some(0));
    assert_eq!(fs::read(code(&site, "v1")).unwrap(), before);
}

/// A version that is no longer kept in memory comes back without being compiled.
#[tokio::test(flavor = "multi_thread")]
async fn a_return_to_an_old_version_does_not_compile() {
    let site = site(CACHE, "keep_versions = 0");
    let host = site.serve().await;
    let mut client = host.connect("/chat").await;
    for mark in ["v1", "v2"] {
        site.put(&format!("{mark}.wasm"), marked(mark));
    }
    for (mark, command) in [("v2", "v2.wasm"), ("v1", "v1.wasm"), ("v2", "v2.wasm")] {
        assert_eq!(site.run(&format!("module deploy chat {command}")).await.code, Some(0));
        client.ask_until(mark).await;
        // Only the cache has the other version.
        let list = site.run("module list --json").await.stdout;
        let [report] = &serde_json::from_str::<Vec<AppReport>>(&list).unwrap()[..] else { panic!("{list}") };
        assert_eq!(
            report.versions.iter().map(|version| version.version.clone()).collect::<Vec<_>>(),
            [version_of(mark)]
        );
    }
    drop(client);
    let log = host.stop().await;
    assert_eq!(
        (compiled(&log), loaded(&log)),
        (vec![version_of("v1"), version_of("v2")], vec![version_of("v1"), version_of("v2")])
    );
}

/// Damages a cache that has `v1` and `v2`.
type Damage<'a> = &'a dyn Fn(&Site);

/// A file that is damaged, cut off, longer, of another module, sealed with another key, or a link to a valid one is
/// logged once. Then the host compiles again, and the file is valid. Serving works.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sound_is_compiled_again() {
    let site = site(CACHE, "");
    run(&site).await;
    site.put("chat.wasm", marked("v2"));
    assert_eq!(site.run("check").await.code, Some(0));
    site.put("chat.wasm", marked("v1"));
    let change = |site: &Site, change: &dyn Fn(&mut Vec<u8>)| {
        let file = code(site, "v1");
        let mut bytes = fs::read(&file).unwrap();
        change(&mut bytes);
        fs::write(file, bytes).unwrap();
    };
    let (damaged, link) = ("it is damaged, or does not belong to this cache", "it is not a regular file");
    let flip = |site: &Site| {
        change(site, &|bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
    };
    let truncate = |site: &Site| change(site, &|bytes| bytes.truncate(bytes.len() / 2));
    let empty = |site: &Site| change(site, &Vec::clear);
    let lengthen = |site: &Site| change(site, &|bytes| bytes.push(0));
    let other = |site: &Site| fs::write(code(site, "v1"), fs::read(code(site, "v2")).unwrap()).unwrap();
    let key = |site: &Site| fs::write(site.file("code/key"), [7; 32]).unwrap();
    let linked = |site: &Site| {
        let (file, sound) = (code(site, "v1"), site.file("sound"));
        fs::rename(&file, &sound).unwrap();
        symlink(sound, file).unwrap();
    };
    let damages: [(&str, Damage<'_>, &str); 7] = [
        ("a flipped bit", &flip, damaged),
        ("half of it", &truncate, damaged),
        ("nothing", &empty, damaged),
        ("a byte more", &lengthen, damaged),
        ("another module's", &other, damaged),
        ("another key", &key, damaged),
        ("a link", &linked, link),
    ];
    for (what, damage, words) in damages {
        damage(&site);
        let log = run(&site).await;
        let told = lines(&log, "compiled code cannot be used, and is compiled again: ");
        assert_eq!((told.len(), &told[0]["level"]), (1, &"WARN".into()), "{what}: {log}");
        assert!(told[0]["message"].as_str().unwrap().ends_with(words), "{what}: {told:?}");
        assert!(told[0]["file"].as_str().unwrap().contains(&version_of("v1")), "{what}: {told:?}");
        assert_eq!((compiled(&log), loaded(&log)), (vec![version_of("v1")], vec![]), "{what}");
        let mended = run(&site).await;
        assert_eq!((compiled(&mended), loaded(&mended)), (vec![], vec![version_of("v1")]), "{what}");
    }
    assert_eq!(fs::read(site.file("sound")).unwrap().len(), fs::read(code(&site, "v1")).unwrap().len(), "unchanged");
}

/// A key of the wrong length is replaced; code that was sealed with the old key is compiled again.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_key_is_made_again() {
    let site = site(CACHE, "");
    run(&site).await;
    site.put("code/key", "short");
    let log = run(&site).await;
    assert_eq!(lines(&log, "the key of the cache is damaged; the host creates a new one").len(), 1, "{log}");
    assert_eq!((compiled(&log), fs::read(site.file("code/key")).unwrap().len()), (vec![version_of("v1")], 32));
    assert_eq!(compiled(&run(&site).await), [""; 0]);
}

/// If other users could access the folder or the key, or if there cannot be a folder, one warning says what to do, and
/// the host works without a cache. It uses and changes nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_ours_alone_is_not_used() {
    let site = site(CACHE, "");
    run(&site).await;
    let (folder, key) = (site.file("code"), site.file("code/key"));
    let before = fs::read(code(&site, "v1")).unwrap();
    let remedy = "group or others can write to ./code (mode 775); run `chmod go-w ./code` or name another folder";
    let mode = |path: PathBuf, mode| move || set_mode(&path, mode);
    let owner = |path: PathBuf, owner| move || chown(&path, Some(owner), None).unwrap();
    type Step<'a> = Box<dyn Fn() + 'a>;
    let mut cases: Vec<(Step<'_>, &str, Step<'_>)> = vec![
        (Box::new(mode(folder.clone(), 0o775)), remedy, Box::new(mode(folder.clone(), 0o700))),
        (
            Box::new(mode(folder.clone(), 0o707)),
            "group or others can write to ./code",
            Box::new(mode(folder.clone(), 0o755)),
        ),
        (
            Box::new(mode(key.clone(), 0o640)),
            "group or others can read ./code/key (mode 640)",
            Box::new(mode(key.clone(), 0o600)),
        ),
    ];
    // Only root may change the owner of a file; others cannot create a folder of another user.
    if chown(&folder, Some(0), None).is_ok() {
        let words = "./code belongs to another user; name a folder of your own as `cache.directory`";
        cases.push((Box::new(owner(folder.clone(), 1)), words, Box::new(owner(folder.clone(), 0))));
        let words = "./code/key belongs to another user";
        cases.push((Box::new(owner(key.clone(), 1)), words, Box::new(owner(key.clone(), 0))));
    }
    for (spoil, words, mend) in cases {
        spoil();
        let log = run(&site).await;
        let told = lines(&log, "compiled modules are not kept, and are compiled at each start: ");
        assert_eq!((told.len(), &told[0]["level"]), (1, &"WARN".into()), "{log}");
        assert!(told[0]["message"].as_str().unwrap().contains(words), "{told:?}");
        assert_eq!((compiled(&log), loaded(&log)), (vec![version_of("v1")], vec![]), "{words}");
        assert_eq!(fs::read(code(&site, "v1")).unwrap(), before, "{words}");
        mend();
        assert_eq!(loaded(&run(&site).await), [version_of("v1")], "{words}");
    }
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "precious").unwrap();
    let log = run(&site).await;
    assert_eq!(
        lines(&log, "compiled modules are not kept, and are compiled at each start: cannot use ./code: ").len(),
        1,
        "{log}"
    );
    assert_eq!(fs::read_to_string(&folder).unwrap(), "precious");
}

/// `bytes = "0B"` keeps and creates nothing.
#[tokio::test(flavor = "multi_thread")]
async fn zero_bytes_keep_nothing() {
    let site = site(&format!("{CACHE}bytes = \"0B\"\n"), "");
    for _ in 0..2 {
        let log = run(&site).await;
        assert_eq!((compiled(&log), loaded(&log)), (vec![version_of("v1")], vec![]));
    }
    assert!(!site.file("code").exists());
}

/// The sum of all files stays below `bytes`: the least recently used file is removed first. A lower bound applies from
/// the next start. Other files in the folder are neither counted nor removed. Code that is larger than the bound is not
/// kept; the host logs it.
#[tokio::test(flavor = "multi_thread")]
async fn the_bound_holds() {
    let site = site(CACHE, "");
    site.put("hassock.toml", bounded(&site, "bytes = \"1GiB\""));
    run(&site).await;
    let one = fs::metadata(code(&site, "v1")).unwrap().len();
    site.put("code/notes.txt", vec![0; 1 << 20]);
    // Room for two and a half.
    let most = one * 5 / 2;
    site.put("hassock.toml", bounded(&site, &format!("bytes = {most}")));
    let host = site.serve().await;
    for mark in ["v2", "v1", "v3", "v4"] {
        site.put("new.wasm", marked(mark));
        // This uses `v1` again. Otherwise it would be the oldest when `v3` needs room.
        if mark == "v1" {
            assert_eq!(site.run("check").await.code, Some(0));
            continue;
        }
        assert_eq!(site.run("module deploy chat new.wasm").await.code, Some(0));
        let there = files(&site.file("code"));
        assert!(there.iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>() <= most, "{there:?}");
        let expected = match mark {
            "v2" => ["v1", "v2"],
            "v3" => ["v1", "v3"],
            _ => ["v3", "v4"],
        };
        let mut expected = expected.map(|mark| code(&site, mark));
        expected.sort();
        assert_eq!(there, expected, "after {mark}");
    }
    host.stop().await;
    site.put("hassock.toml", bounded(&site, &format!("bytes = {}", one * 3 / 2)));
    assert_eq!(compiled(&run(&site).await), [version_of("v1")], "it was removed to make room");
    assert_eq!(files(&site.file("code")), [code(&site, "v1")]);
    site.put("hassock.toml", bounded(&site, "bytes = \"100KiB\""));
    let log = run(&site).await;
    let told = lines(&log, "compiled code is not kept: ");
    assert!(
        told.len() == 1 && told[0]["message"].as_str().unwrap().ends_with(" is more than `cache.bytes`; raise it"),
        "{log}"
    );
    assert!(files(&site.file("code")).is_empty());
    assert_eq!(fs::metadata(site.file("code/notes.txt")).unwrap().len(), 1 << 20);
}

/// The site's config with another bound.
fn bounded(site: &Site, bytes: &str) -> String {
    let config = fs::read_to_string(site.file("hassock.toml")).unwrap();
    let rest: Vec<&str> = config.lines().filter(|line| !line.starts_with("bytes = ")).collect();
    rest.join("\n").replace("directory = \"code\"", &format!("directory = \"code\"\n{bytes}"))
}

/// Without the key `directory`, systemd's folder is used, or else that of the user.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_the_environment_names_the_folder() {
    let site = site("", "");
    let folder = |name: &str| site.file(name).display().to_string();
    let check = |variables: &[(&str, String)]| {
        let mut command = Command::new(binary());
        command.arg("check").current_dir(site.folder());
        for name in ["CACHE_DIRECTORY", "XDG_CACHE_HOME", "HOME"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Process::start(command).ends()
    };
    let systemd = ("CACHE_DIRECTORY", format!("{}:{}", folder("systemd"), folder("second")));
    let (xdg, home) = (("XDG_CACHE_HOME", folder("xdg")), ("HOME", folder("home")));
    for (variables, expected) in [
        (vec![systemd, xdg.clone(), home.clone()], "systemd"),
        (vec![xdg, home.clone()], "xdg/hassock"),
        (vec![home], "home/.cache/hassock"),
    ] {
        assert_eq!(check(&variables).await.code, Some(0));
        assert_eq!(files(&site.file(expected)).len(), 1, "{expected}");
        fs::remove_dir_all(site.file(expected)).unwrap();
    }
    let before = fs::read_dir(site.folder()).unwrap().count();
    assert_eq!(check(&[]).await.code, Some(0));
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), before, "no folder is created");
    assert!(!site.file("second").exists());
}

/// Hosts that start at the same moment share the folder: there is one key, and each can load what another one compiled.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_start_together_share_the_folder() {
    let site = site(CACHE, "");
    let all = tokio::join!(site.run("check"), site.run("check"), site.run("check"), site.run("check"));
    assert!([&all.0, &all.1, &all.2, &all.3].iter().all(|check| check.code == Some(0)), "{all:?}");
    assert_eq!(fs::read_dir(site.file("code")).unwrap().count(), 2, "the key and the code");
    let log = run(&site).await;
    assert_eq!((compiled(&log), loaded(&log)), (vec![], vec![version_of("v1")]));
}
