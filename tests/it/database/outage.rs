//! The database dies, comes back, or was never there.

use hassock_tests::{Client, MariaDb, TestHost, app, eventually, guest, hassock};
use serde_json::json;

/// A config with a database at `url`, which is on line 3.
fn config(url: &str) -> String {
    let keys = "connect_timeout = \"500ms\"\nacquire_timeout = \"500ms\"\nquery_timeout = \"1s\"";
    let app = app("probe", &guest("probe"));
    format!("[databases.main]\nurl = \"{url}\"\n{keys}\n{app}databases.main = \"read-write\"\n")
}

async fn sql_case(client: &mut Client, sql: &str) -> String {
    let answer = client.try_probe(json!({ "execute": { "sql": sql } })).await;
    answer["sql"].as_str().unwrap_or("ok").to_owned()
}

/// `sql.error.connection-lost`: "The database cannot be reached, or went away. A later call may find it again."
/// WebSockets do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_costs_no_connection_and_comes_back_by_itself() {
    let mut server = MariaDb::start().await;
    let host = TestHost::start(&config(&server.database().await)).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(host.connect("/probe").await);
    }
    assert_eq!(sql_case(&mut clients[0], "CREATE TABLE t (n INTEGER)").await, "ok");
    for client in &mut clients {
        assert_eq!(sql_case(client, "INSERT INTO t VALUES (1)").await, "ok");
    }

    server.kill();
    for client in &mut clients {
        let answer = client.try_probe(json!({ "query": { "sql": "SELECT 1" } })).await;
        assert_eq!(answer["sql"], "connection-lost", "{answer}");
        let begun = client.try_probe(json!({ "transaction": [] })).await;
        assert_eq!(begun["sql"], "connection-lost", "{begun}");
        assert_eq!(client.ask("still here").await, "still here");
    }
    let mut late = host.connect("/probe").await;
    assert_eq!(sql_case(&mut late, "SELECT 1").await, "connection-lost");
    assert_eq!(late.ask("open").await, "open");

    server.restart().await;
    for client in clients.iter_mut().chain([&mut late]) {
        let client = tokio::sync::Mutex::new(client);
        let works = || async { sql_case(*client.lock().await, "INSERT INTO t VALUES (2)").await == "ok" };
        eventually("the database to be found again", works).await;
    }
    assert_eq!(late.query("SELECT COUNT(*) FROM t", json!([])).await, json!([[{ "s64": 9 }]]));
}

/// Invariant 8 with a server that hangs: what calls left open is not waited for, however long a statement may take. The
/// server rolls it back as soon as it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_does_not_delay_the_end_of_a_call() {
    let server = MariaDb::start().await;
    let url = server.database().await;
    let keys = "[apps.probe.limits]\ncall_timeout = \"1000s\"\ntransactions_per_call = 4\n";
    let config = config(&url).replace("query_timeout = \"1s\"", "query_timeout = \"1000s\"") + keys;
    let host = TestHost::start(&config).await;
    let mut client = host.connect("/probe").await;
    assert_eq!(sql_case(&mut client, "CREATE TABLE t (n INTEGER PRIMARY KEY)").await, "ok");
    for end in ["leak", "drop"] {
        let mut other = host.connect("/probe?topic=progress").await;
        let insert = json!({ "execute": { "sql": "INSERT INTO t VALUES (1)" } });
        let begun = json!({ "publish": { "topic": "progress", "text": "begun" } });
        client.send(json!({ "transaction": [insert, begun, "sleep", end] }).to_string()).await;
        assert_eq!(other.text().await, "begun");
        server.pause();
        let answers = client.json().await;
        assert_eq!(answers["ok"][3], json!({ "ok": null }), "{answers}");
        assert_eq!(client.ask("still here").await, "still here");
        server.resume();
        // This waits for the lock of the transaction, and does not find its row.
        assert_eq!(sql_case(&mut client, "INSERT INTO t VALUES (1)").await, "ok");
        assert_eq!(sql_case(&mut client, "DELETE FROM t").await, "ok");
    }
}

/// A server that dies during a statement: the call fails soon, and its WebSocket stays open.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_under_a_statement_ends_it() {
    let mut server = MariaDb::start().await;
    let url = server.database().await;
    let host = TestHost::start(&config(&url).replace("query_timeout = \"1s\"", "query_timeout = \"1000s\"")).await;
    let (mut client, mut other) = (host.connect("/probe").await, host.connect("/probe?topic=progress").await);
    let begun = json!({ "publish": { "topic": "progress", "text": "begun" } });
    let slow = json!({ "query": { "sql": "SELECT SLEEP(1000)" } });
    client.send(json!({ "transaction": [begun, slow, "commit"] }).to_string()).await;
    assert_eq!(other.text().await, "begun");
    server.kill();
    let answers = client.json().await;
    assert_eq!(answers["ok"][1]["sql"], "connection-lost", "{answers}");
    assert!(answers["ok"][2]["error"].is_string(), "a lost transaction cannot be committed: {answers}");
    assert_eq!(client.ask("still here").await, "still here");
}

