//! Hosts that serve the same app together, with a real server of NATS.

mod outages;
mod start;
mod topics;

use hassock_tests::{Nats, Speaker, Spoken, TestHost};
use serde_json::{Value, json};

/// A host of the cluster: topics that begin with `kept` keep ten messages, those that begin with `long` a thousand.
async fn host(nats: &Nats) -> TestHost {
    host_at(&nats.address(), "").await
}

/// A host that reaches NATS at an address, with more keys of `[cluster]`.
async fn host_at(address: &str, more: &str) -> TestHost {
    TestHost::probe(&config(address, more)).await
}

fn config(address: &str, more: &str) -> String {
    let table = hassock_tests::nats::table(address);
    format!(
        "[apps.probe.topics.\"kept*\"]\nhistory = 10\nkeep = \"60s\"\n\
         [apps.probe.topics.\"long*\"]\nhistory = 1000\nkeep = \"60s\"\n{table}{more}"
    )
}

/// A client that is subscribed to a topic, and the header that says so.
async fn subscribed(host: &TestHost, topic: &str) -> (Speaker, Value) {
    let mut speaker = Speaker::connect(&host.address(), &format!("/probe?topic={topic}")).await;
    let header = speaker.next().await.header;
    assert_eq!(header["type"], "subscribed");
    (speaker, header)
}

/// Have the module of a host publish.
async fn publish(host: &TestHost, topic: &str, text: &str) {
    let mut client = host.connect("/probe").await;
    let done = client.ask(json!({ "publish": { "topic": topic, "text": text } }).to_string()).await;
    assert!(done.contains("ok"), "{done}");
}

/// The payloads of the next messages of a topic.
async fn payloads(speaker: &mut Speaker, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        let Spoken { header, payload } = speaker.next().await;
        assert!(header.get("type").is_none(), "{header}");
        all.push(payload);
    }
    all
}
