//! What a client gets again, and what it sends again.

use hassock::deploy::Rollout;
use hassock_tests::{Events, Proxy, Speaker, eventually, guest, note, unlock, within};
use serde_json::json;

use super::{away, config, host, lose, say};

/// The kernel has taken what the host has written, and the network has lost it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_and_has_not_arrived_comes_again() {
    let events = Events::new().await;
    let host = host(&events).await;
    let proxy = Proxy::start(&host.address()).await;
    let mut speaker = Speaker::connect(&proxy.address, "/probe").await;
    let many: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    speaker.send(&json!({ "send-many": many[..50] }).to_string()).await;
    for expected in &many[..30] {
        assert_eq!(speaker.next().await.payload, *expected);
    }
    proxy.hold();
    let mut other = host.connect("/probe").await;
    for text in &many[50..] {
        say(&mut other, &speaker.connected["connection"], text).await;
    }
    proxy.cut();
    eventually("the host to miss the client", async || away(&host) == 1).await;
    proxy.release();
    let mut again = speaker.known().again(&proxy.address, "/probe").await;
    assert_eq!(again.connected["resumed"], true);
    for expected in many[30..50].iter().chain([&"{\"ok\":null}".to_owned()]).chain(&many[50..]) {
        assert_eq!(again.next().await.payload, *expected);
    }
}

/// A client knows which of its messages were handled, whatever it has heard before its network failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_learns_what_was_handled() {
    let events = Events::new().await;
    let host = host(&events).await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    assert_eq!(speaker.heartbeat().await["received"], 0);
    speaker.send("a").await;
    speaker.say(json!({ "type": "unknown" })).await;
    assert_eq!(speaker.next().await.payload, "a");
    assert_eq!(speaker.heartbeat().await["received"], 2, "heartbeats do not count");
    // A request during which the client is lost, and a message behind it.
    let lock = events.lock().await;
    let request = format!("{{\"type\":\"request\",\"request\":9}}\n{}", note("noted"));
    speaker.client.send(request).await;
    speaker.send("b").await;
    let known = speaker.known();
    drop(speaker);
    unlock(lock).await;
    eventually("the host to miss the client", async || away(&host) == 1).await;
    let mut again = known.again(&host.address(), "/probe").await;
    assert_eq!(again.connected["received"], 4);
    let reply = again.next().await;
    assert_eq!((&reply.header["type"], &reply.header["request"]), (&json!("reply"), &json!(9)));
    assert_eq!(again.next().await.payload, "b");
    assert_eq!(events.of("note").await, ["noted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_fire_and_versions_change_while_a_client_is_away() {
    let events = Events::new().await;
    let host = host(&events).await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    speaker.probe(json!({ "timer": { "name": "soon", "after_ms": 10, "text": "ring" } })).await;
    let known = lose(&host, speaker).await;
    events.wait("timer", 1).await;
    let before = host.serving("probe");
    // The same module with a custom section is another version.
    let mut module = std::fs::read(guest("probe")).unwrap();
    module.extend([0, 5, 4, b'm', b'a', b'r', b'k']);
    let after = host.host.control().deploy("probe", module, Rollout::Full).await.unwrap().version;
    assert_ne!(before, after);
    let is_left = async || {
        let report = host.report("probe");
        report.versions.iter().all(|version| version.version == after || version.connections == 0)
    };
    eventually("the connection to move without its client", is_left).await;
    let mut again = known.again(&host.address(), "/probe").await;
    assert_eq!(again.next().await.payload, json!({ "fired": "soon", "text": "ring" }).to_string());
    again.probe(json!("attachment")).await;
}

/// What a topic keeps does not fill the outbox of a client that is away: the client gets it, or hears of a gap.
#[tokio::test(flavor = "multi_thread")]
async fn histories_wait_for_a_client() {
    let events = Events::new().await;
    let host = events.host(&config("60s", "outbox_bytes = \"8KiB\"\n")).await;
    let mut other = host.connect("/probe").await;
    let text = "x".repeat(1_000);
    let mut publish = async |count: usize, text: &str| {
        for _ in 0..count {
            other.probe(json!({ "publish": { "topic": "kept", "text": text } })).await;
        }
    };
    let mut speaker = Speaker::connect(&host.address(), "/probe?topic=kept").await;
    assert_eq!(speaker.next().await.header["type"], "subscribed");
    assert_eq!(speaker.next().await.header["type"], "presence");
    let known = lose(&host, speaker).await;
    publish(10, &text).await;
    let mut again = known.again(&host.address(), "/probe").await;
    assert_eq!(again.connected["resumed"], true);
    let mut messages = 0;
    while messages < 10 {
        let spoken = again.next().await;
        if spoken.header["type"] != "presence" {
            assert_eq!((spoken.payload.as_str(), &spoken.header["topic"]), (text.as_str(), &json!("kept")));
            messages += 1;
        }
    }
    let known = lose(&host, again).await;
    publish(40, &text).await;
    publish(1, "the last").await;
    let mut last = known.again(&host.address(), "/probe").await;
    assert_eq!(last.connected["resumed"], true);
    let mut came = Vec::new();
    loop {
        let spoken = last.next().await;
        match spoken.header["type"].as_str() {
            Some("presence") => {}
            Some("gap") => came.push(spoken.header["gap"].as_str().unwrap().to_owned()),
            _ if spoken.payload == "the last" => break,
            _ => came.push("message".to_owned()),
        }
    }
    assert_eq!(came.iter().filter(|what| *what == "count").count(), 1, "{came:?}");
    assert!(came.iter().filter(|what| *what == "message").count() >= 9, "{came:?}");
}

/// The host asks a client what it has, and waits for the answer before there is too much.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_does_not_exceed_what_is_kept() {
    let events = Events::new().await;
    let host = events.host(&config("60s", "outbox_bytes = \"16KiB\"\n")).await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    for round in 0..100 {
        let text = format!("{round} {}", "x".repeat(1_000));
        speaker.send(&text).await;
        assert_eq!(speaker.next().await.payload, text);
    }
    let mut again = lose(&host, speaker).await.again(&host.address(), "/probe").await;
    assert_eq!(again.connected["resumed"], true, "it has confirmed what it has, because it was asked");

    // As much as is kept, of which nothing is confirmed, and one more, which is as large as an outbox.
    for number in 0..15 {
        again.send(&format!("{number} {}", "y".repeat(1_020))).await;
        while !within("an echo", again.client.text()).await.starts_with('\n') {}
    }
    again.send(&"z".repeat(16 << 10)).await;
    let known = lose(&host, again).await;
    let mut last = known.again(&host.address(), "/probe").await;
    assert_eq!(last.connected["resumed"], true);
    for number in 0..15 {
        assert!(last.next().await.payload.starts_with(&number.to_string()), "nothing is forgotten");
    }
    assert_eq!(last.next().await.payload.len(), 16 << 10);
}

