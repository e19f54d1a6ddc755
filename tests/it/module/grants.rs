//! Denied by default (invariant 6): what a module may not use, and files that are not a module.

use std::fs;
use std::path::{Path, PathBuf};

use hassock_tests::{Client, TestDatabase, TestHost, app, for_both_engines, guest};
use serde_json::{Value, json};
use tempfile::TempDir;

for_both_engines! {
    a_read_only_grant_changes_nothing,
    a_read_only_transaction_changes_nothing,
    what_is_not_granted_is_not_there,
}

/// The header of an empty component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A component that does nothing but import instances of these names, each with a function `fire`.
fn importing(names: &[&str]) -> Vec<u8> {
    let mut imports = vec![u8::try_from(names.len()).unwrap()];
    for name in names {
        imports.extend([0, u8::try_from(name.len()).unwrap()]);
        imports.extend(name.bytes());
        // An instance, of the type 0.
        imports.extend([5, 0]);
    }
    // One type: an instance with two declarations, the type `func()` and `fire`, which has this type.
    let types = b"\x01\x42\x02\x01\x40\0\x01\0\x04\0\x04fire\x01\0";
    let section = |id: u8, content: &[u8]| [&[id, u8::try_from(content.len()).unwrap()], content].concat();
    [COMPONENT, &section(7, types), &section(10, &imports)].concat()
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let file = self.0.path().join(name);
        fs::write(&file, content).unwrap();
        file
    }
}

/// Why a host with these modules and no grants does not start, a line for each problem.
async fn refused(modules: &[(&str, &Path)]) -> Vec<String> {
    let config: String = modules.iter().map(|(name, file)| app(name, file)).collect();
    match TestHost::try_start(&config).await {
        Ok(_) => panic!("the host starts"),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

/// Invariant 6: "What it imports and the config does not grant is named in one error at load".
#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_a_grant_is_refused_at_load() {
    let problems = refused(&[("probe", &guest("probe"))]).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    for expected in ["hassock.toml:4: apps.probe.module: ", "`hassock:host/sql@0.1.0`", "`databases", "[apps.probe]"] {
        assert!(problems[0].contains(expected), "{expected} is missing: {problems:?}");
    }
}

/// The same for imports that no key can grant; all are named at once, with the one that a key can grant.
#[tokio::test(flavor = "multi_thread")]
async fn imports_that_the_host_does_not_have_are_all_named() {
    let files = Files::new();
    let names = ["acme:rockets/launch@1.0.0", "hassock:host/sql@0.1.0", "wasi:http/outgoing-handler@0.2.0"];
    let problems = refused(&[("rocket", &files.write("rocket.wasm", &importing(&names)))]).await;
    assert_eq!(problems.len(), names.len(), "{problems:?}");
    for name in names {
        let named = problems.iter().filter(|problem| problem.contains(&format!("`{name}`"))).count();
        assert_eq!(named, 1, "{name}: {problems:?}");
    }
    assert!(problems.iter().all(|problem| problem.contains("apps.rocket.module")), "{problems:?}");
}

/// A part of WASI that the host does not have is refused as well, and named.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_interface_of_a_known_package_is_refused() {
    let files = Files::new();
    for name in ["wasi:cli/teleport@0.2.0", "hassock:host/admin@0.1.0"] {
        let problems = refused(&[("odd", &files.write("odd.wasm", &importing(&[name])))]).await;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(name), "{problems:?}");
    }
}

/// Invariant 7: a file that is not a module for this host is refused before any traffic, with its own reason.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_module_is_refused_with_its_reason() {
    let files = Files::new();
    let probe = fs::read(guest("probe")).unwrap();
    for (name, content, reason) in [
        ("text.wasm", &b"fn main() {}"[..], "is not WebAssembly"),
        ("nothing.wasm", b"", "is not WebAssembly"),
        ("core.wasm", b"\0asm\x01\0\0\0", "not a component"),
        ("truncated.wasm", &probe[..probe.len() / 2], "does not compile"),
        ("empty.wasm", COMPONENT, "does not export `hassock:host/handler@0.1.0`"),
    ] {
        let problems = refused(&[("odd", &files.write(name, content))]).await;
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        for expected in [reason, name, "hassock.toml:4: apps.odd.module: "] {
            assert!(problems[0].contains(expected), "{name}: {expected} is missing: {problems:?}");
        }
    }
}

/// "All problems at once", so that a user can correct all of them.
#[tokio::test(flavor = "multi_thread")]
async fn several_problems_are_reported_at_once() {
    let files = Files::new();
    let text = files.write("text.wasm", b"fn main() {}");
    let problems =
        refused(&[("one", &guest("faults")), ("two", &text), ("three", &files.0.path().join("missing.wasm"))]).await;
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (problem, expected) in problems.iter().zip([
        "hassock.toml:4: apps.one.module: the module imports `hassock:host/sql@0.1.0`",
        "hassock.toml:7: apps.two.module: ",
        "hassock.toml:10: apps.three.module: cannot read the module",
    ]) {
        assert!(problem.contains(expected), "{expected} is missing: {problems:?}");
    }
}

