//! How connections of the protocol end, and how a dead one is noticed.

use hassock_tests::speaker::state;
use hassock_tests::{Client, Closed, Speaker, eventually, within};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use super::host;

/// What the host says before it closes, and the end.
async fn farewell(speaker: &mut Speaker) -> (Value, Closed) {
    let mut last = Value::Null;
    loop {
        match speaker.try_next().await {
            Ok(spoken) => last = spoken.header,
            Err(closed) => return (last, closed),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_whether_it_should_come_back() {
    let host = host("").await;
    for (code, reconnect, after) in
        [(1000, false, 0), (1012, true, 0), (1013, true, 5_000), (4401, false, 0), (4500, true, 1_000)]
    {
        let mut speaker = Speaker::connect(&host.address(), "/probe").await;
        speaker.send(&json!({ "close": { "code": code, "reason": "told to" } }).to_string()).await;
        let (told, closed) = farewell(&mut speaker).await;
        assert_eq!(told, json!({ "type": "closing", "reconnect": reconnect, "after": after }));
        assert_eq!(closed, Closed { code, reason: "told to".into() });
    }
    let mut trapped = Speaker::connect(&host.address(), "/probe").await;
    trapped.say(json!({ "type": "subscribe", "request": 1, "topic": "trap" })).await;
    let (told, closed) = farewell(&mut trapped).await;
    assert_eq!((&told["reconnect"], closed.code), (&json!(true), 1011));
    let mut drained = Speaker::connect(&host.address(), "/probe").await;
    let draining = tokio::spawn(host.drain());
    let (told, closed) = farewell(&mut drained).await;
    assert_eq!((&told["reconnect"], closed.code), (&json!(true), 1001));
    draining.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_the_protocol_is_1002_and_says_why() {
    let host = host("").await;
    for (message, reason) in [
        ("hello", "hassock.v1: a message begins with a header and a line feed"),
        ("hello\n", "hassock.v1: the header is not understood"),
        ("{\"type\":\"subscribe\"}\n", "hassock.v1: the header is not understood"),
        (
            &format!("{{\"type\":\"unsubscribe\",\"topic\":\"{}\"}}\n", "x".repeat(17_000)),
            "hassock.v1: the header is too long",
        ),
    ] {
        let mut speaker = Speaker::connect(&host.address(), "/probe").await;
        speaker.send("first").await;
        speaker.client.send(message).await;
        assert_eq!(speaker.next().await.payload, "first", "what came before is handled");
        let (told, closed) = farewell(&mut speaker).await;
        assert_eq!(told["reconnect"], false);
        assert_eq!(closed, Closed { code: 1002, reason: reason.into() });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_read_is_a_400() {
    let host = host("").await;
    for state in [state("{"), state("{\"since\":{\"a\":\"b\"}}"), "hassock.v1.!".to_owned()] {
        match Speaker::with(&host.address(), "/probe", &["hassock.v1", &state]).await.err() {
            Some(Error::Http(answer)) => {
                assert_eq!(answer.status(), 400);
                let body = String::from_utf8(answer.into_body().unwrap()).unwrap();
                assert!(body.contains("base64url of JSON"), "{body}");
            }
            other => panic!("{other:?}"),
        }
    }
    // Without the protocol it is a subprotocol like any other.
    let address = host.address();
    let client = Client::with(&address, "/probe", |request| {
        request.headers_mut().insert("sec-websocket-protocol", "hassock.v1.x".parse().unwrap());
    });
    assert_eq!(client.await.unwrap().response.headers()["sec-websocket-protocol"], "hassock.v1.x");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_says_that_it_is_there_and_misses_a_silent_client() {
    let host = host("[apps.probe.limits]\nkeepalive = \"1s\"\n").await;
    let mut answering = Speaker::connect(&host.address(), "/probe").await;
    let mut silent = Speaker::connect(&host.address(), "/probe").await;
    assert_eq!(answering.connected["heartbeat"], 1_000);
    let answering = tokio::spawn(async move {
        // It answers heartbeats meanwhile.
        let _ = answering.try_next().await;
    });
    let mut heartbeats = 0;
    while let Ok(message) = within("a heartbeat or the end", silent.client.try_text()).await {
        assert_eq!(message, "{\"type\":\"heartbeat\"}\n");
        heartbeats += 1;
    }
    assert_eq!(heartbeats, 1, "the second one would have come after the answer to the first");
    assert!(!answering.is_finished());
    eventually("the host to forget the other one", async || host.host.connections() == 1).await;
    answering.abort();
}
