//! Databases: the test and the module see the same ones, and faults are told apart.

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
    let host = probe().database("other").unwrap().build().unwrap();
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
    let host = TestHost::config(file).unwrap().build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE t (n INTEGER)").unwrap();
    let client = host.connect("/probe");
    assert_eq!(ok(&client, &query("SELECT * FROM t")), json!([]));
    let answer = ask(&client, &execute("INSERT INTO t VALUES (1)"));
    assert_eq!(answer["sql"], "denied", "{answer}");
    assert_eq!(rows(&host, "t"), 0);
}

/// Invariant 8, for each way to leave one open.
#[test]
fn a_transaction_left_open_is_rolled_back() {
    for misdeed in ["leak", "leak and error", "leak and trap", "leak and spin", "leak and sleep"] {
        let host = faults();
        let client = host.connect("/");
        client.send_text(misdeed);
        if misdeed == "leak and sleep" {
            // It is open until the call ends, and whoever asks is told so instead of waiting for ever.
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
        host.fail_statement("main", error).unwrap();
        assert_eq!(rows(&host, "t"), 0, "the test's own statements are not meant");
        let answer = ask(&client, &execute("INSERT INTO t VALUES (1)"));
        assert_eq!(answer["sql"], case, "{answer}");
        assert_eq!(answer["error"].as_str().unwrap().contains("so it is"), has_text, "{answer}");
        assert_eq!(rows(&host, "t"), 0, "it did not run");
        assert_eq!(ok(&client, &query("SELECT * FROM t")), json!([]));
    }
    // Several wait in a row.
    for (error, _) in errors() {
        host.fail_statement("main", error).unwrap();
    }
    for (_, case) in errors() {
        assert_eq!(ask(&client, &query("SELECT * FROM t"))["sql"], case);
    }
    ok(&client, &query("SELECT * FROM t"));
}

#[test]
fn a_fault_within_a_transaction_rolls_it_back() {
    let host = probe().setting("events", "yes").unwrap().build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE t (n INTEGER)").unwrap();
    let client = host.connect("/");
    let insert = execute("INSERT INTO t VALUES (1)");
    let steps = json!({ "transaction": [insert, insert, "commit"] });
    for (error, case) in errors() {
        host.fail_statement("main", error).unwrap();
        let answer = ok(&client, &steps);
        assert_eq!(answer[0]["sql"], case, "{answer}");
        assert!(answer[1]["error"].is_string() && answer[2]["error"].is_string(), "{answer}");
        assert_eq!(rows(&host, "t"), 0);
    }
    let answer = ok(&client, &steps);
    assert_eq!(answer[2], json!({ "ok": null }), "{answer}");
    assert_eq!(rows(&host, "t"), 2);
}

/// The first statement went through, and is undone: the example `guestbook` deletes in a transaction.
#[test]
fn what_a_transaction_did_before_the_fault_is_undone() {
    let host = TestHost::load(example("guestbook")).unwrap();
    let client = host.connect("/");
    client.send_json(&json!({ "id": 1, "add": { "name": "a", "text": "b" } }));
    client.expect_json(&json!({ "id": 1, "added": 1 }));
    // The second statement meets a reference of the test's.
    let database = host.database("main").unwrap();
    database.run("CREATE TABLE praise (entry INTEGER REFERENCES entry (id))").unwrap();
    database.run("INSERT INTO praise VALUES (1)").unwrap();
    client.send_json(&json!({ "id": 2, "delete": 1 }));
    client.expect_json(&json!({ "id": 2, "error": "the guestbook is out of order, please try again later" }));
    assert_eq!((rows(&host, "entry"), rows(&host, "deleted")), (1, 0));
    database.run("DROP TABLE praise").unwrap();
    host.take_log();
    host.fail_statement("main", DatabaseError::ConnectionLost("pulled".into())).unwrap();
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
    let host = probe().database("other").unwrap().build().unwrap();
    let client = host.connect("/");
    host.fail_statement("other", DatabaseError::Timeout).unwrap();
    ok(&client, &query("SELECT 1"));
    let error = host.fail_statement("third", DatabaseError::Timeout).unwrap_err().to_string();
    assert!(error.starts_with("there is no database `third`"), "{error}");
}
