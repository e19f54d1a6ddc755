//! What a module sends to the connection whose messages it handles may leave with the result of the call
//! (`packed-handler`). Clients cannot tell, except by the speed.

use std::fs;

use futures_util::SinkExt;
use hassock_tests::{Client, TestHost, app, guest};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;

/// Send messages that the host reads at once, and so passes to one call.
async fn send_together(client: &mut Client, texts: &[&str]) {
    for text in texts {
        client.socket.feed(Message::text(*text)).await.unwrap();
    }
    client.socket.flush().await.unwrap();
}

/// A host with `faults`, which may use a database.
async fn faults_host(limits: &str) -> TestHost {
    let module = app("faults", &guest("faults"));
    let database = "[databases.main]\nurl = \"sqlite::memory:\"\n";
    TestHost::start(&format!("{database}{module}databases.main = \"read-write\"\n{limits}")).await
}

async fn raw_host(module: &std::path::Path, limits: &str) -> TestHost {
    TestHost::start(&format!("{}{limits}", app("raw", module))).await
}

/// The order in which the module does things is that in which others see them.
#[tokio::test(flavor = "multi_thread")]
async fn replies_and_publications_keep_their_order() {
    let host = TestHost::probe("").await;
    let mut client = host.connect("/probe?topic=t").await;
    let id = client.probe(json!("attachment")).await["opened"].clone();
    let publish = json!({ "publish": { "topic": "t", "text": "published" } }).to_string();
    let send = json!({ "send-to": { "id": id, "text": "sent" } }).to_string();
    let many = json!({ "send-many": ["one", "two"] }).to_string();
    for _ in 0..20 {
        send_together(&mut client, &["a", &publish, "b", &send, &many, "c"]).await;
        let mut seen = Vec::new();
        for _ in 0..10 {
            seen.push(client.text().await);
        }
        let expected =
            ["a", "published", "{\"ok\":1}", "b", "sent", "{\"ok\":null}", "one", "two", "{\"ok\":null}", "c"];
        assert_eq!(seen, expected);
    }
}

/// A reply is in the outbox as soon as the module has sent it, as far as the module can tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_counts_in_the_outbox_of_its_own_call() {
    let host = TestHost::probe("[apps.probe.limits]\noutbox_bytes = \"10KiB\"\n").await;
    let mut client = host.connect("/probe").await;
    let reply = "x".repeat(1024 * 5 - 64);
    send_together(&mut client, &[&reply, "\"outbox-fullness\""]).await;
    assert_eq!(client.text().await, reply);
    assert_eq!(client.json().await, json!({ "ok": 50 }));
}

/// Messages of a batch that were handled before a failure were answered.
#[tokio::test(flavor = "multi_thread")]
async fn replies_before_a_failure_arrive() {
    let host = faults_host("").await;
    for misdeed in ["trap", "error"] {
        let mut client = host.connect("/faults").await;
        send_together(&mut client, &["a", "b", misdeed, "c"]).await;
        assert_eq!((client.text().await, client.text().await), ("a".to_owned(), "b".to_owned()));
        assert_eq!(client.closed().await.code, 1011, "{misdeed}");
    }
}

/// After a long call, the replies of the next ones leave while they run.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_module_keeps_no_replies() {
    let host = faults_host("[apps.faults.limits]\ncpu_time = \"100ms\"\n").await;
    let mut first = host.connect("/faults").await;
    first.send("spin").await;
    assert_eq!(first.closed().await.code, 1011);
    let mut second = host.connect("/faults").await;
    send_together(&mut second, &["a", "spin"]).await;
    assert_eq!(second.text().await, "a");
    assert_eq!(second.closed().await.code, 1011);
}

/// A module that exports `handler` alone, such as one in another language, is called through `receive`.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_without_the_packed_form_is_complete() {
    let mut bytes = fs::read(guest("raw")).unwrap();
    let name = b"hassock:host/packed-handler";
    let places: Vec<_> = (0..bytes.len()).filter(|place| bytes[*place..].starts_with(name)).collect();
    assert!(!places.is_empty());
    // An export with a name that the host does not look for.
    places.iter().for_each(|place| bytes[place + 13] = b'h');
    let folder = TempDir::new().unwrap();
    let module = folder.path().join("raw.wasm");
    fs::write(&module, bytes).unwrap();
    let host = raw_host(&module, "").await;
    let mut client = host.connect("/raw").await;
    send_together(&mut client, &["a", "garbage"]).await;
    assert_eq!((client.text().await, client.text().await), ("a".to_owned(), "garbage".to_owned()));
    client.socket.send(Message::binary(vec![1, 2])).await.unwrap();
    for _ in 0..2 {
        assert_eq!(client.message().await, Message::binary(vec![1, 2]));
    }
}

/// What the contract allows a module to return, and what it does not.
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_contract_ends_the_call() {
    let host = raw_host(&guest("raw"), "[apps.raw.limits]\noutbox_bytes = \"10KiB\"\nmessage_bytes = \"1KiB\"\n").await;
    let mut bystander = host.connect("/raw").await;
    for (misdeed, right) in
        [("incomplete", false), ("not UTF-8", false), ("more than the room", false), ("all of the room", true)]
    {
        let mut client = host.connect("/raw").await;
        // More calls than those that count as long after a long one: on a busy machine, any call may have been long.
        for _ in 0..65 {
            assert_eq!(client.ask("well").await, "well");
        }
        client.send(misdeed).await;
        match right {
            true => assert_eq!(client.message().await, Message::binary(vec![7; 10 * 1024 - 64])),
            false => assert_eq!(client.closed().await.code, 1011, "{misdeed}"),
        }
        assert_eq!(bystander.ask("well").await, "well", "after {misdeed}");
    }
    let mut client = host.connect("/raw").await;
    let reason = "the last of the packed messages is incomplete";
    assert_eq!(client.ask("incomplete and sent").await, reason);
    client.send("room").await;
    assert_eq!(client.text().await, "sent");
    // The message that was sent is in the outbox until the call ends.
    assert_eq!(client.text().await, format!("{} and then {}", 10 * 1024, 10 * 1024 - 68));
    let value: Value = json!(host.report("raw"));
    assert_eq!(value["versions"][0]["failures"], 3, "{value}");
}
