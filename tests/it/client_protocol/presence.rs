//! Who is there, over real sockets.

use hassock_tests::{Speaker, TestHost, within};
use serde_json::{Value, json};

const PRESENT: &str = "[apps.probe.topics.\"here\"]\npresence = true\n";

async fn join(host: &TestHost, name: &str) -> Speaker {
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    speaker.probe(json!({ "presence": name })).await;
    speaker.subscribe("here", json!({})).await;
    speaker
}

/// Read until a change of presence is as expected.
async fn until(speaker: &mut Speaker, expected: impl Fn(&Value) -> bool) {
    // Heartbeats come for ever.
    within("the expected presence", async {
        loop {
            let header = speaker.next().await.header;
            if header["type"] == "presence" && expected(&header) {
                return;
            }
        }
    })
    .await;
}

/// Whether one of those that have joined is as expected.
fn joined(told: &Value, expected: impl Fn(&Value) -> bool) -> bool {
    told["joined"].as_array().is_some_and(|joined| joined.iter().any(expected))
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_learn_who_is_there() {
    let host = TestHost::probe(PRESENT).await;
    let mut ada = join(&host, "ada").await;
    let id = |speaker: &Speaker| speaker.connected["connection"].clone();
    let of_ada = json!({ "connection": id(&ada), "data": "\"ada\"" });
    until(&mut ada, |told| told["members"] == json!([of_ada])).await;
    let bob = join(&host, "bob").await;
    let of_bob = json!({ "connection": id(&bob), "data": "\"bob\"" });
    // Changes that come soon after each other are one message.
    until(&mut ada, |told| told["count"] == 2 && joined(told, |member| *member == of_bob)).await;
    // A client without the protocol is a member too.
    let mut raw = host.connect("/probe?topic=here").await;
    until(&mut ada, |told| told["count"] == 3 && joined(told, |member| member.get("data").is_none())).await;
    let members = raw.probe(json!({ "members": { "topic": "here", "after": id(&ada), "limit": 1 } })).await;
    assert_eq!(members, json!({ "count": 3, "members": [[id(&bob), "\"bob\""]] }));
    let left = json!([id(&bob)]);
    drop(bob);
    until(&mut ada, |told| told["count"] == 2 && told["left"] == left).await;
    let long = "x".repeat(2_000);
    let refused = raw.try_probe(json!({ "presence": long })).await;
    assert!(refused["error"].as_str().unwrap().contains("`presence_bytes` is 1024"), "{refused}");
    assert_eq!(raw.ask("nothing of it came here").await, "nothing of it came here");
}
