//! Rows of MariaDB that are larger than any result may be: the real binary, whose memory is measured.

use hassock_tests::{Certificates, Client, MariaDb, Process, app_with_database, guest};
use serde_json::json;
use tempfile::TempDir;

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
    read_huge_rows(&server.database().await).await;
}

/// The same for a session that is encrypted, of which only the driver can read the rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_huge_row_is_not_read_into_memory_over_tls() {
    let certificates = Certificates::new();
    let server = MariaDb::start_with_tls(&certificates).await;
    let authority = certificates.authority();
    read_huge_rows(&format!("{}?ssl-mode=VERIFY_CA&ssl-ca={}", server.database().await, authority.display())).await;
}

async fn read_huge_rows(url: &str) {
    let (process, mut client, _folder) = serve(url).await;
    assert_eq!(client.query("SELECT 1", json!([])).await, json!([[{ "s64": 1 }]]));
    let before = process.peak_memory();

    for columns in [1, 64] {
        let (case, text) = client.sql_error(&huge_row(columns), json!([])).await;
        assert_eq!(case, "too-large", "{text}");
        assert!(text.contains("max_result_bytes"), "{text}");
    }
    let step = json!({ "sql": huge_row(16) });
    let answers = client.probe(json!({ "transaction": [{ "query": step }, { "query": { "sql": "SELECT 1" } }] })).await;
    assert_eq!(answers[0]["sql"], "too-large", "{answers}");
    assert!(answers[1]["error"].is_string(), "its transaction has ended with its session: {answers}");
    // The kernel reads it from counters of each core, so it may seem to shrink by a little.
    let grown = process.peak_memory().saturating_sub(before);
    assert!(grown < GROWTH, "the host has grown by {grown} KiB");
    // What the module does not get is bounded too.
    let executed = client.try_probe(json!({ "execute": step })).await;
    assert_eq!(executed["sql"], "too-large", "{executed}");
    // The next session is a sound one, and the largest results pass, whatever the protocol adds to them.
    for sql in ["SELECT REPEAT('a', 8388608) c".to_owned(), many_values()] {
        assert!(client.probe(json!({ "columns": { "sql": sql } })).await.is_array());
    }
}

/// Invariant 5: the descriptions of columns that a session keeps with its prepared statements.
#[tokio::test(flavor = "multi_thread")]
async fn wide_statements_are_not_kept() {
    let url = MariaDb::shared().await.database().await;
    let (process, mut client, _folder) = serve(&url).await;
    let columns: Vec<String> = (0..1000).map(|column| format!("c{column} TINYINT")).collect();
    client.execute(&format!("CREATE TABLE wide ({})", columns.join(", ")), json!([])).await;
    let look = async |client: &mut Client, number: usize, verb: &str| {
        let sql = format!("SELECT * FROM wide a JOIN wide b JOIN wide c JOIN wide d WHERE {number} = 0");
        client.probe(json!({ verb: { "sql": sql } })).await;
    };
    for verb in ["columns", "execute"] {
        look(&mut client, 0, verb).await;
        let before = process.peak_memory();
        for number in 1..100 {
            look(&mut client, number, verb).await;
        }
        let grown = process.peak_memory().saturating_sub(before);
        assert!(grown < GROWTH / 4, "the host has grown by {grown} KiB");
    }
}

/// The real binary with the `probe` module and a database.
async fn serve(url: &str) -> (Process, Client, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    // A busy server takes long to make a gigabyte.
    let keys = "[databases.main]\nquery_timeout = \"100s\"\n";
    let app = app_with_database("probe", &guest("probe"), url).replace("[databases.main]\n", keys);
    let config = format!("listen = \"127.0.0.1:0\"\n{app}limits.call_timeout = \"100s\"\n");
    std::fs::write(folder.path().join("hassock.toml"), config).unwrap();
    let process = Process::hassock(folder.path(), ["serve"]);
    let client = Client::connect(&process.line("Starting server on ").await, "/probe").await;
    (process, client, folder)
}

/// As many values of 8 bytes as a result may have: the protocol adds the most to these.
fn many_values() -> String {
    let columns = vec!["'12345678'"; 104].join(", ");
    format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT {columns} FROM n")
}
