//! The log as JSON: one object a line, whose fields have the names and the types that the book says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hassock_tests::{Client, Operator, Process, app, eventually, guest, marked, module_file};
use regex::Regex;
use serde_json::Value;

/// The type of each field, as the table of the book has it.
fn types() -> BTreeMap<String, String> {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/book/src/operations.md");
    let book = std::fs::read_to_string(book).unwrap();
    let (_, logs) = book.split_once("\n## Logs\n").unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z_`, ]+)` \| ([a-z, ]+) \|").unwrap();
    let rows = row.captures_iter(logs.split("\n## ").next().unwrap());
    let fields = rows.flat_map(|row| {
        let names: Vec<String> = row[1].split("`, `").map(ToOwned::to_owned).collect();
        let types: Vec<String> = row[2].split(", ").map(ToOwned::to_owned).collect();
        let count = names.len();
        // One type is that of all names of the row.
        names.into_iter().zip(types.into_iter().cycle().take(count)).collect::<Vec<_>>()
    });
    fields.collect()
}

/// Deploys, a canary, a compilation, connections that end, panics and a drain, at the level that writes everything.
#[tokio::test(flavor = "multi_thread")]
async fn each_field_has_the_type_that_the_book_says() {
    let folder = tempfile::tempdir().unwrap();
    let module = module_file(&marked("v1 log-types"));
    let apps = app("marked", module.path()) + &app("faults", &guest("faults"));
    let grants = "databases.main = \"read-only\"\n[databases.main]\nurl = \"sqlite::memory:\"\n";
    let log = "[log]\nlevel = \"debug\"\nformat = \"json\"\n[cache]\nbytes = 0\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(folder.path().join("hassock.toml"), format!("listen = \"127.0.0.1:0\"\n{apps}{grants}{log}"))
        .unwrap();
    let host = Process::hassock(folder.path(), ["serve"]);
    let address = host.line("Starting server on ").await;
    let admin = Regex::new(r#""address":"(http://127\.0\.0\.1:\d+)""#).unwrap();
    eventually("the admin listener", || async { admin.is_match(&host.stderr()) }).await;
    let operator = Operator::at(&admin.captures(&host.stderr()).unwrap()[1], &folder.path().join("hassock.token"));

    let deploy = "POST /v1/apps/marked/versions";
    assert_eq!(operator.send(&format!("{deploy}?canary=20%25"), &marked("v2 log-types")).await.status, 200);
    assert_eq!(operator.ask("POST /v1/apps/marked/promote").await.status, 200);
    assert_eq!(operator.ask("POST /v1/apps/marked/pin?for=10m").await.status, 200);
    assert_eq!(operator.send(deploy, b"no module").await.status, 422);
    let mut client = Client::connect(&address, "/faults").await;
    client.send("trap").await;
    assert_eq!(client.closed().await.code, 1011);
    eventually("the end in the log", || async { host.stderr().contains("\"code\":1011") }).await;
    host.signal("TERM");
    let finished = host.ends().await;
    assert_eq!(finished.code, Some(0));

    let (types, text) = (types(), finished.stderr);
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for (name, value) in line.as_object().unwrap() {
            if ["timestamp", "level", "message"].contains(&name.as_str()) {
                assert!(value.is_string(), "{line}");
                continue;
            }
            let found = match value {
                Value::String(_) => "string",
                Value::Number(_) => "number",
                _ => "something else",
            };
            assert_eq!(types.get(name).map(String::as_str), Some(found), "`{name}` in {line}");
            seen.insert(name.clone());
        }
    }
    for expected in [
        "app",
        "version",
        "connection",
        "call",
        "at",
        "backtrace",
        "kind",
        "before",
        "canary_percent",
        "swap",
        "pin_for_seconds",
        "code",
        "by",
        "compiler",
        "bytes",
        "millis",
        "address",
    ] {
        assert!(seen.contains(expected), "`{expected}` is not in the log:\n{text}");
    }
}
