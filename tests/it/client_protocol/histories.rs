//! What clients get of the time in which they were away.

use hassock_tests::{Client, Speaker, TestHost};
use serde_json::{Value, json};

use super::host;

async fn publish(client: &mut Client, topic: &str, text: &str) -> Value {
    client.probe(json!({ "publish-with": { "topic": topic, "text": text } })).await
}

/// The next `count` payloads of a topic.
async fn payloads(speaker: &mut Speaker, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        let spoken = speaker.next().await;
        if spoken.header["type"].is_null() {
            all.push(spoken.payload);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_gets_what_it_has_missed() {
    let host = host("").await;
    let mut publisher = host.connect("/probe").await;
    let mut speaker = Speaker::connect(&host.address(), "/probe?topic=kept").await;
    let joined = speaker.next().await.header;
    assert_eq!((&joined["was_recovering"], &joined["recovered"]), (&json!(false), &json!(false)));
    publish(&mut publisher, "kept", "one").await;
    let position = speaker.next().await.position();
    drop(speaker);
    let published = publish(&mut publisher, "kept", "two").await;
    publish(&mut publisher, "kept", "three").await;
    let mut speaker = Speaker::since(&host.address(), "/probe?topic=kept", json!({ "kept": position })).await;
    let joined = speaker.next().await.header;
    assert_eq!((&joined["was_recovering"], &joined["recovered"]), (&json!(true), &json!(true)));
    assert_eq!(joined["position"], json!(position));
    let two = speaker.next().await;
    assert_eq!((&two.header["position"], two.payload.as_str()), (&published["position"], "two"));
    assert_eq!(speaker.next().await.payload, "three");
    // The same by a message of its own, from further back.
    let again = speaker.subscribe("kept", json!({ "since": position })).await;
    assert_eq!(again["recovered"], true);
    assert_eq!(payloads(&mut speaker, 2).await, ["two", "three"]);
    assert_eq!(speaker.subscribe("kept", json!({ "last": 1 })).await["was_recovering"], false);
    assert_eq!(payloads(&mut speaker, 1).await, ["three"]);
}

/// Invariant 10.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_too_small_is_told() {
    let more = "[apps.probe.topics.\"kept-short*\"]\nhistory = 100\nkeep = \"100ms\"\n\
                [apps.probe.topics.\"kept-small*\"]\nhistory = 100\nhistory_bytes = 200\n";
    let host = host(more).await;
    let mut publisher = host.connect("/probe").await;
    for (topic, gap) in [("kept", "count"), ("kept-short", "age"), ("kept-small", "bytes"), ("other", "none")] {
        let first = publish(&mut publisher, topic, "first").await["position"].clone();
        for number in 0..12 {
            publish(&mut publisher, topic, &number.to_string()).await;
        }
        let since = if first.is_null() { json!("1-1") } else { first };
        let look = json!({ "history": { "topic": topic, "since": since, "limit": 1 } });
        while gap == "age" && publisher.probe(look.clone()).await["missing"] != "age" {}
        let path = format!("/probe?topic={topic}");
        let mut speaker = Speaker::since(&host.address(), &path, json!({ topic: since })).await;
        let joined = speaker.next().await.header;
        let told = (&joined["was_recovering"], &joined["recovered"], &joined["gap"]);
        assert_eq!(told, (&json!(true), &json!(false), &json!(gap)), "{topic}");
        if gap == "count" {
            assert_eq!(payloads(&mut speaker, 10).await.first().unwrap(), "2", "what is kept comes anyway");
        }
    }
    let metrics = host.host.control().app_figures();
    let history = &metrics.iter().find(|figures| figures.app == "probe").unwrap().history;
    assert!(history.gaps.iter().all(|(reason, count)| *count == u64::from(*reason != "restart")), "{history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_does_not_outlive_the_host_and_that_is_told() {
    let host = host("").await;
    let mut publisher = host.connect("/probe").await;
    let position = publish(&mut publisher, "kept", "one").await["position"].clone();
    host.drain().await;
    let host: TestHost = super::host("").await;
    let mut publisher = host.connect("/probe").await;
    publish(&mut publisher, "kept", "new").await;
    let mut speaker = Speaker::since(&host.address(), "/probe?topic=kept", json!({ "kept": position })).await;
    let joined = speaker.next().await.header;
    assert_eq!((&joined["recovered"], &joined["gap"]), (&json!(false), &json!("restart")));
    assert_eq!(speaker.next().await.payload, "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_reads_publishes_and_subscribes_with_positions() {
    let host = host("").await;
    let mut one = host.connect("/probe").await;
    let none = one.try_probe(json!({ "history": { "topic": "other", "limit": 1 } })).await;
    assert_eq!(none["error"], "the topic has no history");
    let mut positions = Vec::new();
    for number in 0..3 {
        positions.push(publish(&mut one, "kept-module", &number.to_string()).await["position"].clone());
    }
    let page = one.probe(json!({ "history": { "topic": "kept-module", "limit": 2 } })).await;
    assert_eq!(page["messages"], json!([[positions[1], "1", null], [positions[2], "2", null]]));
    assert_eq!((&page["latest"], &page["missing"]), (&positions[2], &Value::Null));
    let page = one.probe(json!({ "history": { "topic": "kept-module", "since": positions[0], "limit": 1 } })).await;
    assert_eq!(page["messages"], json!([[positions[1], "1", null]]));
    // A client without the protocol gets plain messages.
    let mut raw = host.connect("/probe").await;
    raw.send(json!({ "subscribe-from": { "topic": "kept-module", "last": 2 } }).to_string()).await;
    assert_eq!([raw.text().await, raw.text().await], ["1", "2"]);
    assert_eq!(raw.json().await["ok"], json!({ "position": positions[0], "missing": null }));
    // What is skipped is delivered and not kept.
    let skipped = json!({ "publish-with": { "topic": "kept-module", "text": "typing", "skip_history": true } });
    assert_eq!(one.probe(skipped).await, json!({ "reached": 1, "position": null, "duplicate": false }));
    assert_eq!(raw.text().await, "typing");
    let page = one.probe(json!({ "history": { "topic": "kept-module", "limit": 9 } })).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_an_id_is_published_once() {
    let host = host("").await;
    let mut one = host.connect("/probe").await;
    let mut speaker = Speaker::connect(&host.address(), "/probe?topic=kept-once").await;
    speaker.next().await;
    let command = json!({ "publish-with": { "topic": "kept-once", "text": "paid", "id": "order-7" } });
    let first = one.probe(command.clone()).await;
    let second = one.probe(command).await;
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!((&first["position"], &first["reached"]), (&second["position"], &second["reached"]));
    publish(&mut one, "kept-once", "next").await;
    let spoken = [speaker.next().await, speaker.next().await];
    assert_eq!(spoken[0].header["id"], "order-7");
    assert_eq!([spoken[0].payload.as_str(), spoken[1].payload.as_str()], ["paid", "next"]);
    let long = "x".repeat(129);
    let refused = one.try_probe(json!({ "publish-with": { "topic": "a", "text": "b", "id": long } })).await;
    assert!(refused["error"].as_str().unwrap().contains("an id at most 128"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_does_not_get_its_own_message_after_an_interruption() {
    let host = host("").await;
    let mut speaker = Speaker::connect(&host.address(), "/probe?topic=kept-own").await;
    speaker.next().await;
    let own = speaker.connected["connection"].clone();
    speaker.send(&json!({ "publish-with": { "topic": "kept-own", "text": "mine", "except": own } }).to_string()).await;
    let told = speaker.next().await;
    assert_eq!(told.header["type"], "position");
    let since = json!({ "kept-own": told.position() });
    drop(speaker);
    let mut speaker = Speaker::since(&host.address(), "/probe?topic=kept-own", since).await;
    assert_eq!(speaker.next().await.header["recovered"], true);
    speaker.send("nothing came before this").await;
    assert_eq!(speaker.next().await.payload, "nothing came before this");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_outbox_holds_comes_little_by_little() {
    let more = "[apps.probe.limits]\noutbox_bytes = \"64KiB\"\n\
                [apps.probe.topics.\"kept-large\"]\nhistory = 100\nhistory_bytes = \"8MiB\"\n";
    let host = host(more).await;
    let mut publisher = host.connect("/probe").await;
    let long = "x".repeat(30_000);
    for number in 0..100 {
        publish(&mut publisher, "kept-large", &format!("{number} {long}")).await;
    }
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    speaker.subscribe("kept-large", json!({ "last": 100 })).await;
    for number in 0..100 {
        assert!(speaker.next().await.payload.starts_with(&format!("{number} ")), "{number}");
    }
    publish(&mut publisher, "kept-large", "live").await;
    assert_eq!(speaker.next().await.payload, "live");
}
