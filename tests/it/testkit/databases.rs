//! Databases: the test and the module see the same ones, and each fault has its error.

use std::time::Duration;

use hassock::testkit::{DatabaseError, TestHost, Value};
use hassock_tests::{example, guest};
use serde_json::{Value as Json, json};

use super::{app, ask, config, faults, ok, probe, rows};

fn execute(sql: &str) -> Json {
    json!({ "execute": { "sql": sql } })
}

fn query(sql: &str) -> Json {
    json!({ "query": { "sql": sql } })
}

#[test]
fn test_and_module_share_a_database() {
    let host = probe().build().unwrap();
    let database = host.database("main").unwrap();
    database.run("CREATE TABLE t (n INTEGER, x TEXT)").unwrap();
    let insert = "INSERT INTO t VALUES (?, ?)";
    database.query(insert, vec![Value::S64(1), Value::Text("one".into())]).unwrap();
    let client = host.connect("/");
    assert_eq!(ok(&client, &query("SELECT * FROM t")), json!([[{ "s64": 1 }, { "text": "one" }]]));
    assert_eq!(ok(&client, &execute("INSERT INTO t VALUES (2, NULL)"))["affected"], 1);
    let found = database.run("SELECT x, n FROM t ORDER BY n").unwrap();
    assert_eq!(found.columns, ["x", "n"]);
    assert_eq!(found.rows[1], [Value::Null, Value::S64(2)]);
    assert!(matches!(database.run("SELEKT"), Err(DatabaseError::Syntax(_))));
}

#[test]
fn there_can_be_two_databases() {
    let host = probe().database("other").build().unwrap();
    let client = host.connect("/");
    for name in ["main", "other"] {
        assert_eq!(ok(&client, &json!({ "open": name })), "open");
    }
    let answer = ask(&client, &json!({ "open": "third" }));
    assert_eq!(answer["sql"], "unknown-database", "{answer}");
    host.database("other").unwrap().run("CREATE TABLE t (n INTEGER)").unwrap();
    let error = host.database("main").unwrap().run("SELECT * FROM t").unwrap_err();
    assert!(matches!(error, DatabaseError::Syntax(_)), "{error}");
    let error = host.database("third").err().unwrap().to_string();
    assert_eq!(error, "there is no database `third`; there is `main`, `other`");
}

#[test]
fn a_read_only_grant_is_one() {
    let text =
        app("probe", &guest("probe")) + "databases.main = \"read-only\"\n[databases.main]\nurl = \"${NOT_SET}\"\n";
    let (_folder, file) = config(&text);
    let host = TestHost::builder().config(file).build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE t (n INTEGER)").unwrap();
    let client = host.connect("/probe");
    assert_eq!(ok(&client, &query("SELECT * FROM t")), json!([]));
    let answer = ask(&client, &execute("INSERT INTO t VALUES (1)"));
    assert_eq!(answer["sql"], "denied", "{answer}");
    assert_eq!(rows(&host, "t"), 0);
}

/// Invariant 8, for each way to leave a transaction open.
#[test]
fn a_transaction_left_open_is_rolled_back() {
    for misdeed in ["leak", "leak and error", "leak and trap", "leak and spin", "leak and sleep"] {
        let host = faults();
        let client = host.connect("/");
        client.send_text(misdeed);
        if misdeed == "leak and sleep" {
            // It is open until the call ends. Other statements fail instead of waiting for ever.
            let error = host.database("main").unwrap().run("SELECT * FROM leak").unwrap_err();
            assert!(error.to_string().contains("let time pass"), "{error}");
            host.advance(Duration::from_secs(30));
        }
        assert_eq!(rows(&host, "leak"), 0, "{misdeed}");
        let other = host.connect("/");
        other.send_text("well");
        other.expect_text("well");
        host.database("main").unwrap().run("INSERT INTO leak VALUES (1)").unwrap();
        assert_eq!(rows(&host, "leak"), 1, "{misdeed}");
    }
}

/// A batch may do all that an administrator may do, and nothing stays in the sessions of modules.
#[test]
fn many_statements_run_at_once() {
    let host = probe().build().unwrap();
    let database = host.database("main").unwrap();
    let script = "-- ; in a comment\nPRAGMA foreign_keys = OFF;\nBEGIN;\nCREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT);\n\
        CREATE TABLE seen (n INTEGER REFERENCES t (n));\nCREATE TEMP TABLE short (n);\nCOMMIT;\n\
        CREATE TRIGGER watch AFTER INSERT ON t BEGIN DELETE FROM seen; INSERT INTO seen VALUES (new.n); END;\n\
        INSERT INTO t VALUES (1, 'a;b');\nSELECT * FROM t;\n";
    database.execute_batch(script).unwrap();
    let client = host.connect("/");
    assert_eq!(ok(&client, &execute("INSERT INTO t VALUES (2, '')"))["affected"], 1);
    assert_eq!(ok(&client, &query("SELECT n FROM seen")), json!([[{ "s64": 2 }]]));
    assert_eq!(ok(&client, &query("SELECT x FROM t WHERE n = 1")), json!([[{ "text": "a;b" }]]));
    assert_eq!(ask(&client, &query("SELECT * FROM short"))["sql"], "syntax");
    assert_eq!(ask(&client, &execute("INSERT INTO seen VALUES (99)"))["sql"], "constraint", "foreign keys are checked");
    database.execute_batch("").unwrap();
    database.execute_batch("-- nothing").unwrap();
}

