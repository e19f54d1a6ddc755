//! Rows of MariaDB that are larger than any result may be: the real binary, whose memory is measured.

use hassock_tests::{Client, MariaDb, Process, app_with_database, guest};
use serde_json::json;

/// KiB by which the host may grow: much more than a result with the default bounds takes, and a tenth of the row.
const GROWTH: usize = 100 << 10;

/// Columns of a row, each almost as large as the server's `max_allowed_packet` lets it be.
fn huge_row(columns: usize) -> String {
    let columns: Vec<String> = (0..columns).map(|column| format!("REPEAT('a', 16000000) c{column}")).collect();
    format!("SELECT {}", columns.join(", "))
}

/// Invariants 4 and 5, `max_result_bytes`: a row is as large as its columns together, and is not read into memory first.
#[tokio::test(flavor = "multi_thread")]
async fn a_huge_row_is_not_read_into_memory() {
    let server = MariaDb::start().await;
    let folder = tempfile::tempdir().unwrap();
    let app = app_with_database("probe", &guest("probe"), &server.database().await);
    std::fs::write(folder.path().join("hassock.toml"), format!("listen = \"127.0.0.1:0\"\n{app}")).unwrap();
    let process = Process::hassock(folder.path(), ["serve"]);
    let mut client = Client::connect(&process.line("Starting server on ").await, "/probe").await;
    assert_eq!(client.query("SELECT 1", json!([])).await, json!([[{ "s64": 1 }]]));
    let before = process.peak_memory();

    for columns in [1, 64] {
        let (case, text) = client.sql_error(&huge_row(columns), json!([])).await;
        assert_eq!(case, "too-large", "{text}");
        assert!(text.contains("max_result_bytes"), "{text}");
    }
    let step = json!({ "sql": huge_row(64) });
    let answers = client.probe(json!({ "transaction": [{ "query": step }, { "query": { "sql": "SELECT 1" } }] })).await;
    assert_eq!(answers[0]["sql"], "too-large", "{answers}");
    assert!(answers[1]["error"].is_string(), "its transaction has ended with its session: {answers}");
    let executed = client.try_probe(json!({ "execute": step })).await;
    assert_eq!(executed["sql"], "too-large", "{executed}");

    let grown = process.peak_memory() - before;
    assert!(grown < GROWTH, "the host has grown by {grown} KiB");
    // The next session is a sound one, and the largest results pass, whatever the protocol adds to them.
    for sql in ["SELECT REPEAT('a', 8388608) c".to_owned(), many_values()] {
        assert!(client.probe(json!({ "columns": { "sql": sql } })).await.is_array());
    }
}

/// As many values of 8 bytes as a result may have: the protocol adds the most to these.
fn many_values() -> String {
    let columns = vec!["'12345678'"; 104].join(", ");
    format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT {columns} FROM n")
}
