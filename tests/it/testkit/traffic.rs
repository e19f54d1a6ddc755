//! Many messages, large ones, and many clients.

use std::time::Duration;

use hassock::testkit::{Client, Message, TestHost};
use hassock_tests::{marked, module_file};
use serde_json::json;

use super::{ok, probe, text};

#[test]
fn many_messages_come_back_in_order() {
    let host = probe().build().unwrap();
    let client = host.connect("/");
    for number in 0..2000 {
        client.send_text(number.to_string());
    }
    let expected: Vec<_> = (0..2000).map(|number| Message::Text(number.to_string())).collect();
    assert_eq!(client.messages(), expected);
}

/// Invariant 1: messages that come during a call wait for its end, and keep their order. There are more than the buffer
/// to the host holds.
#[test]
fn messages_wait_for_a_call_that_waits() {
    let module = module_file(&marked("v1"));
    let host = TestHost::load(module.path()).unwrap();
    let (client, other) = (host.connect("/"), host.connect("/"));
    client.send_text("sleep");
    let padding = "x".repeat(1000);
    for number in 0..300 {
        client.send_text(format!("{padding} {number}"));
    }
    client.expect_nothing();
    other.send_text("well");
    other.expect_text("v1 well");
    host.advance(Duration::from_millis(300));
    client.expect_text("v1 slept");
    for number in 0..300 {
        client.expect_text(&format!("v1 {padding} {number}"));
    }
    client.expect_nothing();
}

#[test]
fn a_message_may_be_as_large_as_the_limit() {
    let host = probe().set("limits.outbox_bytes", "\"4MiB\"").build().unwrap();
    let limit = 1 << 20;
    let client = host.connect("/");
    client.send_binary(vec![7; limit]);
    client.expect_binary(&vec![7; limit]);
    client.send_text("x".repeat(limit));
    assert_eq!(text(&client).len(), limit);
    for large in [Message::Binary(vec![7; limit + 1]), Message::Text("x".repeat(3 * limit))] {
        let client = host.connect("/");
        client.send(large).unwrap();
        assert_eq!(client.closed(), (1009, "the message is too large".to_owned()));
    }
    client.send_text("others do not notice");
    client.expect_text("others do not notice");
}

#[test]
fn a_client_that_sends_too_fast_is_read_more_slowly_and_loses_nothing() {
    let host = probe().set("limits.messages_per_second", "10").build().unwrap();
    let client = host.connect("/");
    for number in 0..30 {
        client.send_text(number.to_string());
    }
    let before = client.messages().len();
    assert!((10..15).contains(&before), "{before} at once, of ten a second");
    host.advance(Duration::from_secs(10));
    let rest: Vec<_> = client.messages().iter().map(Message::to_string).collect();
    let expected: Vec<_> = (before..30).map(|number| number.to_string()).collect();
    assert_eq!(rest, expected);
}

#[test]
fn a_publish_reaches_all_at_once() {
    let host = probe().build().unwrap();
    let clients: Vec<Client> = (0..50).map(|_| host.connect("/?topic=news")).collect();
    let sender = host.connect("/");
    let publish = |kind: &str, text: &str| json!({ kind: { "topic": "news", "text": text } });
    assert_eq!(ok(&sender, &publish("publish", "first")), 50);
    assert_eq!(ok(&sender, &json!({ "subscribe": "news" })), json!(null));
    assert_eq!(ok(&sender, &publish("publish-except", "second")), 50);
    sender.expect_nothing();
    for client in &clients {
        client.expect_text("first");
        client.expect_text("second");
        client.expect_nothing();
    }
    ok(&sender, &json!({ "unsubscribe": "news" }));
    drop(clients);
    assert_eq!(ok(&sender, &publish("publish", "third")), 0);
}

/// A client of the testkit reads all the time, so over several calls it gets more than an outbox holds.
#[test]
fn more_than_an_outbox_arrives() {
    let host = probe().set("limits.outbox_bytes", "\"100KiB\"").build().unwrap();
    let (client, sender) = (host.connect("/"), host.connect("/"));
    for number in 0..20 {
        let text = format!("{number} {}", "x".repeat(60_000));
        ok(&sender, &json!({ "send-to": { "id": 1, "text": text } }));
    }
    assert_eq!(client.messages().len(), 20);
}
