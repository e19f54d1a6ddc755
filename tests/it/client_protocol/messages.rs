//! What each message of the protocol does.

use futures_util::SinkExt;
use hassock_tests::{Client, Deflating, Speaker, Spoken};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::host;

#[tokio::test(flavor = "multi_thread")]
async fn the_module_sees_payloads_and_its_own_subprotocol() {
    let host = host("").await;
    let offer = ["other.v2", "hassock.v1", "other.v1"];
    let mut speaker = Speaker::with(&host.address(), "/probe?open=describe", &offer).await.unwrap();
    assert_eq!(speaker.client.response.headers()["sec-websocket-protocol"], "hassock.v1");
    assert_eq!(speaker.connected["subprotocol"], "other.v2", "the first that is left, as the probe chooses");
    let seen: Value = serde_json::from_str(&speaker.next().await.payload).unwrap();
    assert_eq!(seen["subprotocols"], json!(["other.v2", "other.v1"]));
    assert_eq!(speaker.connected["heartbeat"], 30_000);
    let id = speaker.probe(json!("attachment")).await["opened"].clone();
    assert_eq!(speaker.connected["connection"], id);
    speaker.send("hello\nworld").await;
    assert_eq!(speaker.next().await, Spoken { header: Value::Null, payload: "hello\nworld".into() });
    speaker.client.socket.send(Message::binary(b"\n\xff\n".to_vec())).await.unwrap();
    assert_eq!(speaker.client.message().await, Message::binary(b"\n\xff\n".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_protocol_nothing_has_a_header() {
    let host = host("").await;
    let mut raw = host.connect("/probe?topic=kept").await;
    assert!(raw.response.headers().get("sec-websocket-protocol").is_none());
    let mut speaker = Speaker::connect(&host.address(), "/probe?topic=kept").await;
    assert_eq!(speaker.next().await.header["type"], "subscribed");
    let publish = json!({ "publish": { "topic": "kept", "text": "both" } });
    assert_eq!(raw.ask(publish.to_string()).await, "both");
    assert_eq!(raw.json().await, json!({ "ok": 2 }));
    assert_eq!(raw.ask("\nhello").await, "\nhello", "a line feed is part of the message");
    let spoken = speaker.next().await;
    assert_eq!((spoken.header["topic"].as_str(), spoken.payload.as_str()), (Some("kept"), "both"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_subscribes_by_itself_if_the_module_allows_it() {
    let host = host("").await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    let subscribed = speaker.subscribe("plain", json!({})).await;
    assert_eq!(subscribed["type"], "subscribed");
    assert!(subscribed.get("position").is_none(), "it has no history: {subscribed}");
    assert_eq!(speaker.subscribe("secret", json!({})).await["message"], "not this one");
    let broken = speaker.subscribe("broken", json!({})).await;
    assert_eq!((&broken["code"], &broken["message"]), (&json!("refused"), &json!("the application failed")));
    assert_eq!(speaker.subscribe("", json!({})).await["code"], "invalid-topic");
    let id = speaker.connected["connection"].clone();
    assert_eq!(speaker.probe(json!({ "subscribers": "plain" })).await, json!([id]));
    speaker.say(json!({ "type": "unsubscribe", "topic": "plain" })).await;
    assert_eq!(speaker.next().await.header, json!({ "type": "unsubscribed", "topic": "plain" }));
    assert_eq!(speaker.probe(json!({ "subscribers": "plain" })).await, json!([]));
    let topics: Vec<String> = (0..65).map(|number| format!("many-{number}")).collect();
    for topic in &topics[..64] {
        assert_eq!(speaker.subscribe(topic, json!({})).await["type"], "subscribed");
    }
    assert_eq!(speaker.subscribe(&topics[64], json!({})).await["code"], "too-many-topics");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_gets_its_answer_in_turn_with_messages() {
    let host = host("").await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    let answer = speaker.request("\"attachment\"").await;
    let opened = json!({ "opened": speaker.connected["connection"] });
    assert_eq!((&answer.header["type"], answer.payload), (&json!("reply"), opened.to_string()));
    let refused = speaker.request("what?").await.header;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("refused")));
    // All at once, so that they come in one batch.
    for message in ["\none", "{\"type\":\"request\",\"request\":77}\n\"calls\"", "\ntwo"] {
        speaker.client.socket.feed(Message::text(message)).await.unwrap();
    }
    speaker.client.socket.flush().await.unwrap();
    assert_eq!(speaker.next().await.payload, "one");
    let reply = speaker.next().await;
    assert_eq!((&reply.header["request"], reply.payload.as_str()), (&json!(77), "1"));
    assert_eq!(speaker.next().await.payload, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_later_version_is_ignored() {
    let host = host("").await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    speaker.say(json!({ "type": "dance", "with": ["you"] })).await;
    speaker.say(json!({ "type": "heartbeat", "later": 1 })).await;
    speaker.send("there").await;
    assert_eq!(speaker.next().await.payload, "there");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_have_headers_too() {
    let host = host("[apps.probe.compression]\nenabled = true\nmin_bytes = 0\n").await;
    let mut client = Deflating::speaking(&host.address(), "/probe?topic=kept").await;
    let long = "hello ".repeat(50);
    let mut raw = Client::connect(&host.address(), "/probe").await;
    raw.probe(json!({ "publish": { "topic": "kept", "text": long } })).await;
    let messages = [client.text().await, client.text().await, client.text().await];
    assert!(messages[0].contains("\"type\":\"connected\"") && messages[1].contains("\"type\":\"subscribed\""));
    let spoken = Spoken::parse(&messages[2]);
    assert_eq!((spoken.payload, spoken.header["topic"].as_str()), (long, Some("kept")));
}
