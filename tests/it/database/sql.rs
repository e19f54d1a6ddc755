//! Databases as a module sees them (`wit/sql.wit`): values, what statements do, errors, limits.

use hassock_tests::{Client, TestDatabase, for_both_engines};
use serde_json::{Value, json};

for_both_engines! {
    every_value_comes_back_as_it_was,
    every_promise_about_statements_holds,
    statements_that_would_outlive_their_call_are_denied,
    every_limit_ends_only_its_own_call,
    a_wait_for_a_lock_ends,
    a_slow_statement_of_another_connection_makes_the_pool_busy,
}

/// A statement that never ends on SQLite, and runs for longer than any test on MariaDB.
fn endless(database: &TestDatabase) -> &str {
    database.pick(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "SELECT SLEEP(1000)",
    )
}

/// `sql.value`: "A value that was read can be bound again, and gives the same value", for every type.
async fn every_value_comes_back_as_it_was(database: TestDatabase) {
    let host = database.probe("").await;
    let mut client = host.connect("/probe").await;
    let all_bytes: Vec<u8> = (0..=255).collect();
    let decimal = "-12345678901234567890123456789012345.123456789012345678901234567890";
    // SQLite keeps a decimal only as text, and both keep JSON as text; everything else keeps its type.
    let decimal_back = json!({ database.pick("text", "decimal"): decimal });
    let cases = [
        ("BIGINT", "BIGINT", json!([{ "s64": i64::MIN }, { "s64": i64::MAX }, { "s64": -1 }, { "s64": 0 }, null])),
        ("BIGINT UNSIGNED", "BIGINT UNSIGNED", json!([{ "u64": u64::MAX }, { "u64": 1_u64 << 63 }, null])),
        ("BOOLEAN", "BOOLEAN", json!([{ "boolean": true }, { "boolean": false }, null])),
        ("DOUBLE", "DOUBLE", json!([{ "f64": 1e308 }, { "f64": 5e-324 }, { "f64": 0.1 }, null])),
        ("TEXT", "DECIMAL(65,30)", json!([{ "decimal": decimal }, null])),
        (
            "TEXT",
            "TEXT",
            json!([
                { "text": "" },
                { "text": "🦀 Приве́т 你好 \u{10ffff}" },
                { "text": "it's \"quoted\" `so` \\ \\' \\\\" },
                { "text": "a ? b ?? ?1 :x @y $z % _ ;" },
                { "text": "line\nfeed\ttab\r\u{0}nul" },
                { "text": " spaces " },
                null,
            ]),
        ),
        (
            "BLOB",
            "BLOB",
            json!([{ "bytes": all_bytes }, { "bytes": [] }, { "bytes": [255, 0, 0, 0, 0, 0, 0, 0] }, null]),
        ),
        ("DATE", "DATE", json!([{ "date": "2026-01-31" }, { "date": "9999-12-31" }, { "date": "0000-00-00" }, null])),
        ("TIME", "TIME(6)", json!([{ "time": "13:05:59" }, { "time": "-838:59:59.000001" }, null])),
        (
            "DATETIME",
            "DATETIME(6)",
            json!([{ "datetime": "2026-01-31T13:05:59" }, { "datetime": "2026-01-31T13:05:59.000001" }, null]),
        ),
        (
            "TIMESTAMP",
            "TIMESTAMP(6) NULL",
            json!([{ "timestamp": "2026-01-31T13:05:59Z" }, { "timestamp": "2026-07-31T01:05:59.000001Z" }, null]),
        ),
        ("JSON", "JSON", json!([{ "json": "{\"a\": [1, null, \"é ?\"]}" }, null])),
    ];
    for (number, (sqlite, mariadb, values)) in cases.into_iter().enumerate() {
        let kind = database.pick(sqlite, mariadb);
        database.execute(&format!("CREATE TABLE v{number} (id INTEGER, v {kind})")).await;
        let insert = format!("INSERT INTO v{number} VALUES (?, ?)");
        let select = format!("SELECT v FROM v{number} ORDER BY id");
        let mut expected = Vec::new();
        for (id, value) in values.as_array().unwrap().iter().enumerate() {
            client.execute(&insert, json!([{ "s64": id }, value])).await;
            expected.push(json!([match value.as_object().and_then(|object| object.iter().next()) {
                Some((name, _)) if name == "decimal" => decimal_back.clone(),
                Some((name, text)) if name == "json" => json!({ "text": text }),
                _ => value.clone(),
            }]));
        }
        let read = client.query(&select, json!([])).await;
        assert_eq!(read, json!(expected), "{kind}");
        for (id, row) in read.as_array().unwrap().iter().enumerate() {
            client.execute(&insert, json!([{ "s64": id + 100 }, row[0]])).await;
        }
        let again = client.query(&format!("SELECT v FROM v{number} WHERE id >= 100 ORDER BY id"), json!([])).await;
        assert_eq!(again, read, "{kind}, read and bound again");
    }
}