/// Why a host does not start with a database at `url`. Its module is missing too, because compiling one would take
/// longer.
async fn start_error(url: &str) -> String {
    let module = guest("probe").display().to_string();
    match TestHost::try_start(&config(url).replace(&module, "missing.wasm")).await {
        Ok(_) => panic!("the host starts without its database"),
        Err(error) => error.to_string(),
    }
}

/// A database that is down at start: the error names the database, its key and the line.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_at_start_is_named() {
    // Bound and dropped, so that nothing answers there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = start_error(&format!("mysql://root:hunter2@{address}/main")).await;
    for expected in ["hassock.toml:3: databases.main.url: database `main`", &address.to_string()] {
        assert!(error.contains(expected), "{expected} is missing: {error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
}

/// `connect_timeout`: a server that accepts the connection and says nothing does not block the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_says_nothing_at_start_is_named() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = start_error(&format!("mysql://root:hunter2@{}/main", silent.local_addr().unwrap())).await;
    assert!(error.contains("hassock.toml:3: databases.main.url: database `main`"), "{error}");
    assert!(error.contains("connect_timeout"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

/// "No credential": whatever is wrong with a URL, its password is not in the message.
#[tokio::test(flavor = "multi_thread")]
async fn no_error_shows_the_password() {
    let server = MariaDb::shared().await.address();
    for (url, hint) in [
        (format!("mysql://root:hunter2@{server}/mysql"), "password"),
        (format!("mysql://nobody:hunter2@{server}/mysql"), "password"),
        (format!("mysql://root:hunter2@{server}"), "database"),
        (format!("mysql://root:hun/ter2@{server}/mysql"), "%2F"),
        (format!("mysql://root:hunter2@{server}:x/mysql"), "mysql://user:password@host"),
        ("mysql://root:hunter2@no-such-host.invalid/mysql".to_owned(), "no-such-host.invalid"),
        ("mysql://root:hunter2@/".to_owned(), "database"),
        ("postgres://root:hunter2@localhost/main".to_owned(), "mysql://"),
        ("sqlite://hunter2.db?password=hunter2".to_owned(), "sqlite://file.db"),
    ] {
        let error = start_error(&url).await;
        assert!(error.contains("hassock.toml:3: databases.main.url"), "{url}: {error}");
        assert!(error.contains(hint), "{url}: {error}");
        assert!(!error.contains("hunter2") && !error.contains("ter2"), "{url}: {error}");
    }
}

/// A database that does not open is one problem, beside all others, and no app is blamed for it.
#[tokio::test(flavor = "multi_thread")]
async fn problems_of_databases_and_modules_are_reported_together() {
    let error = start_error("mysql://root@127.0.0.1:1/main").await;
    assert_eq!(error.lines().count(), 2, "{error}");
    assert!(error.contains("hassock.toml:3: databases.main.url: "), "{error}");
    assert!(error.contains("hassock.toml:9: apps.probe.module: "), "{error}");
}

/// The same for a URL that is in the wrong place, in all that a command prints.
#[tokio::test(flavor = "multi_thread")]
async fn no_command_shows_the_password_of_a_config_that_is_wrong() {
    let app = app("probe", &guest("probe"));
    for wrong in [
        "[databases]\nmain = \"mysql://root:hunter2@h/d\"",
        "[databases.main]\nurl = mysql://root:hunter2@h/d",
        "[databases.main]\nurl = [\"mysql://root:hunter2@h/d\"]",
        "[databases.main]\nuri = \"mysql://root:hunter2@h/d\"",
        "[databases.main]\nurl = \"mysql://root:hunter2@h/d",
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hassock.toml"), format!("{wrong}\n{app}")).unwrap();
        std::fs::write(folder.path().join("a.transcript"), "connect a /probe\n").unwrap();
        for command in [&["serve"][..], &["check"], &["build"], &["test"], &["module", "list"]] {
            let finished = hassock(folder.path(), command).await;
            let printed = finished.stdout + &finished.stderr;
            // Some of them do without databases, and fail because there is no app to build.
            assert_ne!(finished.code, Some(0), "{command:?} with {wrong}: {printed}");
            assert!(!printed.is_empty() && !printed.contains("hunter2"), "{command:?} with {wrong}: {printed}");
        }
    }
}
