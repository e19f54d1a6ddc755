//! Transactions: what a module commits lasts, and what it leaves open is undone (invariant 8).

use hassock_tests::{Client, MariaDb, Proxy, TestDatabase, TestHost, app, eventually, for_both_engines, guest};
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::mysql::MySqlConnection;

for_both_engines! {
    a_commit_lasts_and_a_rollback_undoes,
    others_see_a_change_only_when_it_is_committed,
    an_error_in_a_transaction_does_not_end_it,
    what_a_call_leaves_open_is_rolled_back,
    what_a_dying_call_leaves_open_is_rolled_back,
    a_returned_error_rolls_back,
    leaks_do_not_use_up_the_pool,
    a_call_has_so_many_transactions_at_a_time,
    a_client_that_goes_away_does_not_cut_a_transaction_off,
    a_client_that_goes_away_leaves_no_transaction_open,
}

/// A table with one unique column: two transactions that insert the same number wait for each other.
async fn table(database: &TestDatabase) {
    database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)").await;
}

fn insert(n: u32) -> Value {
    json!({ "execute": { "sql": "INSERT INTO t VALUES (?)", "values": [{ "s64": n }] } })
}

async fn steps(client: &mut Client, steps: Value) -> Vec<Value> {
    match client.probe(json!({ "transaction": steps })).await {
        Value::Array(answers) => answers,
        other => panic!("no answers: {other}"),
    }
}

async fn count(database: &TestDatabase) -> i64 {
    database.number("SELECT COUNT(*) FROM t").await
}

/// `transaction.commit`: "Make the changes last"; `rollback`: "Undo the changes".
async fn a_commit_lasts_and_a_rollback_undoes(database: TestDatabase) {
    let host = database.probe("").await;
    let mut client = host.connect("/probe").await;
    table(&database).await;
    let done = steps(&mut client, json!([insert(1), insert(2), "commit", "commit"])).await;
    assert_eq!(done[..3], [json!({ "ok": 1 }), json!({ "ok": 1 }), json!({ "ok": null })]);
    assert!(done[3]["error"].is_string(), "{done:?}");
    assert_eq!(count(&database).await, 2);
    let undone = steps(&mut client, json!([insert(3), "rollback", insert(4)])).await;
    assert_eq!(undone[..2], [json!({ "ok": 1 }), json!({ "ok": null })]);
    assert!(undone[2]["error"].is_string(), "{undone:?}");
    assert_eq!(count(&database).await, 2);
}

/// Invariant 5, `transactions_per_call`: one call must not take all sessions of the pool.
async fn a_call_has_so_many_transactions_at_a_time(database: TestDatabase) {
    let host = database.probe("").await;
    let mut client = host.connect("/probe").await;
    let answers = steps(&mut client, json!(["begin", "commit", "begin"])).await;
    let refused = answers[0]["error"].as_str().unwrap();
    assert!(refused.contains("transactions_per_call"), "{refused}");
    assert_eq!(answers[1..], [json!({ "ok": null }), json!({ "ok": null })]);
}

/// What a transaction did is visible within it, and nowhere else before it is committed.
async fn others_see_a_change_only_when_it_is_committed(database: TestDatabase) {
    let host = database.probe("").await;
    let mut client = host.connect("/probe").await;
    table(&database).await;
    let look = json!({ "sql": "SELECT COUNT(*) FROM t" });
    let script = json!([insert(1), { "query": look }, { "beside": look }, "commit", { "beside": look }]);
    let answers = steps(&mut client, script).await;
    let (none, one) = (json!({ "ok": [[{ "s64": 0 }]] }), json!({ "ok": [[{ "s64": 1 }]] }));
    assert_eq!(answers[1..], [one.clone(), none, json!({ "ok": null }), one]);
}

