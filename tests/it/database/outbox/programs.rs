//! Programs that are not written in Rust.

use std::io::Write;
use std::process::{Command, Stdio};

use hassock_tests::{TestDatabase, TestHost, markdown, workspace};

use super::{config, host};

/// Run statements with the command-line client of MariaDB.
pub(super) async fn mariadb_client(database: &TestDatabase, script: &str) {
    let (server, name) = database.url.rsplit_once('/').unwrap();
    let (address, port) = server.rsplit_once('@').unwrap().1.split_once(':').unwrap();
    let mut command = Command::new("mariadb");
    command.args(["--no-defaults", "--protocol=tcp", "-u", "root", "-h", address, "-P", port, name]);
    let script = script.to_owned();
    let run = move || {
        let mut client = command.stdin(Stdio::piped()).spawn().unwrap();
        client.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(client.wait().unwrap().success());
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_client_publishes() {
    let database = TestDatabase::mariadb().await;
    let host = host(&database, "").await;
    let mut client = host.connect("/probe?topic=news").await;
    let insert = "INSERT INTO hassock_outbox (app, topic, message) VALUES ('probe', 'news',";
    mariadb_client(
        &database,
        &format!("BEGIN; {insert} 'never'); ROLLBACK; BEGIN; {insert} JSON_OBJECT('hello', 'wörld')); COMMIT;"),
    )
    .await;
    assert_eq!(client.text().await, r#"{"hello": "wörld"}"#);
}

/// The example of the book for Python, with the module for SQLite that Python brings along.
#[tokio::test(flavor = "multi_thread")]
async fn the_books_example_in_python_publishes() {
    let database = TestDatabase::sqlite();
    let host = TestHost::start(&config(&database, "")).await;
    let mut client = host.connect("/probe?topic=order:7").await;
    let file = database.url.strip_prefix("sqlite://").unwrap().to_owned();
    database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT)").await;
    database.execute("INSERT INTO orders VALUES (7, 'paid')").await;
    let page = std::fs::read_to_string(workspace().join("host/book/src/outbox.md")).unwrap();
    let blocks = markdown::blocks(&page);
    let example = blocks.iter().find(|block| block.language == "python" && block.text.contains("sqlite3")).unwrap();
    let program = example.text.replace("shop.db", &file).replace("\"shop\"", "\"probe\"");
    let run = move || Command::new("python3").args(["-c", &program]).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(client.json().await, serde_json::json!({ "id": 7, "state": "sent" }));
    assert_eq!(database.texts("SELECT state FROM orders").await, ["sent"]);
}
