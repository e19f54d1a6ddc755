//! What becomes of each kind of row.

use std::time::{Duration, Instant};

use hassock_tests::{TestDatabase, TestHost, app, eventually, for_both_engines, guest};
use tokio_tungstenite::tungstenite::Message;

use super::{config, host, report};

/// A committed row is published and removed, one that is rolled back never is.
async fn what_is_committed_is_published_and_what_is_rolled_back_never_is(database: TestDatabase) {
    let host = host(&database, "").await;
    let mut client = host.connect("/probe?topic=news").await;
    let mut program = database.program().await;
    program.publish("news", "alone").await;
    assert_eq!(client.text().await, "alone");
    for (end, message) in [("COMMIT", "committed"), ("ROLLBACK", "never"), ("COMMIT", "after that")] {
        program.run("BEGIN").await;
        program.publish("news", message).await;
        program.run(end).await;
    }
    assert_eq!(client.text().await, "committed");
    assert_eq!(client.text().await, "after that");
    eventually("the rows to be removed", || async { database.waiting().await == 0 }).await;
    let report = report(&host);
    assert_eq!((report.published, report.removed, report.leads), (3, 0, true));
}

/// Texts, bytes, and strings of any language.
async fn a_message_is_text_unless_its_row_says_binary(database: TestDatabase) {
    let host = host(&database, "").await;
    let mut client = host.connect("/probe?topic=r%C3%A4ume").await;
    let mut program = database.program().await;
    program.publish("räume", "grüße, 😀").await;
    assert_eq!(client.text().await, "grüße, 😀");
    let insert = "INSERT INTO hassock_outbox (app, topic, message, format) VALUES";
    program.run(&format!("{insert} ('probe', 'räume', x'00ff', 'binary')")).await;
    assert_eq!(client.message().await, Message::binary(vec![0, 0xff]));
    program.run(&format!("{insert} ('probe', 'räume', '', 'text')")).await;
    assert_eq!(client.text().await, "");
}

/// The id of a message is that of its row and its time, so a host that publishes a row again does not send it twice. A row with the same
/// id and another time, as after `TRUNCATE`, is another message.
async fn a_row_that_is_there_again_is_not_sent_again(database: TestDatabase) {
    let host = host(&database, "").await;
    let mut client = host.connect("/probe?topic=news").await;
    let mut program = database.program().await;
    for (time, message) in [("00", "first"), ("00", "never"), ("01", "second"), ("02", "third")] {
        let values = format!("(7, 'probe', 'news', '{message}', '2026-01-01 00:00:{time}')");
        program.run(&format!("INSERT INTO hassock_outbox (id, app, topic, message, created_at) VALUES {values}")).await;
        eventually("the row to be removed", || async { database.waiting().await == 0 }).await;
    }
    for message in ["first", "second", "third"] {
        assert_eq!(client.text().await, message);
    }
}

/// A row that can never be published does not stop those behind it.
async fn a_row_that_cannot_be_published_is_removed(database: TestDatabase) {
    let host = host(&database, "").await;
    let mut client = host.connect("/probe?topic=news").await;
    let mut program = database.program().await;
    let large = "x".repeat((1 << 20) + 1);
    program.run("BEGIN").await;
    program.publish("news", &large).await;
    program.run("INSERT INTO hassock_outbox (app, topic, message) VALUES ('probe', 'news', x'ff')").await;
    program.publish("news", &large[..1 << 20]).await;
    program.publish("news", "last").await;
    program.run("COMMIT").await;
    assert_eq!(client.text().await.len(), 1 << 20);
    assert_eq!(client.text().await, "last");
    eventually("the rows to be removed", || async { database.waiting().await == 0 }).await;
    let report = report(&host);
    assert_eq!((report.published, report.removed), (2, 2));
}

/// The table itself refuses what is wrong, when the program inserts it.
async fn a_program_learns_at_once_that_a_row_is_wrong(database: TestDatabase) {
    let _host = host(&database, "").await;
    let mut program = database.program().await;
    let long = "x".repeat(257);
    for values in [
        "('probe', '', 'x', 'text')".to_owned(),
        format!("('probe', '{long}', 'x', 'text')"),
        "('probe', 'news', 'x', 'json')".to_owned(),
        "('probe', 'news', NULL, 'text')".to_owned(),
        "(NULL, 'news', 'x', 'text')".to_owned(),
    ] {
        let insert = format!("INSERT INTO hassock_outbox (app, topic, message, format) VALUES {values}");
        assert!(program.try_run(&insert).await.is_err(), "{values}");
    }
    assert_eq!(database.waiting().await, 0);
}