/// A statement that fails does nothing, and what was done before it is still there to be committed.
async fn an_error_in_a_transaction_does_not_end_it(database: TestDatabase) {
    let host = database.probe("").await;
    let mut client = host.connect("/probe").await;
    table(&database).await;
    let wrong = json!({ "execute": { "sql": "INSERT INTO nowhere VALUES (1)" } });
    let answers = steps(&mut client, json!([insert(1), insert(1), wrong, insert(2), "commit"])).await;
    let cases: Vec<_> = answers.iter().map(|answer| answer["sql"].as_str().unwrap_or("ok")).collect();
    assert_eq!(cases, ["ok", "constraint", "syntax", "ok", "ok"]);
    assert_eq!(count(&database).await, 2);
}

/// Invariant 8, for calls that return: the handle goes out of scope, or is forgotten.
async fn what_a_call_leaves_open_is_rolled_back(database: TestDatabase) {
    let host = database.probe("").await;
    let (mut client, mut other) = (host.connect("/probe").await, host.connect("/probe").await);
    table(&database).await;
    for end in [json!(["drop"]), json!(["leak"]), json!([])] {
        let mut script = vec![insert(1)];
        script.extend(end.as_array().unwrap().iter().cloned());
        steps(&mut client, json!(script)).await;
        // Another connection finds neither the row nor a lock.
        other.execute("INSERT INTO t VALUES (1)", json!([])).await;
        other.execute("DELETE FROM t", json!([])).await;
    }
    assert_eq!(count(&database).await, 0);
}

async fn faults(database: &TestDatabase, keys: &str) -> TestHost {
    database.execute("CREATE TABLE leak (n INTEGER PRIMARY KEY)").await;
    database.serve("faults", keys, "[apps.faults.limits]\ncpu_time = \"200ms\"\ncall_timeout = \"400ms\"").await
}

/// Invariant 8, for calls that do not return: a trap, the end of `cpu_time`, the end of `call_timeout`.
async fn what_a_dying_call_leaves_open_is_rolled_back(database: TestDatabase) {
    let host = faults(&database, "").await;
    for misdeed in ["leak", "leak and trap", "leak and spin", "leak and sleep"] {
        let mut client = host.connect("/faults").await;
        if misdeed == "leak" {
            assert_eq!(client.ask(misdeed).await, "leaked");
        } else {
            client.send(misdeed).await;
            assert_eq!(client.closed().await.code, 1011, "{misdeed}");
        }
        // Each misdeed inserts the same unique number: if it lasted, or kept its lock, this would fail.
        database.execute("INSERT INTO leak VALUES (1)").await;
        assert_eq!(database.number("SELECT COUNT(*) FROM leak").await, 1, "{misdeed}");
        database.execute("DELETE FROM leak").await;
    }
}

/// Invariant 8: if `receive` returns an error, what it did not commit is rolled back.
async fn a_returned_error_rolls_back(database: TestDatabase) {
    let host = faults(&database, "").await;
    let mut client = host.connect("/faults").await;
    client.send("leak and error").await;
    assert_eq!(client.closed().await.code, 1011);
    database.execute("INSERT INTO leak VALUES (1)").await;
    assert_eq!(database.number("SELECT COUNT(*) FROM leak").await, 1);
}

/// Invariants 5 and 8: the session of a transaction that was left open goes back to the pool, or is
/// replaced, however often that happens.
async fn leaks_do_not_use_up_the_pool(database: TestDatabase) {
    let host = faults(&database, "max_connections = 1\nacquire_timeout = \"2s\"").await;
    for _ in 0..5 {
        let mut client = host.connect("/faults").await;
        assert_eq!(client.ask("leak").await, "leaked");
        client.send("leak and trap").await;
        assert_eq!(client.closed().await.code, 1011);
    }
    let mut client = host.connect("/faults").await;
    // More handles than an instance may hold: the forgotten ones do not count.
    for _ in 0..70 {
        assert_eq!(client.ask("leak").await, "leaked");
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM leak").await, 0);
}

/// Send a transaction that publishes when it has inserted 1 and then takes some time; disconnect meanwhile.
async fn vanish_in_transaction(database: &TestDatabase, host: &TestHost, end: &str) -> Client {
    let (mut client, mut other) = (host.connect("/probe").await, host.connect("/probe?topic=progress").await);
    let slow = database.pick(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000) SELECT max(i) FROM n",
        "SELECT SLEEP(0.3)",
    );
    let begun = json!({ "publish": { "topic": "progress", "text": "begun" } });
    let script = json!({ "transaction": [insert(1), begun, { "query": { "sql": slow } }, end] });
    client.send(script.to_string()).await;
    assert_eq!(other.text().await, "begun");
    drop(client);
    other
}

