//! The testkit for tests of modules: a whole host without sockets, servers and clocks.

mod clients;
mod databases;
mod determinism;
mod endings;
mod errors;
mod expectations;
mod failed_calls;
mod faults;
mod harm;
mod histories;
mod outbox;
mod settings;
mod swaps;
mod time;
mod traffic;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hassock::testkit::{Client, Connect, DatabaseError, Message, Received, TestHost, TestHostBuilder};
use hassock_tests::{example, guest};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A builder for the module `probe`, to be changed.
fn probe() -> TestHostBuilder {
    TestHost::builder().module(guest("probe"))
}

/// A host with the module `faults`, low bounds for its calls, and its table.
fn faults() -> TestHost {
    let builder = TestHost::builder().module(guest("faults")).set("limits.cpu_time", "\"100ms\"");
    let host = builder.set("limits.memory", "\"16MiB\"").build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE leak (n INTEGER)").unwrap();
    host
}

/// Give `probe` a command, and get its answer: `{"ok": …}` or `{"error": …}`.
#[track_caller]
fn ask(client: &Client, command: &Json) -> Json {
    client.send_json(command);
    serde_json::from_str(&text(client)).unwrap()
}

/// The same for a command that works.
#[track_caller]
fn ok(client: &Client, command: &Json) -> Json {
    let mut answer = ask(client, command);
    assert!(answer.get("ok").is_some(), "{command}: {answer}");
    answer["ok"].take()
}

/// The next message, which must be text.
#[track_caller]
fn text(client: &Client) -> String {
    match client.receive() {
        Some(Received::Message(Message::Text(text))) => text,
        other => panic!("expected a text, got {other:?}"),
    }
}

/// The command for `probe` that sets a timer.
fn timer(name: &str, after: Duration) -> Json {
    let after = u64::try_from(after.as_millis()).unwrap();
    json!({ "timer": { "name": name, "after_ms": after, "text": "" } })
}

/// Let a few seconds pass.
fn time_passes(host: &TestHost) {
    host.advance(Duration::from_secs(5));
}

/// The lines of the log that contain a text.
fn logged(host: &TestHost, text: &str) -> Vec<String> {
    let lines = host.take_log().into_iter().map(|line| line.to_string());
    lines.filter(|line| line.contains(text)).collect()
}

/// How many rows a table of `main` has.
fn rows(host: &TestHost, table: &str) -> usize {
    host.database("main").unwrap().run(&format!("SELECT * FROM {table}")).unwrap().rows.len()
}

/// A config in a folder of its own.
fn config(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hassock.toml");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

/// The part of a config for one app, with its name as the path.
fn app(name: &str, module: &Path) -> String {
    format!("[apps.{name}]\npath = \"/{name}\"\nmodule = {:?}\n", module.to_str().unwrap())
}

/// Almost the example of the documentation.
#[test]
fn two_clients_talk_and_time_passes_when_it_is_told_to() {
    let host = TestHost::load(example("chat")).unwrap();
    let alice = host.connect("/chat?name=alice");
    let bob = host.connect("/chat?name=bob");
    alice.expect_json(&json!({ "joined": "bob" }));
    alice.send_text(r#"{"say":"hi"}"#);
    alice.expect_json(&json!({ "from": "alice", "say": "hi" }));
    bob.expect_json(&json!({ "say": "hi", "from": "alice" }));
    host.advance(Duration::from_secs(59));
    bob.expect_nothing();
    host.advance(Duration::from_secs(1));
    bob.expect_json(&json!({ "away": "alice" }));
    bob.expect_json(&json!({ "away": "bob" }));
    let rows = host.database("main").unwrap().run("SELECT author, body FROM message").unwrap();
    assert_eq!(rows.rows.len(), 1);
    host.fail_sql("main", DatabaseError::ConnectionLost("as the test wants it".to_owned())).unwrap();
    bob.send_text(r#"{"say":"lost"}"#);
    assert_eq!(bob.closed().0, 1011);
    let refused = host.request(&Connect::to("/chat?name=alice")).unwrap().err().unwrap();
    assert_eq!(refused.status, 409);
}