/// MySQL finds a name with spaces behind it where one without is looked for.
async fn rows_whose_app_is_almost_the_name_of_one_stop_nobody(database: TestDatabase) {
    let host = host(&database, "batch = 2").await;
    let mut client = host.connect("/probe?topic=news").await;
    let mut program = database.program().await;
    let values = ["('probe ', 'news', 'x')"; 5].join(", ");
    program.run(&format!("INSERT INTO hassock_outbox (app, topic, message) VALUES {values}")).await;
    program.publish("news", "last").await;
    assert_eq!(client.text().await, "last");
}

/// Rows of apps without a grant wait for one, and stop nobody.
async fn rows_of_other_apps_wait_for_a_grant(database: TestDatabase) {
    let more = app("other", &guest("probe"));
    let first = host(&database, "batch = 2").await;
    first.drain().await;
    let mut program = database.program().await;
    for number in 0..5 {
        let values = format!("('other', 'news', '{number}'), ('nobody', 'news', '{number}')");
        program.run(&format!("INSERT INTO hassock_outbox (app, topic, message) VALUES {values}")).await;
    }
    let read_only = format!("{}{more}databases.main = \"read-only\"\n", config(&database, "batch = 2"));
    let host = TestHost::start(&read_only).await;
    let mut client = host.connect("/probe?topic=news").await;
    program.publish("news", "hello").await;
    assert_eq!(client.text().await, "hello");
    eventually("the other rows to be found", || async { report(&host).strangers == 10 }).await;

    let mut other = host.connect("/other?topic=news").await;
    host.reload(&read_only.replace("read-only", "read-write")).await.unwrap();
    for number in 0..5 {
        assert_eq!(other.text().await, number.to_string());
    }
    eventually("the rest to be counted", || async { report(&host).strangers == 5 }).await;
    assert_eq!(database.number("SELECT COUNT(*) FROM hassock_outbox WHERE app = 'nobody'").await, 5);
}

/// Batches smaller than what waits, and messages that do not fit into one result.
async fn many_rows_come_in_order(database: TestDatabase) {
    let host = host(&database, "batch = 7").await;
    let mut client = host.connect("/probe?topic=news").await;
    let mut program = database.program().await;
    program.run("BEGIN").await;
    for number in 0..100 {
        program.publish("news", &format!("{number}")).await;
    }
    program.run("COMMIT").await;
    for number in 0..100 {
        assert_eq!(client.text().await, number.to_string());
    }
    let wide = "w".repeat(1 << 20);
    program.run("BEGIN").await;
    for number in 0..20 {
        program.publish("news", &format!("{number}{}", &wide[3..])).await;
    }
    program.run("COMMIT").await;
    for number in 0..20 {
        assert!(client.text().await.starts_with(&format!("{number}w")));
    }
}

/// How long it takes from the commit to the client; and what an idle relay asks of the database.
async fn a_message_arrives_soon_and_an_idle_outbox_costs_little(database: TestDatabase) {
    let host = host(&database, "").await;
    let mut client = host.connect("/probe?topic=news").await;
    let mut program = database.program().await;
    let mut times: Vec<Duration> = Vec::new();
    for number in 0..50_u64 {
        // At different times of the relay's wait.
        tokio::time::sleep(Duration::from_millis(number * 7 % 50)).await;
        let begun = Instant::now();
        program.publish("news", "now").await;
        client.text().await;
        times.push(begun.elapsed());
    }
    times.sort();
    println!("latency from INSERT to client: p50 {:?}, p98 {:?}", times[25], times[48]);
    eventually("the rows to be removed", || async { database.waiting().await == 0 }).await;
    let (before, begun) = (report(&host).statements, Instant::now());
    eventually("many looks", || async { report(&host).statements >= before + 40 }).await;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = (report(&host).statements - before) as f64 / seconds;
    println!("an idle outbox runs {rate:.1} statements a second");
    assert!(rate < 25.0, "a look takes at least the time of `poll`: {rate}");
}

for_both_engines!(
    what_is_committed_is_published_and_what_is_rolled_back_never_is,
    a_message_is_text_unless_its_row_says_binary,
    a_row_that_is_there_again_is_not_sent_again,
    a_row_that_cannot_be_published_is_removed,
    a_program_learns_at_once_that_a_row_is_wrong,
    rows_whose_app_is_almost_the_name_of_one_stop_nobody,
    rows_of_other_apps_wait_for_a_grant,
    many_rows_come_in_order,
    a_message_arrives_soon_and_an_idle_outbox_costs_little,
);