#[test]
fn of_many_statements_the_one_that_fails_is_named() {
    let limited =
        "databases.main = \"read-write\"\n[databases.main]\nurl = \"sqlite::memory:\"\nquery_timeout = \"200ms\"\n";
    let (_folder, file) = config(&(app("probe", &guest("probe")) + limited));
    let host = TestHost::builder().config(file).build().unwrap();
    let database = host.database("main").unwrap();
    let error = database.execute_batch("CREATE TABLE t (n UNIQUE); INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)");
    assert_eq!(error.unwrap_err().to_string(), "statement 3: a constraint refused it: UNIQUE constraint failed: t.n");
    assert_eq!(rows(&host, "t"), 1, "those before it have been run");
    let error = database.execute_batch("BEGIN; DELETE FROM t").unwrap_err();
    assert_eq!(error.to_string(), "a transaction is left open; end it with COMMIT");
    assert_eq!(rows(&host, "t"), 1);
    let endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
    let error = database.execute_batch(&format!("SELECT 1; {endless}; SELECT 1")).unwrap_err();
    assert!(error.to_string().starts_with("statement 2: "), "{error}");
    let error = database.execute_batch("BEGIN; DELETE FROM t; SELEKT").unwrap_err();
    assert!(error.to_string().starts_with("statement 3: "), "{error}");
    assert_eq!(rows(&host, "t"), 1);
}

/// Statements are refused if they reach beyond the database, or if SQLite would read them differently than they look.
#[test]
fn some_statements_of_many_are_refused() {
    let host = probe().build().unwrap();
    let database = host.database("main").unwrap();
    database.run("CREATE TABLE t (attach TEXT)").unwrap();
    for (last, said) in [
        ("SELECT 1\0", "NUL character"),
        ("SELECT '\0'", "NUL character"),
        ("INSERT INTO t VALUES (?)", "no value for a parameter"),
        ("INSERT INTO t VALUES (:name)", "no value for a parameter"),
        ("attach 'file:x.db?cache=private' AS x", "ATTACH would open another database"),
        ("PRAGMA hard_heap_limit = 1000", "PRAGMA hard_heap_limit would affect all databases"),
        ("PRAGMA main.\"soft_heap_limit\"(1000)", "PRAGMA soft_heap_limit would affect all databases"),
    ] {
        let error =
            database.execute_batch(&format!("INSERT INTO t (attach) VALUES (1);{last};")).unwrap_err().to_string();
        assert!(error.contains(said), "{last}: {error}");
    }
    assert_eq!(rows(&host, "t"), 0, "none of them has begun");
    let harmless = "INSERT INTO t (attach) VALUES ('?'), ('; ATTACH x'); SELECT attach FROM t -- ATTACH ?";
    database.execute_batch(harmless).unwrap();
}

/// A reader that waits for time blocks writers. A statement that would wait for ever fails.
#[test]
fn nobody_waits_for_a_transaction_that_waits_for_time() {
    for grant in ["read-only", "read-write"] {
        let text = app("probe", &guest("probe"))
            + &format!("databases.main = \"{grant}\"\n[databases.main]\nurl = \"sqlite::memory:\"\n");
        let (_folder, file) = config(&text);
        let host = TestHost::builder().config(file).build().unwrap();
        let database = host.database("main").unwrap();
        database.run("CREATE TABLE t (n INTEGER)").unwrap();
        let client = host.connect("/probe");
        let steps = json!([{ "query": { "sql": "SELECT * FROM t" } }, "sleep", "commit"]);
        client.send_json(&json!({ "transaction": steps }));
        client.expect_nothing();
        let one = database.run("INSERT INTO t VALUES (1)").unwrap_err().to_string();
        let many = database.execute_batch("INSERT INTO t VALUES (1)").unwrap_err().to_string();
        assert!(one.contains("let time pass") && many.contains("let time pass"), "{grant}: {one}; {many}");
        host.advance(Duration::from_millis(300));
        client.expect_json(&json!({ "ok": [{ "ok": [] }, { "ok": null }, { "ok": null }] }));
        database.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert_eq!(rows(&host, "t"), 1);
    }
}

