//! The outbox of a database in memory: rows are published at once, without time passing, and always in the same order.

use std::time::Duration;

use hassock::testkit::{DatabaseError, TestHost};
use hassock_tests::guest;
use serde_json::{Value as Json, json};

use super::{app, ask, config, logged, ok, rows};

fn host() -> TestHost {
    let text = app("probe", &guest("probe"))
        + "databases.main = \"read-write\"\n[databases.main]\nurl = \"${NOT_SET}\"\n[databases.main.outbox]\n";
    let (_folder, file) = config(&text);
    TestHost::builder().config(file).build().unwrap()
}

fn transaction(text: &str, end: &str) -> Json {
    json!({ "transaction": [{ "enqueue": { "topic": "news", "text": text } }, end] })
}

/// What a module and a test publish in turn.
#[test]
fn what_is_committed_is_delivered_without_time_passing() {
    let host = host();
    let (client, module) = (host.connect("/probe?topic=news"), host.connect("/probe"));
    let now = host.now();
    for number in 0..3 {
        ok(&module, &transaction(&format!("module {number}"), "commit"));
        ok(&module, &transaction("never", "rollback"));
        let insert =
            format!("INSERT INTO hassock_outbox (app, topic, message) VALUES ('probe', 'news', 'test {number}')");
        host.database("main").unwrap().run(&insert).unwrap();
        client.expect_text(&format!("module {number}"));
        client.expect_text(&format!("test {number}"));
    }
    let insert = "INSERT INTO hassock_outbox (app, topic, message) VALUES ('probe', 'news', ";
    host.database("main").unwrap().execute_batch(&format!("BEGIN; {insert}'a'); {insert}'b'); COMMIT;")).unwrap();
    client.expect_text("a");
    client.expect_text("b");
    client.expect_nothing();
    assert_eq!((rows(&host, "hassock_outbox"), host.now()), (0, now));
}

/// A day passes as quickly as without an outbox: nobody polls.
#[test]
fn an_idle_outbox_costs_nothing_when_time_passes() {
    let host = host();
    let client = host.connect("/probe?topic=news");
    let began = std::time::Instant::now();
    host.advance(Duration::from_secs(24 * 3600));
    client.expect_nothing();
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// Nothing is published of a transaction that is open while time passes, nor of one that fails.
#[test]
fn a_transaction_that_waits_publishes_when_it_is_committed() {
    let host = host();
    let (client, module) = (host.connect("/probe?topic=news"), host.connect("/probe"));
    let enqueue = json!({ "enqueue": { "topic": "news", "text": "at last" } });
    module.send_json(&json!({ "transaction": [enqueue, "sleep", "commit"] }));
    client.expect_nothing();
    host.advance(Duration::from_millis(300));
    client.expect_text("at last");
    assert_eq!(ok_answer(&module), json!([{ "ok": null }, { "ok": null }, { "ok": null }]));

    host.fail_sql("main", DatabaseError::ConnectionLost("as the test wants it".to_owned())).unwrap();
    let answer = ask(&module, &transaction("never", "commit"));
    assert_eq!(answer["ok"][0]["sql"], "connection-lost", "{answer}");
    client.expect_nothing();
}

fn ok_answer(client: &hassock::testkit::Client) -> Json {
    serde_json::from_str::<Json>(&super::text(client)).unwrap()["ok"].take()
}

/// A row of an app that does not exist is in the log, once.
#[test]
fn a_row_of_nobody_is_in_the_log() {
    let host = host();
    let client = host.connect("/probe?topic=news");
    // The relay has looked for such rows when the host began.
    host.advance(Duration::from_secs(60));
    for message in ["one", "two"] {
        let values = format!("('prob', 'news', '{message}'), ('probe', 'news', '{message}')");
        let insert = format!("INSERT INTO hassock_outbox (app, topic, message) VALUES {values}");
        host.database("main").unwrap().run(&insert).unwrap();
        client.expect_text(message);
    }
    let said = logged(&host, "rows of the outbox wait for this app");
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(rows(&host, "hassock_outbox"), 2);
}

#[test]
fn it_is_the_same_every_time() {
    let play = || {
        let host = host();
        let clients = ["a", "b"].map(|topic| host.connect(format!("/probe?topic={topic}").as_str()));
        let modules = [host.connect("/probe"), host.connect("/probe")];
        let mut received = Vec::new();
        for number in 0..20 {
            for (module, topics) in modules.iter().zip([["a", "b"], ["b", "a"]]) {
                let enqueue = |topic| json!({ "enqueue": { "topic": topic, "text": format!("{number}") } });
                module.send_json(&json!({ "transaction": [enqueue(topics[0]), enqueue(topics[1]), "commit"] }));
            }
            for client in clients.iter().chain(&modules) {
                while let Some(message) = client.receive() {
                    received.push(format!("{message:?}"));
                }
            }
        }
        assert_eq!(received.len(), 20 * (2 * 2 + 2));
        received
    };
    let first = play();
    for _ in 0..5 {
        assert_eq!(play(), first);
    }
}