/// Invariant 6: "A module gets no file, socket, environment variable or credential."
#[tokio::test(flavor = "multi_thread")]
async fn a_module_sees_nothing_of_the_machine() {
    let host = TestHost::probe("").await;
    let mut client = host.connect("/probe").await;
    // The process itself has variables and arguments, and there is a host to connect to.
    assert!(std::env::vars().next().is_some());
    for what in ["environment", "arguments"] {
        assert_eq!(client.probe(json!({ "escape": what })).await, json!([]), "{what}");
    }
    let address = host.address();
    for escape in [
        json!({ "read-file": "/etc/passwd" }),
        json!({ "read-file": "Cargo.toml" }),
        json!({ "write-file": host.file("escaped") }),
        json!({ "list-folder": "/" }),
        json!({ "list-folder": "." }),
        json!({ "connect": address }),
        json!({ "listen": "127.0.0.1:0" }),
        json!({ "datagram": address }),
        json!({ "resolve": "localhost:80" }),
    ] {
        let answer = client.try_probe(json!({ "escape": escape })).await;
        assert!(answer["error"].is_string(), "{escape}: {answer}");
    }
    assert!(!host.file("escaped").exists());
}

/// An app that may read a table with the rows 1 and 2, through the one session of its pool.
async fn reader(database: &TestDatabase) -> (TestHost, Client) {
    database.execute("CREATE TABLE t (n INTEGER)").await;
    database.execute("INSERT INTO t VALUES (1), (2)").await;
    let grant = "databases.main = \"read-only\"\n";
    let app = app("probe", &guest("probe"));
    let host = TestHost::start(&format!("{}{app}{grant}", database.config("max_connections = 1"))).await;
    let client = host.connect("/probe").await;
    (host, client)
}

/// Statements that would change something or prepare a change.
const CHANGES: [&str; 12] = [
    "INSERT INTO t VALUES (3)",
    "REPLACE INTO t VALUES (3)",
    "UPDATE t SET n = 7",
    "DELETE FROM t",
    "CREATE TABLE u (n INTEGER)",
    "ALTER TABLE t ADD COLUMN m INTEGER",
    "DROP TABLE t",
    "SET SESSION TRANSACTION READ WRITE",
    "PRAGMA query_only = OFF",
    "COMMIT",
    "START TRANSACTION READ WRITE",
    "ATTACH DATABASE 'main.db' AS other",
];

/// Check the database without the host.
async fn assert_unchanged(database: &TestDatabase) {
    assert_eq!(database.number("SELECT COUNT(*) FROM t").await, 2);
    assert_eq!(database.number("SELECT CAST(SUM(n) AS SIGNED) FROM t").await, 3);
    // These fail if there is such a table or column.
    database.execute("CREATE TABLE u (n INTEGER)").await;
    database.execute("ALTER TABLE t ADD COLUMN m INTEGER").await;
}

/// `sql.error.denied`: "The app has no grant for it: … writing to it". With one session in the pool, each statement
/// meets the state that the ones before it left. All run twice, for the same reason.
async fn a_read_only_grant_changes_nothing(database: TestDatabase) {
    let (_host, mut reader) = reader(&database).await;
    for sql in CHANGES.iter().chain(&CHANGES) {
        let (case, text) = reader.sql_error(sql, json!([])).await;
        assert_eq!(case, "denied", "{sql}: {text}");
        let answer = reader.try_probe(json!({ "execute": { "sql": sql } })).await;
        assert_eq!(answer["sql"], "denied", "{sql}: {answer}");
    }
    let count = reader.query("SELECT COUNT(*) FROM t", json!([])).await;
    assert_eq!(count, json!([[{ "s64": 2 }]]));
    assert_unchanged(&database).await;
}

/// The same within a transaction. Its commit then has nothing to write.
async fn a_read_only_transaction_changes_nothing(database: TestDatabase) {
    let (_host, mut reader) = reader(&database).await;
    let mut steps: Vec<Value> = CHANGES.iter().map(|sql| json!({ "execute": { "sql": sql } })).collect();
    steps.push(json!({ "query": { "sql": "SELECT COUNT(*) FROM t" } }));
    steps.push(json!("commit"));
    for _ in 0..2 {
        let answers = reader.probe(json!({ "transaction": steps })).await;
        for (sql, answer) in CHANGES.iter().zip(answers.as_array().unwrap()) {
            assert_eq!(answer["sql"], "denied", "{sql}: {answer}");
        }
        assert_eq!(answers[CHANGES.len()], json!({ "ok": [[{ "s64": 2 }]] }));
        assert_eq!(answers[CHANGES.len() + 1], json!({ "ok": null }));
    }
    assert_unchanged(&database).await;
}

/// `sql.error`: a database that the config has and does not grant is `denied`, one that it does not have is an
/// `unknown-database`. The error never has the address.
async fn what_is_not_granted_is_not_there(database: TestDatabase) {
    let other = "[databases.other]\nurl = \"sqlite::memory:\"\n";
    let app = format!("{}databases.main = \"read-only\"\n", app("probe", &guest("probe")));
    let host = TestHost::start(&format!("{}{other}{app}", database.config(""))).await;
    let mut client = host.connect("/probe").await;
    assert_eq!(client.probe(json!({ "open": "main" })).await, "open");
    for (name, case) in [
        ("other", "denied"),
        ("nowhere", "unknown-database"),
        ("", "unknown-database"),
        ("Main", "unknown-database"),
        (&database.url, "unknown-database"),
    ] {
        let answer = client.try_probe(json!({ "open": name })).await;
        assert_eq!(answer["sql"], case, "{name}: {answer}");
        assert!(!answer.to_string().contains("memory"), "{answer}");
    }
}