fn errors() -> [(DatabaseError, &'static str); 9] {
    let text = || "so it is".to_owned();
    [
        (DatabaseError::Denied(text()), "denied"),
        (DatabaseError::UnknownDatabase(text()), "unknown-database"),
        (DatabaseError::Timeout, "timeout"),
        (DatabaseError::PoolExhausted, "pool-exhausted"),
        (DatabaseError::Constraint(text()), "constraint"),
        (DatabaseError::Syntax(text()), "syntax"),
        (DatabaseError::TooLarge(text()), "too-large"),
        (DatabaseError::ConnectionLost(text()), "connection-lost"),
        (DatabaseError::Other(text()), "other"),
    ]
}

#[test]
fn the_module_sees_each_error_once() {
    let host = probe().build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE t (n INTEGER)").unwrap();
    let client = host.connect("/");
    for (error, case) in errors() {
        let has_text = !matches!(error, DatabaseError::Timeout | DatabaseError::PoolExhausted);
        host.fail_sql("main", error).unwrap();
        assert_eq!(rows(&host, "t"), 0, "the fault is not for the test's own statements");
        let answer = ask(&client, &execute("INSERT INTO t VALUES (1)"));
        assert_eq!(answer["sql"], case, "{answer}");
        assert_eq!(answer["error"].as_str().unwrap().contains("so it is"), has_text, "{answer}");
        assert_eq!(rows(&host, "t"), 0, "it did not run");
        assert_eq!(ok(&client, &query("SELECT * FROM t")), json!([]));
    }
    // Several faults wait in a queue.
    for (error, _) in errors() {
        host.fail_sql("main", error).unwrap();
    }
    for (_, case) in errors() {
        assert_eq!(ask(&client, &query("SELECT * FROM t"))["sql"], case);
    }
    ok(&client, &query("SELECT * FROM t"));
}

#[test]
fn a_fault_within_a_transaction_rolls_it_back() {
    let host = probe().setting("events", "yes").build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE t (n INTEGER)").unwrap();
    let client = host.connect("/");
    let insert = execute("INSERT INTO t VALUES (1)");
    let steps = json!({ "transaction": [insert, insert, "commit"] });
    for (error, case) in errors() {
        host.fail_sql("main", error).unwrap();
        let answer = ok(&client, &steps);
        assert_eq!(answer[0]["sql"], case, "{answer}");
        assert!(answer[1]["error"].is_string() && answer[2]["error"].is_string(), "{answer}");
        assert_eq!(rows(&host, "t"), 0);
    }
    let answer = ok(&client, &steps);
    assert_eq!(answer[2], json!({ "ok": null }), "{answer}");
    assert_eq!(rows(&host, "t"), 2);
}

/// The first statement succeeded, and is undone: the example `guestbook` deletes in a transaction.
#[test]
fn what_a_transaction_did_before_the_fault_is_undone() {
    let host = TestHost::load(example("guestbook")).unwrap();
    let client = host.connect("/");
    client.send_json(&json!({ "id": 1, "add": { "name": "a", "text": "b" } }));
    client.expect_json(&json!({ "id": 1, "added": 1 }));
    // The second statement fails at a reference of the test.
    let database = host.database("main").unwrap();
    database.run("CREATE TABLE praise (entry INTEGER REFERENCES entry (id))").unwrap();
    database.run("INSERT INTO praise VALUES (1)").unwrap();
    client.send_json(&json!({ "id": 2, "delete": 1 }));
    client.expect_json(&json!({ "id": 2, "error": "the guestbook is out of order, please try again later" }));
    assert_eq!((rows(&host, "entry"), rows(&host, "deleted")), (1, 0));
    database.run("DROP TABLE praise").unwrap();
    host.take_log();
    host.fail_sql("main", DatabaseError::ConnectionLost("pulled".into())).unwrap();
    client.send_json(&json!({ "id": 3, "delete": 1 }));
    client.expect_json(&json!({ "id": 3, "error": "the guestbook is out of order, please try again later" }));
    assert_eq!(super::logged(&host, "pulled").len(), 1);
    client.send_json(&json!({ "id": 4, "delete": 1 }));
    client.expect_json(&json!({ "id": 4, "deleted": 1 }));
    assert_eq!((rows(&host, "entry"), rows(&host, "deleted")), (0, 1));
}

#[test]
fn constraints_are_sqlites_own() {
    let host = probe().build().unwrap();
    let database = host.database("main").unwrap();
    database.run("CREATE TABLE t (n INTEGER PRIMARY KEY, m INTEGER NOT NULL REFERENCES t (n))").unwrap();
    database.run("INSERT INTO t VALUES (1, 1)").unwrap();
    let client = host.connect("/");
    for wrong in ["(1, 1)", "(2, NULL)", "(2, 7)"] {
        let answer = ask(&client, &execute(&format!("INSERT INTO t VALUES {wrong}")));
        assert_eq!(answer["sql"], "constraint", "{wrong}: {answer}");
    }
    assert!(matches!(database.run("INSERT INTO t VALUES (1, 1)"), Err(DatabaseError::Constraint(_))));
    assert_eq!(rows(&host, "t"), 1);
}

#[test]
fn a_fault_belongs_to_one_database() {
    let host = probe().database("other").build().unwrap();
    let client = host.connect("/");
    host.fail_sql("other", DatabaseError::Timeout).unwrap();
    ok(&client, &query("SELECT 1"));
    let error = host.fail_sql("third", DatabaseError::Timeout).unwrap_err().to_string();
    assert!(error.starts_with("there is no database `third`"), "{error}");
}
