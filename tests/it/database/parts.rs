//! Apps that are granted the same database.

use hassock_tests::{Client, TestDatabase, TestHost, app, for_both_engines, guest};
use serde_json::json;

for_both_engines! {
    an_app_that_uses_all_its_sessions_leaves_those_of_others,
    an_app_that_comes_later_gets_its_part,
    all_sessions_are_parts_of_apps,
}

const KEYS: &str = "max_connections = 4\nacquire_timeout = \"100ms\"\nquery_timeout = \"1000s\"";

/// A config in which these apps have such grants of the database.
fn config(database: &TestDatabase, apps: &[(&str, &str)]) -> String {
    let apps = apps.iter().map(|(name, grant)| {
        let limits = format!("[apps.{name}.limits]\ncall_timeout = \"1000s\"\n");
        app(name, &guest("probe")) + &format!("databases.main = \"{grant}\"\n") + &limits
    });
    database.config(KEYS) + &apps.collect::<String>()
}

/// A config in which these apps may read the database.
fn reading(database: &TestDatabase, apps: &[&str]) -> String {
    let apps: Vec<(&str, &str)> = apps.iter().map(|name| (*name, "read-only")).collect();
    config(database, &apps)
}

/// Have an app begin so many transactions that do not end while the test runs. Returns their clients, and how many
/// transactions have got a session.
async fn hold(host: &TestHost, database: &TestDatabase, name: &str, transactions: usize) -> (Vec<Client>, usize) {
    let endless = database.pick(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "SELECT SLEEP(1000)",
    );
    let begun = json!({ "publish": { "topic": "progress", "text": "begun" } });
    let script = json!({ "transaction": [begun, { "query": { "sql": endless } }] });
    let mut witness = host.connect(&format!("/{name}?topic=progress")).await;
    let (mut clients, mut held) = (Vec::new(), 0);
    for _ in 0..transactions {
        let mut client = host.connect(&format!("/{name}")).await;
        client.send(script.to_string()).await;
        tokio::select! {
            text = witness.text() => {
                assert_eq!(text, "begun");
                held += 1;
            }
            answer = client.json() => assert_eq!(answer["sql"], "pool-exhausted", "{answer}"),
        }
        clients.push(client);
    }
    (clients, held)
}

/// Invariant 4, `max_connections`: all sessions of one app are in use and stay so, and another app has its own.
async fn an_app_that_uses_all_its_sessions_leaves_those_of_others(database: TestDatabase) {
    let host = TestHost::start(&reading(&database, &["greedy", "modest"])).await;
    let (_busy, held) = hold(&host, &database, "greedy", 5).await;
    let mut modest = host.connect("/modest").await;
    assert_eq!(modest.query("SELECT 1", json!([])).await, json!([[{ "s64": 1 }]]));
    assert_eq!(held, 2, "half of the sessions");
}

/// The same for an app that a reload of the config adds. The other one had all sessions until then.
async fn an_app_that_comes_later_gets_its_part(database: TestDatabase) {
    let host = TestHost::start(&reading(&database, &["greedy"])).await;
    let (busy, held) = hold(&host, &database, "greedy", 5).await;
    assert_eq!(held, 4);
    drop((busy, host));

    let host = TestHost::start(&reading(&database, &["greedy"])).await;
    host.reload(&reading(&database, &["greedy", "modest"])).await.unwrap();
    let (_busy, held) = hold(&host, &database, "greedy", 5).await;
    let mut modest = host.connect("/modest").await;
    assert_eq!(modest.query("SELECT 1", json!([])).await, json!([[{ "s64": 1 }]]));
    assert_eq!(held, 2);
}

/// Sessions that are left when the parts are equal belong to the first apps.
async fn all_sessions_are_parts_of_apps(database: TestDatabase) {
    let host = TestHost::start(&reading(&database, &["b", "c", "a"])).await;
    let mut parts = Vec::new();
    for name in ["a", "b", "c"] {
        parts.push(hold(&host, &database, name, 3).await);
    }
    assert_eq!(parts.iter().map(|(_, held)| *held).collect::<Vec<_>>(), [2, 1, 1]);
}

/// Sessions that may write are only for apps that may. SQLite has one writer at a time.
#[tokio::test(flavor = "multi_thread")]
async fn apps_that_only_read_have_no_part_of_the_sessions_that_may_write() {
    let database = TestDatabase::mariadb().await;
    let host = TestHost::start(&config(&database, &[("reader", "read-only"), ("writer", "read-write")])).await;
    let (_writing, held) = hold(&host, &database, "writer", 5).await;
    assert_eq!(held, 4);
    let (_reading, held) = hold(&host, &database, "reader", 5).await;
    assert_eq!(held, 2, "a new version of the writer is tested with the others");
}
