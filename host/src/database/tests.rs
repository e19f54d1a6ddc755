//! Tests with SQLite, which needs no server. The tests of MySQL use the complete host and a real MariaDB.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod guard;
mod memory;
mod transactions;

use super::*;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn limits() -> DatabaseConfig {
    DatabaseConfig {
        max_connections: 2,
        acquire_timeout: Duration::from_millis(300).into(),
        query_timeout: Duration::from_millis(500).into(),
        ..DatabaseConfig::default()
    }
}

/// The limits, for a database at `url`.
fn at(url: &str, limits: DatabaseConfig) -> DatabaseConfig {
    DatabaseConfig { url: url.into(), ..limits }
}

async fn memory(limits: DatabaseConfig) -> Arc<Database> {
    let database = Database::open("main", &at("sqlite::memory:", limits), Path::new("")).await;
    database.unwrap()
}

/// A database in a file. The directory must exist as long as the database.
async fn file(limits: DatabaseConfig) -> (Arc<Database>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open("main", &at("sqlite://test.db", limits), directory.path()).await;
    (database.unwrap(), directory)
}

async fn writer(database: &Arc<Database>) -> Handle {
    database.grant(Access::ReadWrite, Sharer::ALONE).await.unwrap()
}

async fn reader(database: &Arc<Database>) -> Handle {
    database.grant(Access::ReadOnly, Sharer::ALONE).await.unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The number in the first row.
async fn count(handle: &Handle, statement: &str) -> Value {
    let found = handle.query(statement, vec![]).await.unwrap();
    found.rows[0][0].clone()
}

const ENDLESS: &str = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    let (database, _directory) = file(limits()).await;
    let main = writer(&database).await;
    let create = "CREATE TABLE t (flag BOOLEAN, n BIGINT, big BIGINT, f DOUBLE, exact TEXT, s TEXT, b BLOB, \
                  d DATE, clock TIME, dt DATETIME, at TIMESTAMP, j TEXT, absent TEXT)";
    main.execute(create, vec![]).await.unwrap();
    let row = vec![
        Value::Boolean(true),
        Value::S64(i64::MIN),
        Value::U64(u64::MAX),
        Value::F64(0.1),
        text("-12.50"),
        text("Grüße 🦀"),
        Value::Bytes(vec![0, 255]),
        Value::Date("2026-01-31".to_owned()),
        Value::Time("-838:59:59.000001".to_owned()),
        Value::Datetime("2026-01-31T13:05:59".to_owned()),
        Value::Timestamp("2026-01-31T13:05:59Z".to_owned()),
        text("{}"),
        Value::Null,
    ];
    let insert = "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let outcome = main.execute(insert, row.clone()).await.unwrap();
    assert_eq!(outcome.affected_rows, 1);
    assert_eq!(outcome.last_insert_id, Some(1));
    let found = main.query("SELECT * FROM t", vec![]).await.unwrap();
    assert_eq!(found.columns[..3], ["flag", "n", "big"]);
    assert_eq!(found.rows, std::slice::from_ref(&row));
    main.execute(insert, found.rows[0].clone()).await.unwrap();
    let found = main.query("SELECT * FROM t", vec![]).await.unwrap();
    assert_eq!(found.rows, [row.clone(), row]);
}

