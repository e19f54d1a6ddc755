//! The examples as a newcomer meets them: small, with a config that loads, doing what their READMEs say.
//! `chat` and `guestbook` have files of their own.

mod chat;
mod chat_page;
mod guestbook;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hassock::config::Config;
use hassock_tests::markdown::false_excerpts;
use hassock_tests::{TestHost, app, example, workspace};
use tokio_tungstenite::tungstenite::Message;

/// A user who copies an example has to read it first.
const MAX_LINES: usize = 150;

/// The folder of each example.
fn folders() -> Vec<PathBuf> {
    let all = fs::read_dir(workspace().join("examples-wasm")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = all.filter(|folder| folder.join("hassock.toml").is_file()).collect();
    folders.sort();
    folders
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect()
}

/// Text comes back as text and binary as binary, whatever is in it, also from many at once.
#[tokio::test(flavor = "multi_thread")]
async fn echo_sends_everything_back() {
    let host = TestHost::start(&app("echo", &example("echo"))).await;
    let mut client = host.connect("/echo").await;
    for text in ["hello", "", " ", "Zażółć 😀\0\n", &"long ".repeat(20_000)] {
        assert_eq!(client.ask(text).await, text);
    }
    for bytes in [vec![], vec![0, 255, 128], (0..=255).collect::<Vec<u8>>().repeat(500)] {
        futures_util::SinkExt::send(&mut client.socket, Message::binary(bytes.clone())).await.unwrap();
        assert_eq!(client.message().await, Message::binary(bytes));
    }
    assert_eq!(client.ask("still text").await, "still text");
}

/// The demo of 2012: three answers.
#[tokio::test(flavor = "multi_thread")]
async fn commands_answers_as_in_2012() {
    let host = TestHost::start(&app("commands", &example("commands"))).await;
    let mut client = host.connect("/commands").await;
    assert_eq!(client.ask("test").await, "This is a test!");
    assert_eq!(client.ask("version").await, hassock::VERSION);
    for unknown in ["", "TEST", "tests", "test version", "😀"] {
        assert_eq!(client.ask(unknown).await, "Command not found", "{unknown}");
    }
    assert_eq!(client.ask("  test\n").await, "This is a test!");
    futures_util::SinkExt::send(&mut client.socket, Message::binary("test")).await.unwrap();
    assert_eq!(client.text().await, "Command not found");
}

/// Every example has a config that loads as it is, with an app of its own name and the module that its README names,
/// and is a member of the workspace.
#[test]
fn every_example_has_a_config_that_loads() {
    let mut names = BTreeSet::new();
    for folder in folders() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let config = Config::load(&folder.join("hassock.toml")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.apps.keys().collect::<Vec<_>>(), [&name]);
        let app = &config.apps[&name];
        assert_eq!((app.path.to_string(), app.module.clone()), (format!("/{name}"), format!("{name}.wasm").into()));
        assert!(config.test_page, "{name} has no test page");
        assert!(fs::read_to_string(folder.join("README.md")).unwrap().starts_with(&format!("# {name}\n")));
        names.insert(name);
    }
    let manifest: toml::Table =
        fs::read_to_string(workspace().join("examples-wasm/Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    assert_eq!(members.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), names);
    assert!(names.len() >= 4, "{names:?}");
}

/// An example is short enough to be read before it is copied. Its tests, in `tests.rs`, do not count.
#[test]
fn every_example_is_short() {
    let code_lines = |file: &PathBuf| {
        let source = fs::read_to_string(file).unwrap();
        source.split("\n#[cfg(test)]\nmod tests;").next().unwrap_or_default().lines().count()
    };
    for folder in folders() {
        let files = rust_files(&folder.join("src"));
        let lines: usize = files.iter().filter(|file| !file.ends_with("tests.rs")).map(code_lines).sum();
        assert!(lines <= MAX_LINES, "{} has {lines} lines, and may have {MAX_LINES}", folder.display());
    }
}

/// What the README of an example shows of a file is in that file. `book.rs` tests the helper.
#[test]
fn excerpts_in_readmes_are_true() {
    for readme in folders().iter().map(|folder| folder.join("README.md")) {
        let wrong = false_excerpts(&fs::read_to_string(&readme).unwrap(), &workspace());
        assert!(wrong.is_empty(), "{}: {wrong:#?}", readme.display());
    }
}
