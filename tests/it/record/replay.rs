//! A recording is a test: it passes when it is played in-process with the same module.

use futures_util::SinkExt;
use hassock_tests::{Client, Process, Site, Speaker, example, guest, hassock, refused};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{FILE, record, recorded, site};

/// Play the recording with the config of the host.
async fn replay(site: &Site) {
    let played = hassock(site.folder(), ["test", "hassock.toml", FILE, "--no-build"]).await;
    let text = std::fs::read_to_string(site.file(FILE)).unwrap();
    assert_eq!(played.code, Some(0), "{}{}\n{text}", played.stdout, played.stderr);
    assert!(played.stdout.contains(&format!("ok {FILE}")), "{}", played.stdout);
    assert!(!text.contains("closed 1006") && text.contains("advance"), "{text}");
}

/// Rooms with a refusal, a timer of each member, and every way to leave.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_talk_with_timers_passes_inside() {
    let site = site("chat", &example("chat"), "settings = { away_after = 1 }\n");
    let host = site.serve().await;
    let process = record(&site, "chat", " --connections 3").await;
    let mut alice = host.connect("/chat?name=alice&room=r").await;
    let (status, _) = refused(&host.address, "/chat?name=alice&room=r", |_| {}).await;
    assert_eq!(status, 409);
    let mut nameless = host.connect("/chat?room=r").await;
    let joined = alice.json().await;
    assert!(joined["joined"].as_str().is_some_and(|name| name.starts_with("guest-")), "{joined}");
    for round in 0..3 {
        alice.send(json!({ "say": format!("line {round}") }).to_string()).await;
        for client in [&mut alice, &mut nameless] {
            assert_eq!(client.json().await["say"], format!("line {round}"));
        }
    }
    nameless.send("{\"who\":true}").await;
    assert!(nameless.json().await["present"].is_array());
    nameless.close().await;
    assert_eq!(alice.json().await, json!({ "left": joined["joined"] }));
    // Only one timer is left. The order of two would be random, because sessions run in parallel.
    assert_eq!(alice.json().await, json!({ "away": "alice" }));
    drop(alice);
    let mut late = host.connect("/chat?name=late&room=r").await;
    assert_eq!(late.json().await["history"].as_array().map(Vec::len), Some(3));
    late.close().await;
    recorded(process).await;
    host.stop().await;
    replay(&site).await;
}

/// Header fields, subprotocols, binary messages, closes from the module, and a timer of the app.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_session_of_everything_passes_inside() {
    let site = site("probe", &guest("probe"), "origins = [\"https://example.org\"]\n");
    let host = site.serve().await;
    let process = record(&site, "probe", " --connections 2").await;
    let change = |request: &mut Request| {
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "v2, v1".parse().unwrap());
        headers.insert("origin", "https://example.org".parse().unwrap());
        headers.insert("cookie", "secret=1".parse().unwrap());
    };
    let mut first = Client::with(&host.address, "/probe?open=header", change).await.unwrap();
    for text in ["plain", "/slashes/", "text", "hex 0", "file x", "[{\"z\":1,\"a\":\"${any}\"}]", "two\nlines", " x "] {
        assert_eq!(first.ask(text).await, text);
    }
    first.socket.send(Message::binary(vec![7, 0])).await.unwrap();
    assert_eq!(first.message().await, Message::binary(vec![7, 0]));
    let timer = json!({ "timer": { "name": "t", "after_ms": 300, "text": "rang" } });
    first.send(timer.to_string()).await;
    let mut rang = first.text().await;
    if !rang.contains("rang") {
        rang = first.text().await;
    }
    assert!(rang.contains("rang"), "{rang}");
    first.send(json!({ "close": { "code": 3000, "reason": "enough" } }).to_string()).await;
    assert_eq!(first.closed().await.code, 3000);
    let (status, _) = refused(&host.address, "/probe?open=refuse", |_| {}).await;
    assert_eq!(status, 403);
    let mut second = host.connect("/probe?open=greet").await;
    assert_eq!(second.text().await, "welcome");
    let frame = CloseFrame { code: 4001.into(), reason: "my reason".into() };
    second.socket.close(Some(frame)).await.unwrap();
    recorded(process).await;
    host.stop().await;
    replay(&site).await;
}