#[tokio::test]
async fn sqlite_values_keep_what_their_column_cannot_say() {
    let database = memory(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (flag BOOLEAN, n BIGINT)", vec![]).await.unwrap();
    let values = vec![Value::S64(7), Value::U64(7)];
    main.execute("INSERT INTO t VALUES (?, ?)", values).await.unwrap();
    let found = main.query("SELECT * FROM t", vec![]).await.unwrap();
    assert_eq!(found.rows, [[Value::S64(7), Value::S64(7)]]);
    let nan = main.query("SELECT ?", vec![Value::F64(f64::NAN)]).await;
    assert!(matches!(nan, Err(DatabaseError::Other(_))), "{nan:?}");
}

#[tokio::test]
async fn an_empty_result_has_columns_and_follows_the_schema() {
    let (database, _directory) = file(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a INT)", vec![]).await.unwrap();
    let all = "SELECT * FROM t";
    assert_eq!(main.query(all, vec![]).await.unwrap().columns, ["a"]);
    main.execute("ALTER TABLE t ADD COLUMN b INT DEFAULT 2", vec![]).await.unwrap();
    assert_eq!(main.query(all, vec![]).await.unwrap().columns, ["a", "b"]);
    let outcome = main.execute("INSERT INTO t (a) VALUES (1), (2)", vec![]);
    assert_eq!(outcome.await.unwrap().affected_rows, 2);
    assert_eq!(main.query(all, vec![]).await.unwrap().rows[1].len(), 2);
    let outcome = main.execute("UPDATE t SET b = 2", vec![]).await.unwrap();
    let expected = Outcome { affected_rows: 2, last_insert_id: None };
    assert_eq!(outcome, expected);
    let outcome = main.execute("CREATE TABLE u (a INT)", vec![]);
    assert_eq!(outcome.await.unwrap(), Outcome::default());
}

/// Statements stay prepared in their session, whose schema another session may change.
#[tokio::test]
async fn a_kept_statement_follows_the_schema_that_others_change() {
    let (database, _directory) = file(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a TEXT)", vec![]).await.unwrap();
    main.execute("INSERT INTO t VALUES ('2026-01-31')", vec![]).await.unwrap();
    let all = "SELECT * FROM t";
    assert_eq!(main.query(all, vec![]).await.unwrap().rows, [[text("2026-01-31")]]);
    let changes = "DROP TABLE t; CREATE TABLE t (d DATE, n INT); INSERT INTO t VALUES ('2026-01-31', 7)";
    database.execute_batch(changes).await.unwrap();
    let found = main.query(all, vec![]).await.unwrap();
    assert_eq!(found.columns, ["d", "n"]);
    assert_eq!(found.rows, [[Value::Date("2026-01-31".to_owned()), Value::S64(7)]]);
}

/// How many times this process has the file open.
fn times_open(file: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter(|entry| entry.as_ref().is_ok_and(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == file)))
        .count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_idle_session_is_closed_and_the_last_one_with_the_database() {
    let idle_timeout = Duration::from_millis(100).into();
    let (database, directory) = file(DatabaseConfig { idle_timeout, ..limits() }).await;
    let path = directory.path().join("test.db");
    let main = writer(&database).await;
    for _ in 0..3 {
        assert_eq!(count(&main, "SELECT 1").await, Value::S64(1));
        let began = Instant::now();
        while times_open(&path) > 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "the idle session stays open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(count(&main, "SELECT 1").await, Value::S64(1));
    database.close().await;
    assert_eq!(times_open(&path), 0);
}

/// SQLite expands the value where the driver reads it.
#[tokio::test]
async fn a_value_that_does_not_fit_into_memory_is_too_large() {
    let (database, _directory) = file(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (x INT)", vec![]).await.unwrap();
    main.execute("INSERT INTO t VALUES (900000000)", vec![]).await.unwrap();
    let found = main.query("SELECT zeroblob(x) FROM t", vec![]).await;
    assert!(matches!(found, Err(DatabaseError::TooLarge(_))), "{found:?}");
    assert_eq!(count(&main, "SELECT x FROM t").await, Value::S64(900_000_000));
}

/// A statement that waits for a lock when its call is dropped lets go, and its session counts until it is closed. So does one
/// that is still being opened when its call is dropped.
#[tokio::test]
async fn a_dropped_call_stops_waiting_for_a_lock() {
    let long = Duration::from_mins(10);
    let patient = DatabaseConfig {
        query_timeout: long.into(),
        acquire_timeout: long.into(),
        connect_timeout: long.into(),
        ..limits()
    };
    let (database, directory) = file(patient).await;
    let path = directory.path().join("test.db");
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a INT)", vec![]).await.unwrap();
    let mut holder = main.begin().await.unwrap();
    holder.execute("INSERT INTO t VALUES (1)", vec![]).await.unwrap();
    for after in [0, 20].repeat(20) {
        let insert = main.execute("INSERT INTO t VALUES (2)", vec![]);
        assert!(tokio::time::timeout(Duration::from_millis(after), insert).await.is_err());
        assert!(times_open(&path) <= 2, "more than max_connections");
    }
    // There are two sessions, so this gets one when that of the last dropped call is closed.
    assert_eq!(count(&main, "SELECT count(*) FROM t").await, Value::S64(0));
    holder.commit().await.unwrap();
    assert_eq!(count(&main, "SELECT count(*) FROM t").await, Value::S64(1));
}

/// Invariant 6.
#[tokio::test]
async fn a_read_only_grant_reads_only() {
    let (in_file, _directory) = file(limits()).await;
    for database in [in_file, memory(limits()).await] {
        let main = writer(&database).await;
        main.execute("CREATE TABLE t (a INT)", vec![]).await.unwrap();
        main.execute("INSERT INTO t VALUES (1)", vec![]).await.unwrap();
        let reader = reader(&database).await;
        assert_eq!(reader.access(), Access::ReadOnly);
        for statement in [
            "INSERT INTO t VALUES (2)",
            "WITH x AS (SELECT 2) INSERT INTO t SELECT * FROM x",
            "INSERT INTO t VALUES (2) RETURNING a",
            "DROP TABLE t",
            "CREATE TABLE u (a INT)",
        ] {
            let result = reader.query(statement, vec![]).await;
            assert!(matches!(result, Err(DatabaseError::Denied(_))), "{statement}: {result:?}");
        }
        let mut transaction = reader.begin().await.unwrap();
        let result = transaction.execute("DELETE FROM t", vec![]).await;
        assert!(matches!(result, Err(DatabaseError::Denied(_))), "{result:?}");
        let found = transaction.query("SELECT a FROM t", vec![]).await.unwrap();
        assert_eq!(found.rows, [[Value::S64(1)]]);
        transaction.commit().await.unwrap();
    }
}

/// Invariant 5: the text and the parameters count.
#[tokio::test]
async fn a_huge_statement_is_not_sent() {
    let database = memory(DatabaseConfig { max_statement_bytes: 100.into(), ..limits() }).await;
    let main = writer(&database).await;
    let ask = |bytes: usize| vec![Value::Bytes(vec![0; bytes])];
    assert!(main.query("SELECT length(?)", ask(84)).await.is_ok());
    let mut transaction = main.begin().await.unwrap();
    for refused in [
        main.query("SELECT length(?)", ask(85)).await.map(drop),
        main.execute(&format!("SELECT 1 {}", " ".repeat(100)), vec![]).await.map(drop),
        transaction.query("SELECT length(?)", ask(85)).await.map(drop),
    ] {
        assert!(matches!(refused, Err(DatabaseError::TooLarge(text)) if text.contains("max_statement_bytes")));
    }
}

/// Invariant 5.
#[tokio::test]
async fn a_huge_result_is_stopped_and_named() {
    let small = DatabaseConfig { max_rows: 3, max_result_bytes: 1000.into(), ..limits() };
    let database = memory(small).await;
    let main = writer(&database).await;
    let mut transaction = main.begin().await.unwrap();
    let fits = transaction.query("VALUES (1), (2), (3)", vec![]).await;
    assert_eq!(fits.unwrap().rows.len(), 3);
    let rows = transaction.query("VALUES (1), (2), (3), (4)", vec![]).await;
    assert!(matches!(rows, Err(DatabaseError::TooLarge(text)) if text.contains("max_rows")));
    let bytes = transaction.query("SELECT zeroblob(1001)", vec![]).await;
    assert!(matches!(bytes, Err(DatabaseError::TooLarge(text)) if text.contains("max_result_bytes")));
    // More memory than a value may have.
    let gigabyte = transaction.query("SELECT zeroblob(900000000)", vec![]).await;
    assert!(matches!(gigabyte, Err(DatabaseError::TooLarge(_))), "{gigabyte:?}");
    transaction.commit().await.unwrap();
    assert_eq!(count(&main, "SELECT 1").await, Value::S64(1));
}

/// Invariant 4.
#[tokio::test]
async fn an_endless_statement_ends_and_the_session_goes_on() {
    let database = memory(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a INT)", vec![]).await.unwrap();
    let start = Instant::now();
    let result = main.query(ENDLESS, vec![]).await;
    assert_eq!(result, Err(DatabaseError::Timeout));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(count(&main, "SELECT count(*) FROM t").await, Value::S64(0));
}

#[tokio::test]
async fn a_dropped_call_stops_its_statement() {
    let patient = DatabaseConfig {
        query_timeout: Duration::from_secs(600).into(),
        acquire_timeout: Duration::from_secs(30).into(),
        ..limits()
    };
    let database = memory(patient).await;
    let main = writer(&database).await;
    let call = main.query(ENDLESS, vec![]);
    let result = tokio::time::timeout(Duration::from_millis(50), call).await;
    assert!(result.is_err());
    // There is one session, so this statement waits until the other one has stopped.
    assert_eq!(count(&main, "SELECT 1").await, Value::S64(1));
}

#[tokio::test]
async fn wrong_statements_are_named() {
    let database = memory(limits()).await;
    let main = writer(&database).await;
    for statement in ["SELEC", "SELECT * FROM nowhere", "SELECT (", "SELECT ?1"] {
        let result = main.query(statement, vec![]).await;
        let expected = matches!(result, Err(DatabaseError::Syntax(_) | DatabaseError::Denied(_)));
        assert!(expected, "{statement}: {result:?}");
    }
    let result = main.query("SELECT ?, '?'", vec![]).await;
    assert!(matches!(&result, Err(DatabaseError::Syntax(text)) if text.contains("1 `?` but 0")), "{result:?}");
    let outcome = main.query("CREATE TABLE t (a INT)", vec![]).await.unwrap();
    assert_eq!(outcome, RowSet::default());
}

#[tokio::test]
async fn a_database_in_memory_lives_as_long_as_its_handles() {
    let database = memory(limits()).await;
    let other = memory(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a INT)", vec![]).await.unwrap();
    let reader = reader(&database).await;
    drop(database);
    assert_eq!(count(&reader, "SELECT count(*) FROM t").await, Value::S64(0));
    let external = writer(&other).await;
    let result = external.query("SELECT * FROM t", vec![]).await;
    assert!(matches!(result, Err(DatabaseError::Syntax(_))));
}

#[tokio::test]
async fn a_closed_database_says_so() {
    let (database, _directory) = file(limits()).await;
    let main = writer(&database).await;
    database.close().await;
    let result = main.query("SELECT 1", vec![]).await;
    assert!(matches!(result, Err(DatabaseError::ConnectionLost(_))));
}

#[tokio::test]
async fn an_unusable_url_says_what_to_do_and_hides_the_password() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("text.db"), "no database at all, only text").unwrap();
    for (url, hint) in [
        ("postgres://u:secret@h/d", "must begin with"),
        ("mysql://u:secret@127.0.0.1:1/d", "check that the server runs"),
        ("mysql://u:secret@h:port/d", "should look like"),
        ("mysql://u:sec/ret@h/secret", "%2F"),
        ("mysql://u:secret@h", "names no database"),
        ("sqlite://", "names no file"),
        ("sqlite://x.db?mode=ro", "host sets"),
        ("sqlite://missing/x.db", "directory must exist"),
        ("sqlite://text.db", "not a database"),
    ] {
        let result = Database::open("main", &at(url, limits()), directory.path()).await;
        let error = result.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(hint), "{url}: {text}");
        assert!(text.contains("main"), "{url}: {text}");
        assert!(!text.contains("secret"), "{url}: {text}");
    }
}

#[test]
fn the_futures_may_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    fn of(handle: &Handle, transaction: &mut Transaction, database: &Arc<Database>) {
        is_send(handle.query("", vec![]));
        is_send(handle.execute("", vec![]));
        is_send(handle.begin());
        is_send(transaction.query("", vec![]));
        is_send(transaction.execute("", vec![]));
        is_send(database.grant(Access::ReadOnly, Sharer::ALONE));
        is_send(database.close());
    }
    fn by_value(transaction: Transaction, other: Transaction) {
        is_send(transaction.commit());
        is_send(other.rollback());
    }
    let _ = (of, by_value);
    is_send(Database::open("", &limits(), Path::new("")));
}
