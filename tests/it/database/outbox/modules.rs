//! `transaction.publish` of modules.

use hassock::database::OutboxOrder;
use hassock_tests::{TestDatabase, TestHost, app, eventually, for_both_engines, guest};
use serde_json::{Value, json};

use super::{config, host, without_outbox};

fn enqueue(text: &str) -> Value {
    json!({ "enqueue": { "topic": "news", "text": text } })
}

/// The host polls once an hour here: what its own modules commit does not wait for that.
async fn a_module_publishes_with_its_transaction(database: TestDatabase) {
    let host = host(&database, "poll = \"1h\"").await;
    let (mut client, mut module) = (host.connect("/probe?topic=news").await, host.connect("/probe").await);
    module.execute("CREATE TABLE t (n BIGINT)", json!([])).await;
    let insert = json!({ "execute": { "sql": "INSERT INTO t VALUES (1)" } });
    for last in ["rollback", "drop", "leak", "commit"] {
        let answer = module.probe(json!({ "transaction": [insert, enqueue(last), last] })).await;
        assert!(answer.as_array().unwrap().iter().all(|step| step.get("ok").is_some()), "{answer}");
    }
    assert_eq!(client.text().await, "commit", "the others are rolled back");
    let bytes = json!({ "enqueue-bytes": { "topic": "news", "count": 3 } });
    module.probe(json!({ "transaction": [bytes, enqueue("then"), "commit"] })).await;
    assert_eq!(client.message().await.into_data().as_ref(), [7, 7, 7]);
    assert_eq!(client.text().await, "then");
    eventually("the rows to be removed", || async { database.waiting().await == 0 }).await;
    assert_eq!(database.number("SELECT COUNT(*) FROM t").await, 1);
}

/// What cannot be published is an error of the call, and the transaction goes on.
async fn a_module_learns_why_it_cannot_publish(database: TestDatabase) {
    let host = host(&database, "").await;
    let (mut client, mut module) = (host.connect("/probe?topic=news").await, host.connect("/probe").await);
    let nameless = json!({ "enqueue": { "topic": "", "text": "never" } });
    let long = json!({ "enqueue": { "topic": "t".repeat(257), "text": "never" } });
    let large = json!({ "enqueue-bytes": { "topic": "news", "count": (1 << 20) + 1 } });
    let steps = json!([nameless, long, large, enqueue("well"), "commit"]);
    let answer = module.probe(json!({ "transaction": steps })).await;
    assert_eq!(
        (&answer[0]["sql"], &answer[1]["sql"], &answer[2]["sql"]),
        (&"other".into(), &"other".into(), &"too-large".into())
    );
    assert!(answer[2]["error"].as_str().unwrap().contains("(outbox_bytes)"), "{answer}");
    assert_eq!(client.text().await, "well");

    let denied = async |config: &str, reason: &str| {
        host.reload(config).await.unwrap();
        let mut module = host.connect("/probe").await;
        let answer = module.probe(json!({ "transaction": [enqueue("never"), "commit"] })).await;
        assert_eq!(answer[0]["sql"], "denied", "{answer}");
        assert!(answer[0]["error"].as_str().unwrap().contains(reason), "{answer}");
    };
    denied(&without_outbox(&database), "the config needs `[databases.main.outbox]`").await;
    denied(&config(&database, "").replace("read-write", "read-only"), "may only read the database `main`").await;
    // An outbox that comes back works.
    host.reload(&config(&database, "")).await.unwrap();
    module.probe(json!({ "transaction": [enqueue("again"), "commit"] })).await;
    assert_eq!(client.text().await, "again");
}

/// A transaction may publish to topics of its own app only; a row of an app goes to that app.
async fn apps_publish_to_their_own_topics(database: TestDatabase) {
    database.create_outbox(OutboxOrder::Commits).await;
    let other = app("other", &guest("probe"));
    let host = TestHost::start(&format!("{}{other}databases.main = \"read-write\"\n", config(&database, ""))).await;
    let (mut probe, mut other) = (host.connect("/probe?topic=news").await, host.connect("/other?topic=news").await);
    let mut module = host.connect("/other").await;
    module.probe(json!({ "transaction": [enqueue("of other"), "commit"] })).await;
    assert_eq!(other.text().await, "of other");
    database.program().await.publish("news", "of probe").await;
    assert_eq!(probe.text().await, "of probe");
}

/// The same database under two names, as for an app that gets more sessions than others.
async fn apps_reach_an_outbox_by_any_name_of_its_database(database: TestDatabase) {
    database.create_outbox(OutboxOrder::Commits).await;
    let second = format!("[databases.second]\nurl = \"{}\"\noutbox = {{}}\n", database.url);
    let second = format!("{second}{}databases.second = \"read-write\"\n", app("other", &guest("probe")));
    let host = TestHost::start(&format!("{}{second}", config(&database, ""))).await;
    let (mut probe, mut other) = (host.connect("/probe?topic=news").await, host.connect("/other?topic=news").await);
    let mut program = database.program().await;
    program.publish("news", "of probe").await;
    program.run("INSERT INTO hassock_outbox (app, topic, message) VALUES ('other', 'news', 'of other')").await;
    assert_eq!(probe.text().await, "of probe");
    assert_eq!(other.text().await, "of other");
}

for_both_engines!(
    a_module_publishes_with_its_transaction,
    a_module_learns_why_it_cannot_publish,
    apps_publish_to_their_own_topics,
    apps_reach_an_outbox_by_any_name_of_its_database,
);
