//! The examples as a newcomer meets them: small, with a config that loads, doing what their READMEs say.
//! `chat` and `guestbook` have files of their own.

mod chat;
mod guestbook;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hassock::config::Config;
use hassock_tests::{TestHost, app, example, workspace};
use tokio_tungstenite::tungstenite::Message;

/// Whoever copies an example has to read it first.
const MAX_LINES: usize = 120;

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

/// Every example has a config that loads as it is, with an app of its own name and the module that its README
/// speaks of, and is a member of the workspace.
#[test]
fn every_example_has_a_config_that_loads() {
    let mut names = BTreeSet::new();
    for folder in folders() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let config = Config::load(&folder.join("hassock.toml")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.apps.keys().collect::<Vec<_>>(), [&name]);
        let app = &config.apps[&name];
        assert_eq!((app.path.clone(), app.module.clone()), (format!("/{name}"), format!("{name}.wasm").into()));
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

/// The excerpts of a text that are not in the file that they are said to be from. An excerpt is a code block
/// under a line `<!-- from PATH -->`; it has to stand in the file as it is, but for what `…` lines leave out.
fn false_excerpts(text: &str) -> (usize, Vec<String>) {
    let (mut count, mut wrong) = (0, Vec::new());
    for part in text.split("<!-- from ").skip(1) {
        count += 1;
        let (path, rest) = part.split_once(" -->").unwrap_or((part, ""));
        let code = rest.split_once("```").and_then(|(_, rest)| rest.split_once('\n')?.1.split_once("```"));
        let file = fs::read_to_string(workspace().join(path)).unwrap_or_default();
        let mut left = file.as_str();
        let mut stands = |piece: &str| {
            let found = left.find(piece.trim_matches('\n'));
            left = found.map_or("", |at| &left[at + piece.trim_matches('\n').len()..]);
            found.is_some()
        };
        let is_pause = |line: &&str| line.trim().trim_start_matches("//").trim() == "…";
        let pieces: Vec<String> = code.map_or_else(Vec::new, |(code, _)| {
            let lines: Vec<_> = code.lines().collect();
            lines.split(is_pause).map(|lines| lines.join("\n")).collect()
        });
        if pieces.is_empty() || file.is_empty() || !pieces.iter().all(|piece| stands(piece)) {
            wrong.push(path.to_owned());
        }
    }
    (count, wrong)
}

/// What a README shows of a file is in that file. The first part tests the test.
#[test]
fn excerpts_in_readmes_are_true() {
    let echo =
        "<!-- from examples-wasm/echo/src/lib.rs -->\n\n```rust\nimpl Handler for Echo {\n// …\n        Ok(())\n```\n";
    assert_eq!(false_excerpts(echo), (1, vec![]));
    for (right, wrong) in
        [("Handler for Echo", "Handler for Ohce"), ("Ok(())", "Ok(1)"), ("echo/src", "nowhere/src"), ("```", "")]
    {
        assert_eq!(false_excerpts(&echo.replace(right, wrong)).1.len(), 1, "{wrong}");
    }
    let mut readmes: Vec<_> = folders().iter().map(|folder| folder.join("README.md")).collect();
    readmes.push(workspace().join("README.md"));
    for readme in readmes.iter().filter(|readme| readme.is_file()) {
        let (_, wrong) = false_excerpts(&fs::read_to_string(readme).unwrap());
        assert!(wrong.is_empty(), "{} shows what is not in {wrong:?}", readme.display());
    }
}

/// The config that the README shows is one that the host takes, key by key.
#[test]
fn the_config_in_the_readme_is_valid() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let blocks = readme.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
    let configs: Vec<&str> = blocks.filter(|block| block.contains("[apps.")).collect();
    assert!(!configs.is_empty(), "the README shows no config");
    for config in configs {
        let config = config.replace("${DB_PASSWORD}", "secret");
        Config::parse(&workspace().join("README.md"), &config).unwrap_or_else(|problems| panic!("{problems}"));
    }
}