/// A client that answers heartbeats and does not count costs nothing more, and does not wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_want_to_resume_is_as_any_other() {
    let events = Events::new().await;
    let host = events.host(&config("60s", "outbox_bytes = \"16KiB\"\n")).await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    let known = speaker.known();
    let mut echoes = 0;
    for _ in 0..100 {
        speaker.send(&"y".repeat(1_000)).await;
        loop {
            let text = within("an echo", speaker.client.text()).await;
            if text.starts_with('\n') {
                break;
            }
            assert!(text.starts_with("{\"type\":\"heartbeat\""), "{text}");
            speaker.say(json!({ "type": "heartbeat" })).await;
        }
        echoes += 1;
    }
    assert_eq!(echoes, 100);
    drop(speaker);
    // Nobody could come back to that one, so it ends at once.
    assert_eq!(events.wait("closed", 1).await, ["1006 Transport the client went away"]);
    assert_eq!(away(&host), 0);
    assert_eq!(known.again(&host.address(), "/probe").await.connected["resumed"], false);
}

/// During a call nothing is read, so no confirmation either. A client that reads gets everything nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_call_does_not_make_a_client_too_slow() {
    let events = Events::new().await;
    let host = events.host(&config("60s", "outbox_bytes = \"16KiB\"\n")).await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    let mut other = host.connect("/probe").await;
    let id = speaker.connected["connection"].clone();
    let lock = events.lock().await;
    speaker.send(&note("after the call").to_string()).await;
    for number in 0..100 {
        say(&mut other, &id, &format!("{number} {}", "x".repeat(1_000))).await;
        let mut text = speaker.client.text().await;
        while text.starts_with("{\"type\":\"heartbeat\"") {
            text = speaker.client.text().await;
        }
        assert!(text.starts_with(&format!("\n{number} ")), "{text}");
    }
    unlock(lock).await;
    assert_eq!(events.wait("note", 1).await.len(), 1);
}

/// A client that agrees to something else could not read what is queued.
#[tokio::test(flavor = "multi_thread")]
async fn another_compression_is_another_connection() {
    let events = Events::new().await;
    let host = events.host(&format!("compression.enabled = true\n{}", config("60s", ""))).await;
    let speaker = Speaker::connect(&host.address(), "/probe").await;
    let state = lose(&host, speaker).await.state(|_| {});
    let address = host.address();
    let deflating = hassock_tests::Client::with(&address, "/probe", |request| {
        let offer = format!("hassock.v1, {state}");
        request.headers_mut().insert("sec-websocket-protocol", offer.parse().unwrap());
        request.headers_mut().insert("sec-websocket-extensions", "permessage-deflate".parse().unwrap());
    });
    let deflating = deflating.await.unwrap();
    assert!(deflating.response.headers().contains_key("sec-websocket-extensions"));
    events.wait("closed", 1).await;
    assert_eq!(events.of("open").await.len(), 2);
}
