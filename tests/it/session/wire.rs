//! The WebSocket protocol as clients see it: fragments, control frames, order, and silent clients.

use futures_util::{SinkExt, StreamExt};
use hassock_tests::raw::opcode::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT};
use hassock_tests::raw::{Frame, frame, text, upgrade};
use hassock_tests::{Events, Raw, TestHost, note, unlock, within};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

/// Invariant 1: two hundred connections, a thousand numbered messages each, all answered in order.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_connections_get_every_message_back_in_order() {
    let host = TestHost::probe("").await;
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..200 {
        let mut socket = host.connect("/probe").await;
        tasks.spawn(async move {
            for number in 0..1000 {
                socket.send(format!("{client}:{number}")).await;
            }
            for number in 0..1000 {
                assert_eq!(socket.text().await, format!("{client}:{number}"));
            }
            socket.close().await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(host.drain().await, 0);
}

/// RFC 6455, sections 5.4 and 5.5: three frames are one message, and a ping between them is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_fragmented_message_is_one_message_and_a_ping_may_come_between() {
    let host = TestHost::shared().await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    raw.send(frame(TEXT, "Gr")).await;
    raw.send(frame(FIN | PING, "between")).await;
    assert_eq!(raw.frame().await, Some(Frame::new(PONG, "between")));
    raw.send(frame(CONTINUATION, [0xc3])).await;
    raw.send(frame(FIN | CONTINUATION, [0xbc, b'n'])).await;
    assert_eq!(raw.frame().await, Some(Frame::new(TEXT, "Grün")), "also if a character is in two frames");
}

/// RFC 6455, section 5.6: packets do not have to begin or end where messages do.
#[tokio::test(flavor = "multi_thread")]
async fn packets_and_frames_have_nothing_to_do_with_each_other() {
    let host = TestHost::shared().await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    raw.send([text("one"), text("two"), text("thr")].concat()).await;
    for expected in ["one", "two", "thr"] {
        assert_eq!(raw.text().await, expected);
    }
    for byte in text("drop by drop") {
        raw.send([byte]).await;
    }
    assert_eq!(raw.text().await, "drop by drop");
    let (whole, half) = (text("whole"), text("half"));
    raw.send([&whole[..], &half[..3]].concat()).await;
    assert_eq!(raw.text().await, "whole");
    raw.send(&half[3..]).await;
    assert_eq!(raw.text().await, "half");
}

/// RFC 6455, section 5.6: empty messages are messages, and binary stays binary, whatever its bytes.
#[tokio::test(flavor = "multi_thread")]
async fn empty_and_binary_messages_come_back_as_they_went() {
    let host = TestHost::shared().await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    raw.send(text("")).await;
    assert_eq!(raw.frame().await, Some(Frame::new(TEXT, "")));
    raw.send(frame(FIN | BINARY, "")).await;
    assert_eq!(raw.frame().await, Some(Frame::new(BINARY, "")));
    raw.send([frame(BINARY, ""), frame(FIN | CONTINUATION, "")].concat()).await;
    assert_eq!(raw.frame().await, Some(Frame::new(BINARY, "")), "empty in two frames");
    let bytes: Vec<u8> = (0..=255).collect();
    raw.send(frame(FIN | BINARY, &bytes)).await;
    assert_eq!(raw.frame().await, Some(Frame::new(BINARY, bytes)));
}

/// Invariant 5: a message of exactly `message_bytes` is not too large, in one frame and in many.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_message_is_echoed() {
    let host = TestHost::probe("[apps.probe.limits]\nmessage_bytes = \"1MiB\"\noutbox_bytes = \"2MiB\"\n").await;
    let large = "0123456789abcdef".repeat(1 << 16);
    let mut client = host.connect("/probe").await;
    assert_eq!(client.ask(large.clone()).await, large);
    let mut raw = Raw::open(&host.address(), "/probe").await;
    raw.send(frame(TEXT, "")).await;
    for part in large.as_bytes().chunks(100_000) {
        raw.send(frame(CONTINUATION, part)).await;
    }
    raw.send(frame(FIN | CONTINUATION, "")).await;
    assert!(raw.text().await == large);
}

