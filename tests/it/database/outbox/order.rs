//! The order of commits, which is not that of ids: MariaDB gives them when rows are inserted. SQLite has one writer.

use hassock::database::OutboxOrder;
use hassock_tests::{Program, TestDatabase, TestHost, eventually, publication};
use tokio::task::JoinSet;

use super::{config, host, without_outbox};

/// Writers whose transactions overlap, and what they commit.
const WRITERS: usize = 8;
const TRANSACTIONS: usize = 40;
const TOPICS: usize = 3;

/// Wait until a transaction waits for a lock.
async fn somebody_waits(database: &TestDatabase) {
    let query = "SELECT COUNT(*) FROM information_schema.innodb_trx AS trx, information_schema.processlist AS process \
                 WHERE trx_state = 'LOCK WAIT' AND process.id = trx_mysql_thread_id AND db = DATABASE()";
    eventually("a statement that waits", || async { database.number(query).await == 1 }).await;
}

/// A row gets its id before another transaction commits, and is committed after that: two transactions, and one statement
/// that inserts rows of two topics, whose ids MariaDB gives at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_began_first_and_committed_last_comes_last() {
    let database = TestDatabase::mariadb().await;
    database.create_outbox(OutboxOrder::Commits).await;
    let (mut first, mut second) = (database.program().await, database.program().await);
    first.run("BEGIN").await;
    first.publish("b", "first").await;
    second.run("BEGIN").await;
    let both = tokio::spawn(async move {
        let values = "('probe', 'a', 'alone'), ('probe', 'b', 'last')";
        second.run(&format!("INSERT INTO hassock_outbox (app, topic, message) VALUES {values}")).await;
        second.run("COMMIT").await;
    });
    somebody_waits(&database).await;
    first.publish("b", "second").await;
    first.run("COMMIT").await;
    both.await.unwrap();
    let by_id = database.texts("SELECT CAST(message AS CHAR) FROM hassock_outbox WHERE topic = 'b' ORDER BY id").await;
    assert_eq!(by_id, ["first", "last", "second"], "ids are not in the order of the commits");

    // It subscribes before there is a relay.
    let host = TestHost::start(&without_outbox(&database)).await;
    let (mut a, mut b) = (host.connect("/probe?topic=a").await, host.connect("/probe?topic=b").await);
    host.reload(&config(&database, "")).await.unwrap();
    assert_eq!(a.text().await, "alone");
    for expected in ["first", "second", "last"] {
        assert_eq!(b.text().await, expected);
    }
}

/// Without the trigger they do not wait, and a message that is committed first comes first if it is read first.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_trigger_nobody_waits() {
    let database = TestDatabase::mariadb().await;
    database.create_outbox(OutboxOrder::Loose).await;
    let host = TestHost::start(&config(&database, "")).await;
    let mut client = host.connect("/probe?topic=news").await;
    let (mut slow, mut quick) = (database.program().await, database.program().await);
    slow.run("BEGIN").await;
    slow.publish("news", "slow").await;
    quick.publish("news", "quick").await;
    assert_eq!(client.text().await, "quick");
    slow.run("COMMIT").await;
    assert_eq!(client.text().await, "slow");
}

/// One transaction of a writer: it notes the order of commits in a table whose row it locks until its end.
async fn transact(program: &mut Program, writer: usize, number: usize) -> Result<(), sqlx::Error> {
    let topic = (writer * 7 + number) % TOPICS;
    program.try_run("BEGIN").await?;
    program.try_run(&publication(&format!("t{topic}"), &format!("{writer}-{number}"))).await?;
    program.try_run(&format!("UPDATE commits SET n = n + 1 WHERE topic = {topic}")).await?;
    let note = format!("INSERT INTO note SELECT {topic}, n, '{writer}-{number}' FROM commits WHERE topic = {topic}");
    program.try_run(&note).await?;
    program.try_run(if (writer + number / TOPICS).is_multiple_of(3) { "ROLLBACK" } else { "COMMIT" }).await
}

/// Overlapping transactions of many programs on few topics: each topic has exactly what was committed, in that order.
#[tokio::test(flavor = "multi_thread")]
async fn overlapping_transactions_come_in_the_order_of_their_commits() {
    let database = TestDatabase::mariadb().await;
    let host = host(&database, "poll = \"10ms\"").await;
    let mut setup = database.program().await;
    setup.run("CREATE TABLE commits (topic INT PRIMARY KEY, n INT NOT NULL)").await;
    setup.run("CREATE TABLE note (topic INT, n INT, message VARCHAR(20))").await;
    setup.run("INSERT INTO commits VALUES (0, 0), (1, 0), (2, 0)").await;
    let mut clients = Vec::new();
    for topic in 0..TOPICS {
        clients.push(host.connect(&format!("/probe?topic=t{topic}")).await);
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mut program = database.program().await;
        writers.spawn(async move {
            for number in 0..TRANSACTIONS {
                transact(&mut program, writer, number).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    for (topic, client) in clients.iter_mut().enumerate() {
        let committed = database.texts(&format!("SELECT message FROM note WHERE topic = {topic} ORDER BY n")).await;
        assert!(committed.len() > WRITERS, "{committed:?}");
        for message in committed {
            assert_eq!(client.text().await, message, "topic {topic}");
        }
    }
    eventually("the rows to be removed", || async { database.waiting().await == 0 }).await;
    let mut program = database.program().await;
    for (topic, client) in clients.iter_mut().enumerate() {
        program.publish(&format!("t{topic}"), "end").await;
        assert_eq!(client.text().await, "end", "nothing that was rolled back came");
    }
}
