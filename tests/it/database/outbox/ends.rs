//! A database or a host that dies.

use hassock::database::OutboxOrder;
use hassock_tests::{Client, MariaDb, Process, TestDatabase, TestHost, eventually, for_both_engines};

use serde_json::json;

use super::{config, host, report, without_outbox};

/// A program commits, and the host is killed before it has looked: the next host publishes the message.
async fn a_host_that_is_killed_loses_nothing(database: TestDatabase) {
    database.create_outbox(OutboxOrder::Commits).await;
    let folder = tempfile::tempdir().unwrap();
    let text = format!("listen = \"127.0.0.1:0\"\n{}", config(&database, "poll = \"1h\""));
    std::fs::write(folder.path().join("hassock.toml"), text).unwrap();
    let killed = Process::hassock(folder.path(), ["serve"]);
    let address = killed.line("Starting server on ").await;
    let (mut client, mut module) =
        (Client::connect(&address, "/probe?topic=news").await, Client::connect(&address, "/probe").await);
    // The host looks for what its module commits, and then not for an hour.
    let enqueue = json!({ "enqueue": { "topic": "news", "text": "zero" } });
    module.probe(json!({ "transaction": [enqueue, "commit"] })).await;
    assert_eq!(client.text().await, "zero");
    eventually("the row to be removed", || async { database.waiting().await == 0 }).await;
    let mut program = database.program().await;
    program.publish("news", "one").await;
    program.publish("news", "two").await;
    killed.signal("KILL");
    assert_eq!(killed.ends().await.signal, Some(9));
    assert_eq!(client.closed().await.code, 1006);

    let host = TestHost::start(&without_outbox(&database)).await;
    let mut client = host.connect("/probe?topic=news").await;
    program.publish("news", "three").await;
    host.reload(&config(&database, "")).await.unwrap();
    let mut first = client.text().await;
    if first == "one" {
        first = client.text().await;
    }
    assert_eq!(first, "two");
    assert_eq!(client.text().await, "three");
}

/// A host that stops in order leaves the rest for the next one, and removes what it has published.
async fn what_is_committed_while_there_is_no_host_waits(database: TestDatabase) {
    let first = host(&database, "").await;
    let mut client = first.connect("/probe?topic=news").await;
    let mut program = database.program().await;
    program.publish("news", "before").await;
    assert_eq!(client.text().await, "before");
    first.drain().await;
    assert_eq!(database.waiting().await, 0, "what was published is removed at once");
    program.publish("news", "between").await;

    let host = TestHost::start(&without_outbox(&database)).await;
    let mut client = host.connect("/probe?topic=news").await;
    host.reload(&config(&database, "")).await.unwrap();
    assert_eq!(client.text().await, "between");
}

for_both_engines!(a_host_that_is_killed_loses_nothing, what_is_committed_while_there_is_no_host_waits);

/// The database dies and comes back: connections stay, the relay tries again now and then, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_back_is_read_again() {
    let mut server = MariaDb::start().await;
    let database = TestDatabase::at(server.database().await);
    let host = host(&database, "").await;
    let mut client = host.connect("/probe?topic=news").await;
    database.program().await.publish("news", "before").await;
    assert_eq!(client.text().await, "before");
    server.kill();
    eventually("the relay to notice", || async { !report(&host).leads }).await;
    assert_eq!(client.ask("still here").await, "still here");
    server.restart().await;
    let mut program = database.program().await;
    program.publish("news", "after").await;
    let mut text = client.text().await;
    if text == "before" {
        // It was killed before the row was removed for good.
        text = client.text().await;
    }
    assert_eq!(text, "after");
    eventually("the rows to be removed", || async { database.waiting().await == 0 }).await;
}

/// A database that is away is asked seldom.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_causes_no_busy_loop() {
    let mut server = MariaDb::start().await;
    let database = TestDatabase::at(server.database().await);
    let host = host(&database, "poll = \"10ms\"").await;
    eventually("the relay", || async { report(&host).leads }).await;
    server.kill();
    eventually("the relay to notice", || async { !report(&host).leads }).await;
    let before = report(&host).statements;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let more = report(&host).statements - before;
    assert!(more < 10, "{more} statements in a second");
}