/// What `sql.wit` says about statements, point by point, in one host: each function below says which point.
async fn every_promise_about_statements_holds(database: TestDatabase) {
    let host = database.probe("").await;
    let mut client = host.connect("/probe").await;
    parameters_keep_their_types(&database, &mut client).await;
    statements_say_what_they_did(&database, &mut client).await;
    values_stay_data(&database, &mut client).await;
    wrong_statements_are_named(&database, &mut client).await;
    constraints_are_named(&database, &mut client).await;
}

/// `sql.value`: a bound value arrives with its type, also where no column declares one.
async fn parameters_keep_their_types(database: &TestDatabase, client: &mut Client) {
    let values = json!([{ "s64": -5 }, { "text": "x ? y" }, { "f64": 0.5 }, null, { "s64": i64::MAX }]);
    assert_eq!(client.query("SELECT ?, ?, ?, ?, ?", values.clone()).await, json!([values]));
    // As text, in which -0.0 is not 0.0: SQLite drops the sign in a column, and some versions of MariaDB at once.
    let zero = client.query("SELECT ?", json!([{ "f64": -0.0 }])).await.to_string();
    let kept = r#"[[{"f64":-0.0}]]"#;
    assert!(zero == kept || zero == database.pick(kept, r#"[[{"f64":0.0}]]"#), "{zero}");
    let named = json!({ "columns": { "sql": "SELECT 1 AS one, '?' AS `two words`, ? AS drei", "values": [null] } });
    assert_eq!(client.probe(named).await, json!(["one", "two words", "drei"]));
    database.execute("CREATE TABLE empty (a INTEGER, b INTEGER)").await;
    let empty = json!({ "columns": { "sql": "SELECT b, a AS x FROM empty" } });
    assert_eq!(client.probe(empty).await, json!(["b", "x"]), "known even if there are no rows");
}

/// `sql.outcome`: affected rows, also of an update that changes nothing, and the id of an insert.
async fn statements_say_what_they_did(database: &TestDatabase, client: &mut Client) {
    let id = database.pick("INTEGER PRIMARY KEY", "BIGINT PRIMARY KEY AUTO_INCREMENT");
    let created = client.execute(&format!("CREATE TABLE counted (id {id}, n INTEGER)"), json!([])).await;
    assert_eq!(created, json!({ "affected": 0, "id": null }));
    for (sql, expected) in [
        ("INSERT INTO counted (n) VALUES (7)", json!({ "affected": 1, "id": 1 })),
        ("INSERT INTO counted (n) VALUES (7)", json!({ "affected": 1, "id": 2 })),
        ("INSERT INTO counted (id, n) VALUES (41, 8)", json!({ "affected": 1, "id": 41 })),
        ("INSERT INTO counted (n) VALUES (9)", json!({ "affected": 1, "id": 42 })),
        ("UPDATE counted SET n = 7 WHERE n = 7", json!({ "affected": 2, "id": null })),
        ("UPDATE counted SET n = 7 WHERE n = 70", json!({ "affected": 0, "id": null })),
        ("DELETE FROM counted WHERE n > 7", json!({ "affected": 2, "id": null })),
    ] {
        assert_eq!(client.execute(sql, json!([])).await, expected, "{sql}");
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM counted").await, 2);
}

/// "Parameters are always bound (`?`), never spliced": no text ends its statement.
async fn values_stay_data(database: &TestDatabase, client: &mut Client) {
    database.execute("CREATE TABLE attacked (v TEXT)").await;
    let attacks = [
        "x'); DROP TABLE attacked; --",
        "' OR '1'='1",
        "\\'; DROP TABLE attacked; #",
        "\" OR \"\"=\"",
        "?",
        "0x27 OR 1",
        "/*!1*/",
    ];
    for attack in attacks {
        client.execute("INSERT INTO attacked VALUES (?)", json!([{ "text": attack }])).await;
        let found = client.query("SELECT v FROM attacked WHERE v = ?", json!([{ "text": attack }])).await;
        assert_eq!(found, json!([[{ "text": attack }]]));
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM attacked").await, i64::try_from(attacks.len()).unwrap());
}

/// `sql.error.syntax`: grammar, an unknown table or column, the number of parameters, a second statement.
async fn wrong_statements_are_named(database: &TestDatabase, client: &mut Client) {
    database.execute("CREATE TABLE t (a INTEGER)").await;
    let one = json!([{ "s64": 1 }]);
    for (sql, values, hint) in [
        ("SELECT FROM WHERE", json!([]), ""),
        ("SELECT (1", json!([]), ""),
        ("SELECT * FROM nowhere", json!([]), "nowhere"),
        ("SELECT nothing FROM t", json!([]), "nothing"),
        ("SELECT 1, '?'", one.clone(), "0 `?` but 1"),
        ("SELECT ?, '?', ?", one, "2 `?` but 1"),
        ("SELECT 1; SELECT 2", json!([]), ";"),
        ("SELECT 1; DROP TABLE t", json!([]), ";"),
        ("", json!([]), "empty"),
    ] {
        let (case, text) = client.sql_error(sql, values).await;
        assert_eq!(case, "syntax", "{sql}: {text}");
        assert!(text.contains(hint), "{sql}: {text}");
    }
    assert_eq!(client.query("SELECT COUNT(*) FROM t", json!([])).await, json!([[{ "s64": 0 }]]));
}

/// `sql.error.constraint`: unique, foreign-key, not-null and check constraints.
async fn constraints_are_named(database: &TestDatabase, client: &mut Client) {
    database.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, CHECK (n > 0))").await;
    database.execute("CREATE TABLE child (parent INTEGER NOT NULL, FOREIGN KEY (parent) REFERENCES parent (id))").await;
    client.execute("INSERT INTO parent VALUES (1, 1)", json!([])).await;
    client.execute("INSERT INTO child VALUES (1)", json!([])).await;
    for sql in [
        "INSERT INTO parent VALUES (1, 2)",
        "INSERT INTO parent VALUES (2, NULL)",
        "INSERT INTO parent VALUES (2, 0)",
        "INSERT INTO child VALUES (5)",
        "DELETE FROM parent",
    ] {
        let (case, text) = client.sql_error(sql, json!([])).await;
        assert_eq!(case, "constraint", "{sql}: {text}");
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM parent").await, 1);
}

/// `sql.error.denied`: "a statement that would leave something behind in the pooled session".
async fn statements_that_would_outlive_their_call_are_denied(database: TestDatabase) {
    let host = database.probe("max_connections = 1").await;
    let mut client = host.connect("/probe").await;
    database.execute("CREATE TABLE t (a INTEGER)").await;
    for sql in [
        "BEGIN",
        "begin immediate",
        "START TRANSACTION",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "RELEASE SAVEPOINT s",
        "SET autocommit = 0",
        "SET SESSION TRANSACTION READ ONLY",
        "/* harmless */ SET NAMES latin1",
        "-- harmless\nBEGIN",
        "LOCK TABLES t WRITE",
        "USE mysql",
        "PRAGMA query_only = ON",
        "ATTACH DATABASE 'other.db' AS other",
        "CREATE TEMPORARY TABLE x (a INTEGER)",
        "PREPARE p FROM 'SELECT 1'",
    ] {
        let (case, text) = client.sql_error(sql, json!([])).await;
        assert_eq!(case, "denied", "{sql}: {text}");
        let inside = json!({ "transaction": [{ "execute": { "sql": sql } }] });
        assert_eq!(client.probe(inside).await[0]["sql"], "denied", "{sql}, in a transaction");
    }
    // The only session of the pool is as it was: what it writes lasts.
    client.execute("INSERT INTO t VALUES (1)", json!([])).await;
    assert_eq!(database.number("SELECT COUNT(*) FROM t").await, 1);
}

/// Invariant 5 for the limits of a database, one after the other: each function below says which one. With one session
/// in the pool, each call needs the one that the call before it gave back.
async fn every_limit_ends_only_its_own_call(database: TestDatabase) {
    let times = "query_timeout = \"300ms\"\nacquire_timeout = \"100ms\"";
    let sizes = "max_connections = 1\nmax_rows = 10\nmax_result_bytes = \"1KiB\"";
    let host = database.probe(&format!("{times}\n{sizes}")).await;
    let mut client = host.connect("/probe").await;
    a_slow_statement_ends_and_the_pool_works_on(&database, &mut client).await;
    a_large_result_names_its_limit(&database, &mut client).await;
    a_busy_pool_says_so(&mut client).await;
}

/// Invariants 4 and 5, `query_timeout`: an endless statement ends, and its session is free again.
async fn a_slow_statement_ends_and_the_pool_works_on(database: &TestDatabase, client: &mut Client) {
    let (case, text) = client.sql_error(endless(database), json!([])).await;
    assert_eq!(case, "timeout", "{text}");
    assert_eq!(client.query("SELECT 1 + 1", json!([])).await, json!([[{ "s64": 2 }]]));
}

/// `sql.error.timeout`: "or waited that long for a lock". The transaction that has the lock goes on.
async fn a_wait_for_a_lock_ends(database: TestDatabase) {
    let host = database.probe("query_timeout = \"300ms\"").await;
    let mut client = host.connect("/probe").await;
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    let insert = json!({ "sql": "INSERT INTO t VALUES (1)" });
    let steps = json!({ "transaction": [{ "execute": insert }, { "beside": insert }, "commit"] });
    let answers = client.probe(steps).await;
    assert_eq!(answers[0]["ok"], 1, "{answers}");
    assert_eq!(answers[1]["sql"], "timeout", "{answers}");
    assert_eq!(answers[2], json!({ "ok": null }));
    assert_eq!(database.number("SELECT COUNT(*) FROM t").await, 1);
}

/// Invariant 5, `max_rows` and `max_result_bytes`: the error names the key, and the session is free again.
async fn a_large_result_names_its_limit(database: &TestDatabase, client: &mut Client) {
    let rows = |count| {
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n")
    };
    let bytes = |count| match database.pick("sqlite", "mariadb") {
        "sqlite" => format!("SELECT substr(hex(zeroblob({count})), 1, {count})"),
        _ => format!("SELECT REPEAT('x', {count})"),
    };
    for (fits, too_large, key) in [(rows(10), rows(11), "max_rows"), (bytes(1024), bytes(1025), "max_result_bytes")] {
        assert_ne!(client.query(&fits, json!([])).await, json!([]));
        let (case, text) = client.sql_error(&too_large, json!([])).await;
        assert_eq!(case, "too-large", "{text}");
        assert!(text.contains(key), "{text}");
    }
}

/// Invariant 5, `max_connections`: a call beside a transaction that has the only connection.
async fn a_busy_pool_says_so(client: &mut Client) {
    let one = json!({ "sql": "SELECT 1" });
    let answers = client.probe(json!({ "transaction": [{ "query": one }, { "beside": one }, { "query": one }] })).await;
    assert_eq!(answers[1]["sql"], "pool-exhausted", "{answers}");
    assert_eq!(answers[2], json!({ "ok": [[{ "s64": 1 }]] }));
    assert_eq!(client.query("SELECT 1", json!([])).await, json!([[{ "s64": 1 }]]));
}

/// The same for a slow statement of another WebSocket: it fails soon, and not only when the slow one ends.
async fn a_slow_statement_of_another_connection_makes_the_pool_busy(database: TestDatabase) {
    let keys = "max_connections = 1\nacquire_timeout = \"50ms\"\nquery_timeout = \"1500ms\"";
    let host = database.probe(keys).await;
    let (mut slow, mut other) = (host.connect("/probe").await, host.connect("/probe?topic=progress").await);
    let begun = json!({ "publish": { "topic": "progress", "text": "begun" } });
    slow.send(json!({ "transaction": [begun, { "query": { "sql": endless(&database) } }] }).to_string()).await;
    assert_eq!(other.text().await, "begun");
    let (case, text) = other.sql_error("SELECT 1", json!([])).await;
    assert_eq!(case, "pool-exhausted", "{text}");
    let answers: Value = slow.json().await;
    assert_eq!(answers["ok"][1]["sql"], "timeout", "{answers}");
    assert_eq!(other.query("SELECT 1", json!([])).await, json!([[{ "s64": 1 }]]));
}