/// Clients of `hassock.v1`, one of which drops and comes back, and what another program publishes.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_recovery_passes_inside() {
    let topics = "[apps.probe.topics.\"kept*\"]\nhistory = 10\n";
    let site = site("probe", &guest("probe"), topics);
    let host = site.serve().await;
    // It is in the past of the recording, so the positions of the replay are others.
    site.put("message", "before");
    assert_eq!(site.run("publish probe kept-early message").await.code, Some(0));
    let process = record(&site, "probe", " --connections 3").await;
    let mut ann = Speaker::connect(&host.address, "/probe?topic=kept").await;
    assert_eq!(ann.next().await.header["type"], "subscribed");
    let mut bob = Speaker::connect(&host.address, "/probe").await;
    bob.probe(json!({ "publish": { "topic": "kept", "text": "one" } })).await;
    let position = ann.next().await.position();
    drop(ann);
    // The module would be told how many it has reached, which depends on when the host notices that a client has gone.
    for (id, text) in [("2", "two"), ("3", "three ${x}")] {
        site.put("message", text);
        assert_eq!(site.run(&format!("publish probe kept message --id {id}")).await.code, Some(0));
    }
    let mut ann = Speaker::since(&host.address, "/probe?topic=kept", json!({ "kept": position })).await;
    assert_eq!(ann.next().await.header["recovered"], true);
    assert_eq!([ann.next().await.payload, ann.next().await.payload], ["two", "three ${x}"]);
    assert_eq!(ann.subscribe("kept", json!({ "last": 1 })).await["type"], "subscribed");
    assert_eq!(ann.next().await.payload, "three ${x}");
    assert_eq!(ann.subscribe("secret", json!({})).await["code"], "refused");
    assert_eq!(ann.request("\"attachment\"").await.header["type"], "reply");
    ann.send("hello").await;
    assert_eq!(ann.next().await.payload, "hello");
    ann.probe(json!({ "timer": { "name": "t", "after_ms": 300, "text": "rang" } })).await;
    assert!(ann.next().await.payload.contains("rang"));
    ann.send(&json!({ "close": { "code": 3000, "reason": "enough" } }).to_string()).await;
    assert_eq!(ann.next().await.header["type"], "closing");
    bob.client.close().await;
    recorded(process).await;
    host.stop().await;
    let text = std::fs::read_to_string(site.file(FILE)).unwrap();
    for line in [
        "connect c1 /probe?topic=kept hassock.v1\n",
        "c1 < (subscribed kept at ${p1=string})\n",
        "publish probe (kept id 3) three $${x}\n",
        "connect c3 /probe?topic=kept hassock.v1\n  @since: kept ${p2}\n",
        "c3 < (subscribed kept at ${p2} recovered)\n",
        "c3 > (subscribe secret)\n",
        "c3 < (closing reconnect after 1s)\nc3 closed 3000 enough\n",
    ] {
        assert!(text.contains(line), "{line}is not in:\n{text}");
    }
    replay(&site).await;
}

/// The close after a trap names a version, but the transcript also passes with others.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_trap_is_expected_of_later_versions_too() {
    let site = site("faults", &guest("faults"), "");
    let host = site.serve().await;
    let process: Process = record(&site, "faults", "").await;
    let mut client = host.connect("/faults").await;
    client.send("trap").await;
    assert_eq!(client.closed().await.code, 1011);
    recorded(process).await;
    host.stop().await;
    let text = std::fs::read_to_string(site.file(FILE)).unwrap();
    assert!(text.ends_with("c1 closed 1011 /the application failed/\n"), "{text}");
    let played = hassock(site.folder(), ["test", "hassock.toml", FILE, "--no-build"]).await;
    assert_eq!(played.code, Some(0), "{}{}", played.stdout, played.stderr);
}