/// RFC 6455, section 5.5.2 and 5.5.3: the host answers pings with their payload and takes unsolicited pongs; the module
/// gets neither.
#[tokio::test(flavor = "multi_thread")]
async fn pings_and_pongs_are_the_hosts_business() {
    let host = TestHost::probe("[apps.probe.limits]\ninstances = 1\n").await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    let longest = [0xff; 125];
    for payload in [&b""[..], b"hello", &longest] {
        raw.send(frame(FIN | PING, payload)).await;
        assert_eq!(raw.frame().await, Some(Frame::new(PONG, payload)));
    }
    raw.send([frame(FIN | PONG, "unsolicited"), frame(FIN | PONG, "")].concat()).await;
    raw.send(text("\"calls\"")).await;
    assert_eq!(raw.text().await, r#"{"ok":1}"#, "the one instance was called for this message only");
}

/// Invariant 1: what a client sends while its last message is still handled waits for its turn, and others do not wait
/// with it. The test decides when the first call ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_waits_for_its_own_slow_call_and_others_do_not() {
    let events = Events::new().await;
    let host = events.host("").await;
    let (mut slow, mut other) = (host.connect("/probe").await, host.connect("/probe?topic=news").await);
    let lock = events.lock().await;
    let publish = json!({ "publish": { "topic": "news", "text": "begun" } });
    for command in [publish, note("slow")] {
        slow.socket.feed(Message::text(command.to_string())).await.unwrap();
    }
    slow.socket.flush().await.unwrap();
    assert_eq!(other.text().await, "begun");
    for number in 0..100 {
        slow.send(format!("after {number}")).await;
        assert_eq!(other.ask(format!("parallel {number}")).await, format!("parallel {number}"));
    }
    assert_eq!(slow.json().await, json!({ "ok": 1 }), "what was sent before the wait is delivered during it");
    assert_eq!(events.of("note").await, [""; 0]);
    unlock(lock).await;
    assert_eq!(slow.json().await["ok"]["affected"], 1);
    for number in 0..100 {
        assert_eq!(slow.text().await, format!("after {number}"));
    }
}

/// Invariant 1: a client that pipelines calls that wait gets their answers, and their effects, in order.
#[tokio::test(flavor = "multi_thread")]
async fn pipelined_calls_that_wait_keep_their_order() {
    let events = Events::new().await;
    let host = events.host("[apps.probe.limits]\nbatch_messages = 3\n").await;
    let (mut write, mut read) = host.connect("/probe").await.socket.split();
    let sent: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        for number in sent {
            write.send(Message::text(note(&number).to_string())).await.unwrap();
            write.send(Message::text(number)).await.unwrap();
        }
        write
    });
    for number in &expected {
        let done = within("an answer", read.next()).await.unwrap().unwrap();
        assert!(done.to_text().unwrap().contains("affected"), "{done}");
        assert_eq!(within("an echo", read.next()).await.unwrap().unwrap(), Message::text(number.as_str()));
    }
    assert_eq!(events.of("note").await, expected);
    drop(writing.await.unwrap());
}

/// Invariant 4: clients that send nothing, at any stage, do not block others.
#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_are_in_nobodys_way() {
    let host = TestHost::probe("[apps.probe.limits]\ninstances = 1\n").await;
    let address = host.address();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Raw::connect(&address).await);
        let mut half = Raw::connect(&address).await;
        half.send("GET /probe HTTP/1.1\r\nHost: ha").await;
        let mut unread = Raw::connect(&address).await;
        unread.send(upgrade("/probe?open=greet")).await;
        let mut half_a_frame = Raw::open(&address, "/probe").await;
        half_a_frame.send(&text("never to end")[..4]).await;
        silent.extend([half, unread, half_a_frame, Raw::open(&address, "/probe").await]);
        let mut client = host.connect("/probe").await;
        assert_eq!(client.ask("anybody here?").await, "anybody here?");
        client.close().await;
    }
    let mut late = silent.pop().unwrap();
    late.send(text("here I am")).await;
    assert_eq!(late.text().await, "here I am");
}