/// "A call is never dropped half-way because the client went away": what it commits lasts.
async fn a_client_that_goes_away_does_not_cut_a_transaction_off(database: TestDatabase) {
    let host = database.probe("").await;
    table(&database).await;
    let _other = vanish_in_transaction(&database, &host, "commit").await;
    eventually("the commit", || async { count(&database).await == 1 }).await;
}

/// Invariant 8 for a call that loses its client meanwhile.
async fn a_client_that_goes_away_leaves_no_transaction_open(database: TestDatabase) {
    let host = database.probe("").await;
    table(&database).await;
    let mut other = vanish_in_transaction(&database, &host, "leak").await;
    // This waits for the lock of the transaction, and does not find its row.
    other.execute("INSERT INTO t VALUES (1)", json!([])).await;
    eventually("the end of the other connection", || async { host.host.connections() == 1 }).await;
    assert_eq!(count(&database).await, 1);
}

/// Invariant 8 for what only the database knows: a procedure may change its session in any way. A call that got the
/// session afterwards would never commit.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_procedure_changes_ends_with_its_session() {
    let database = TestDatabase::mariadb().await;
    let host = database.probe("max_connections = 1").await;
    let mut client = host.connect("/probe").await;
    table(&database).await;
    client.execute("CREATE PROCEDURE p() SET SESSION autocommit = 0, max_statement_time = 0", json!([])).await;
    client.execute("CALL p()", json!([])).await;
    client.execute("INSERT INTO t VALUES (1)", json!([])).await;
    assert_eq!(count(&database).await, 1);
    // Within a transaction too.
    let answers = steps(&mut client, json!([{ "execute": { "sql": "CALL p()" } }, "commit"])).await;
    assert_eq!(answers[1], json!({ "ok": null }), "{answers:?}");
    client.execute("INSERT INTO t VALUES (2)", json!([])).await;
    assert_eq!(count(&database).await, 2);
}

/// Invariant 8: one call may leave several open, and each may take the `connect_timeout` of its database to roll back.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_leaves_open_is_rolled_back_at_the_same_time() {
    let server = MariaDb::shared().await;
    let (database, proxy) = (TestDatabase::mariadb().await, Proxy::start(&server.address()).await);
    let url = database.url.replace(&server.address(), &proxy.address);
    let host = TestHost::start(&format!(
        "[databases.main]\nurl = \"{url}\"\nconnect_timeout = \"1h\"\nquery_timeout = \"1h\"\n{}\
         databases.main = \"read-write\"\nlimits = {{ call_timeout = \"1h\", transactions_per_call = 3 }}\n",
        app("probe", &guest("probe")),
    ))
    .await;
    table(&database).await;
    let mut gate = MySqlConnection::connect(&database.url).await.unwrap();
    for sql in ["BEGIN", "INSERT INTO t VALUES (1)"] {
        sqlx::query(sql).execute(&mut gate).await.unwrap();
    }
    let mut client = host.connect("/probe").await;
    client.send(json!({ "transaction": ["leak-another", "leak-another", insert(1), "leak"] }).to_string()).await;
    // The server names the statement while it prepares it too, and then its execution would be held back for ever.
    let waiting = "SELECT COUNT(*) FROM information_schema.processlist \
                   WHERE info LIKE 'INSERT%' AND command = 'Execute' AND db = DATABASE()";
    eventually("the call to wait", || async { database.number(waiting).await == 1 }).await;
    proxy.hold_requests();
    gate.close().await.unwrap();
    // None of them is answered before all of them were asked for.
    eventually("all rollbacks", || async { proxy.held_requests() == 3 }).await;
    proxy.release();
    assert!(client.json().await["ok"].is_array());
}
