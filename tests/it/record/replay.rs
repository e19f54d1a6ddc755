//! A recording is a test: it passes when it is played in-process with the same module.

use futures_util::SinkExt;
use hassock_tests::{Client, Process, Site, example, guest, hassock, refused};
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
