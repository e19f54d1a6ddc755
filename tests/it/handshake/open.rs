//! The module's part of the handshake: what `open` sees, and what the host does with its answer.

use hassock_tests::raw::{text, upgrade, upgrade_with};
use hassock_tests::{Client, Closed, Events, Raw, TestHost, eventually, refused};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// The contract of `request`: `open` sees path, query, header fields, offers and the client's address.
#[tokio::test(flavor = "multi_thread")]
async fn open_sees_the_request() {
    let host = TestHost::shared().await;
    let mut client = Client::with(&host.address(), "/probe?open=describe&a=%20b", |request| {
        request.headers_mut().insert("X-Test", HeaderValue::from_static("as it came"));
        request.headers_mut().append("sec-websocket-protocol", HeaderValue::from_static("v2, v1"));
        request.headers_mut().append("sec-websocket-protocol", HeaderValue::from_static("v0"));
    })
    .await
    .unwrap();
    let expected = json!({
        "path": "/probe",
        "query": "open=describe&a=%20b",
        "header": "as it came",
        "traceparent": null,
        "subprotocols": ["v2", "v1", "v0"],
        "remote": client.socket.get_ref().local_addr().unwrap().to_string(),
        "secure": false,
    });
    assert_eq!(client.json().await, expected);
    let protocol = client.response.headers().get("sec-websocket-protocol").unwrap();
    assert_eq!(protocol, "v2", "the module chose the first");
}

/// RFC 6455, section 4.2.2: without an offer there is no subprotocol; the module's header fields are in the 101.
#[tokio::test(flavor = "multi_thread")]
async fn the_101_has_what_the_module_adds_and_no_more() {
    let host = TestHost::shared().await;
    let mut raw = Raw::connect(&host.address()).await;
    raw.send(upgrade("/probe?open=header")).await;
    let answer = raw.accepted().await;
    assert_eq!(answer.header("x-room").as_deref(), Some("lobby"));
    assert_eq!(answer.header("sec-websocket-protocol"), None);
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    let mut raw = Raw::connect(&host.address()).await;
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    raw.send(upgrade_with("/probe", deflate)).await;
    assert_eq!(raw.accepted().await.header("sec-websocket-extensions"), None, "an offer that the host does not accept");
}

/// The contract of `open`: messages that it sends are the first that the client gets.
#[tokio::test(flavor = "multi_thread")]
async fn what_open_sends_comes_first() {
    let host = TestHost::shared().await;
    let mut client = host.connect("/probe?open=greet").await;
    client.send("hello").await;
    assert_eq!((client.text().await, client.text().await), ("welcome".to_owned(), "hello".to_owned()));
}

/// The contract of `refusal`: status, fields and body are the module's; there is no connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_the_modules_own() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut raw = Raw::connect(&host.address()).await;
    raw.send(upgrade("/probe?open=refuse")).await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "not you"));
    assert_eq!(answer.header("x-why").as_deref(), Some("because"));
    assert_eq!(answer.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    // A refusal with an invalid status is the module's error; there is no connection either.
    let (status, body) = refused(&host.address(), "/probe?open=strange-status", |_| {}).await;
    assert_eq!((status, body), (500, failed(&host)));
    // So is one with more fields than a response can have.
    let (status, body) = refused(&host.address(), "/probe?open=many-fields", |_| {}).await;
    assert_eq!((status, body), (500, failed(&host)));
    assert_eq!(host.host.connections(), 0);
    assert_eq!(host.drain().await, 0);
    assert_eq!((events.of("open").await.len(), events.of("closed").await.len()), (3, 0));
}

/// Invariant 2: an invalid acceptance is a 500 for the client. The module gets its one `closed`, because it assumes a
/// connection.
#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_can_not_be_is_500_and_closed_once() {
    let events = Events::new().await;
    let host = events.host("error_close_code = 4000\n").await;
    let long = "x".repeat(257);
    let strange = [
        "/probe?open=strange-header".to_owned(),
        "/probe?open=strange-subprotocol".to_owned(),
        format!("/probe?topic={long}"),
    ];
    let mut witness = host.connect("/probe?topic=witness").await;
    for (count, path) in strange.iter().enumerate() {
        let (status, body) = refused(&host.address(), path, |_| {}).await;
        let failed = failed(&host);
        assert_eq!((status, body.as_str()), (500, failed.as_str()), "{path}");
        assert_eq!(events.wait("closed", count + 1).await[count], format!("4000 Host {}", failed.trim_end()));
    }
    let subscribers = witness.probe(json!({ "subscribers": long })).await;
    assert_eq!(subscribers, json!([]));
    assert_eq!(witness.ask("unaffected").await, "unaffected");
    drop(witness);
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 4);
}

/// Invariant 2: a client that goes away while `open` runs gets one `open` and one `closed`, however it leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_during_open_is_closed_once() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut leaving = Vec::new();
    for _ in 0..6 {
        let mut raw = Raw::connect(&host.address()).await;
        raw.send(upgrade("/probe?open=slow")).await;
        leaving.push(raw);
    }
    leaving[0].send(text("early")).await;
    events.wait("open", 6).await;
    for (count, raw) in leaving.into_iter().enumerate() {
        if count % 2 == 0 { raw.reset() } else { drop(raw) }
    }
    for closed in events.wait("closed", 6).await {
        assert!(closed.starts_with("1006 Transport "), "{closed}");
    }
    eventually("the host to forget them", || async { host.host.connections() == 0 }).await;
    let mut client = host.connect("/probe").await;
    assert_eq!(client.ask("unaffected").await, "unaffected");
    drop(client);
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 7);
}

/// Invariant 1: only its own client waits for a slow `open`; each id is given once and blocks no other client.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_open_keeps_nobody_else_waiting() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut slow = Raw::connect(&host.address()).await;
    let mut other = host.connect("/probe").await;
    // `open` writes an event, so it waits until the test unlocks.
    let lock = events.lock().await;
    slow.send(upgrade("/probe?open=greet")).await;
    eventually("its open to run", || async { host.host.connections() == 2 }).await;
    for round in 0..100 {
        assert_eq!(other.ask(format!("{round}")).await, format!("{round}"));
    }
    assert_eq!(events.of("open").await.len(), 1);
    hassock_tests::unlock(lock).await;
    slow.accepted().await;
    assert_eq!(slow.text().await, "welcome");
}

/// Invariant 3: the attachment that `open` gives a connection is there for its messages, in any instance.
#[tokio::test(flavor = "multi_thread")]
async fn the_attachment_of_the_acceptance_stays() {
    let host = TestHost::probe("[apps.probe.limits]\ninstance_calls = 1\n").await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let mut client = host.connect("/probe").await;
        let attachment = client.probe(json!("attachment")).await;
        assert!(attachment["opened"].is_u64(), "{attachment}");
        assert!(!seen.contains(&attachment), "an id is never used twice");
        seen.push(attachment);
        assert_eq!(client.probe(json!({ "attach": [1, 2] })).await, Value::Null);
        assert_eq!(client.probe(json!("attachment")).await, json!([1, 2]));
        assert_eq!(client.probe(json!("calls")).await, 1, "each call has an instance of its own");
    }
}

/// A close in `open` comes after the 101 and after what was sent before it, with its code.
#[tokio::test(flavor = "multi_thread")]
async fn open_may_close_at_once() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut client = host.connect("/probe?open=close").await;
    assert_eq!(client.closed().await, Closed { code: 3001, reason: "at once".to_owned() });
    assert_eq!(events.wait("closed", 1).await, ["3001 Module at once"]);
}

/// What a client reads when the version of the probe fails.
fn failed(host: &TestHost) -> String {
    format!("the application failed (version {})\n", host.serving("probe"))
}
