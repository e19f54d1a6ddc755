//! Invariants 4 and 5 for clients that read too slowly, write too fast, or do not answer: each is bounded,
//! and no other connection notices.

use futures_util::SinkExt;
use hassock_tests::raw::opcode::{CLOSE, FIN, PING, PONG};
use hassock_tests::raw::{Frame, close, frame, text};
use hassock_tests::{Client, Closed, Events, Raw, TestHost, note, unlock};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

/// `messages_per_second`: a client that writes faster is read more slowly, and loses nothing. Its messages take more
/// than a second, so a timer of a tenth comes before the last one.
#[tokio::test(flavor = "multi_thread")]
async fn a_fast_client_is_slowed_down_and_loses_nothing() {
    let host = TestHost::probe("[apps.probe.limits]\nmessages_per_second = 50\nbatch_messages = 10\n").await;
    let (mut fast, mut other) = (host.connect("/probe").await, host.connect("/probe").await);
    let timer = json!({ "timer": { "name": "clock", "after_ms": 100, "text": "" } });
    fast.probe(timer).await;
    for number in 0..110 {
        fast.send(format!("{number}")).await;
    }
    assert_eq!(other.ask("not slowed down").await, "not slowed down");
    let mut seen = Vec::new();
    for _ in 0..111 {
        seen.push(fast.text().await);
    }
    let clock = seen.iter().position(|text| text.starts_with('{')).unwrap();
    assert!(clock < 110, "the timer came after {clock} messages");
    seen.remove(clock);
    assert_eq!(seen, (0..110).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// `messages_per_second` with a short `keepalive`: a client that waits for the host to read is not gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_slowed_down_is_not_given_up() {
    let limits = "[apps.probe.limits]\nmessages_per_second = 100\nbatch_messages = 300\nkeepalive = \"300ms\"\n";
    let host = TestHost::probe(limits).await;
    let mut fast = host.connect("/probe").await;
    // All in one batch: the pause after it is more than three times the keepalive.
    for number in 0..200 {
        fast.socket.feed(Message::text(format!("{number}"))).await.unwrap();
    }
    fast.socket.flush().await.unwrap();
    for number in 0..200 {
        assert_eq!(fast.text().await, format!("{number}"));
    }
    let mut clock = Raw::open(&host.address(), "/probe").await;
    assert_eq!(ended_within_pings(&mut fast, &mut clock, 5).await, None, "a client that was there was given up");
    assert_eq!(fast.ask("still here").await, "still here");
}

/// How a client that only reads, and so answers pings, is closed while `clock` gets this many pings.
async fn ended_within_pings(client: &mut Client, clock: &mut Raw, pings: usize) -> Option<Closed> {
    let ticking = async {
        for _ in 0..pings {
            let ping = clock.frame().await.unwrap();
            assert_eq!(ping.first, FIN | PING);
            clock.send(frame(FIN | PONG, ping.payload)).await;
        }
    };
    tokio::select! {
        closed = client.closed() => Some(closed),
        () = ticking => None,
    }
}

/// Publish until only one subscriber is reached: `reader`, which reads each message at once and misses none. Returns
/// the number of the last message.
async fn publish_until_one_is_left(speaker: &mut Client, reader: &mut Client) -> usize {
    for number in 0..1000 {
        let text = format!("{number}:{}", "x".repeat(60_000));
        let reached = speaker.probe(json!({ "publish": { "topic": "news", "text": text } })).await;
        assert_eq!(reader.text().await, text);
        if reached == 1 {
            return number;
        }
    }
    panic!("the outbox of a client that does not read is never full");
}

/// `outbox_bytes`: a subscriber that falls behind gets what was queued, without a gap, and then 1013; the
/// others get everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_falls_behind_is_closed_without_a_gap() {
    let events = Events::new().await;
    let host = events.host("[apps.probe.limits]\noutbox_bytes = \"200KiB\"\n").await;
    let mut slow = Raw::open(&host.address(), "/probe?topic=news").await;
    let (mut reader, mut speaker) = (host.connect("/probe?topic=news").await, host.connect("/probe").await);
    let full_at = publish_until_one_is_left(&mut speaker, &mut reader).await;
    for text in ["more", "and more"] {
        assert_eq!(speaker.probe(json!({ "publish": { "topic": "news", "text": text } })).await, 1);
        assert_eq!(reader.text().await, text);
    }
    for number in 0..=full_at {
        let frame = slow.frame().await.unwrap();
        if frame.first == FIN | CLOSE {
            assert!(number > 0 && frame.payload.starts_with(&1013_u16.to_be_bytes()), "{number}: {frame:?}");
            break;
        }
        assert!(frame.payload.starts_with(format!("{number}:").as_bytes()), "a gap before {number}");
    }
    drop(slow);
    assert!(events.wait("closed", 1).await[0].starts_with("1013 Host "));
    assert_eq!(speaker.ask("unaffected").await, "unaffected");
}

/// `outbox_bytes` again: a subscriber that never reads again is closed after `write_timeout`; its module gets 1013 too.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_never_reads_is_closed_as_too_slow() {
    let events = Events::new().await;
    let host = events.host("[apps.probe.limits]\noutbox_bytes = \"200KiB\"\nwrite_timeout = \"1s\"\n").await;
    // Several, because an outbox may be full while the kernel still takes bytes; then the close is sent in time.
    let mut slow = Vec::new();
    for _ in 0..5 {
        slow.push(Raw::open(&host.address(), "/probe?topic=news").await);
    }
    let (mut reader, mut speaker) = (host.connect("/probe?topic=news").await, host.connect("/probe").await);
    publish_until_one_is_left(&mut speaker, &mut reader).await;
    for closed in events.wait("closed", 5).await {
        assert!(closed.starts_with("1013 Host "), "the module gets {closed}");
    }
    assert_eq!(speaker.ask("unaffected").await, "unaffected");
    drop(slow);
}

/// `write_timeout`: a client that sends but does not read is given up; no other client waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_given_up() {
    let events = Events::new().await;
    let host = events.host("[apps.probe.limits]\noutbox_bytes = \"4MiB\"\nwrite_timeout = \"100ms\"\n").await;
    let mut deaf = Raw::open(&host.address(), "/probe").await;
    let mut other = host.connect("/probe").await;
    let message = text(&"x".repeat(1_000_000));
    // Until the host hangs up: the kernel takes only so much.
    while deaf.try_send(&message).await.is_ok() {
        assert_eq!(other.ask("meanwhile").await, "meanwhile");
    }
    assert_eq!(events.wait("closed", 1).await, ["1006 Transport the client takes no more bytes"]);
    assert_eq!(other.ask("unaffected").await, "unaffected");
}

/// `keepalive`: a client that answers pings stays, one that does not is given up with 1006.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_answer_pings_is_given_up() {
    let events = Events::new().await;
    let host = events.host("[apps.probe.limits]\nkeepalive = \"250ms\"\n").await;
    let mut deaf = Raw::open(&host.address(), "/probe").await;
    let mut alive = Raw::open(&host.address(), "/probe").await;
    for _ in 0..4 {
        let ping = alive.frame().await.unwrap();
        assert_eq!(ping.first, FIN | PING);
        alive.send(frame(FIN | PONG, ping.payload)).await;
    }
    alive.send(text("I am here")).await;
    assert_eq!(alive.text().await, "I am here");
    assert_eq!(deaf.end().await, [Frame::new(PING, "")], "pinged once, then given up");
    assert_eq!(events.wait("closed", 1).await, ["1006 Transport the client did not answer a ping"]);
}

/// `keepalive` and a long call: the time of a call is not silence of the client. After the call the client is pinged,
/// and gets its time to answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_not_given_up_for_a_slow_module() {
    let events = Events::new().await;
    let host = events.host("[apps.probe.limits]\nkeepalive = \"300ms\"\n").await;
    let mut patient = host.connect("/probe").await;
    let mut clock = Raw::open(&host.address(), "/probe").await;
    let lock = events.lock().await;
    patient.send(note("slow").to_string()).await;
    // Four pings of another connection: twice the time after which a silent client is given up.
    for _ in 0..4 {
        let ping = clock.frame().await.unwrap();
        clock.send(frame(FIN | PONG, ping.payload)).await;
    }
    unlock(lock).await;
    assert_eq!(patient.json().await["ok"]["affected"], 1);
    assert_eq!(ended_within_pings(&mut patient, &mut clock, 3).await, None, "a client that was there was given up");
    assert_eq!(patient.ask("still here").await, "still here");
}

/// `close_timeout`: a client that does not answer a close frame is cut off; the module gets `closed` before.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_answer_a_close_is_cut_off() {
    let events = Events::new().await;
    let more = "[apps.probe.limits]\nclose_timeout = \"200ms\"\n[limits]\nmax_connections = 1\n";
    let host = events.host(more).await;
    let mut deaf = Raw::open(&host.address(), "/probe").await;
    deaf.send(text(&json!({ "close": { "code": 3000, "reason": "go" } }).to_string())).await;
    assert_eq!(deaf.closed().await, (3000, "go".to_owned()));
    assert_eq!(events.wait("closed", 1).await, ["3000 Module go"]);
    // It goes on sending, which is not an answer. Its place is free anyway.
    let _ = deaf.try_send(text("what?")).await;
    let mut next = host.connect("/probe").await;
    assert_eq!(next.ask("my turn").await, "my turn");
    assert_eq!(deaf.end().await, []);
}

/// A client that asks for a close and keeps its TCP connection open holds its place for `close_timeout` at most.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_but_does_not_leave_is_cut_off() {
    let host = TestHost::probe("[apps.probe.limits]\nclose_timeout = \"200ms\"\n[limits]\nmax_connections = 1\n").await;
    let mut lingering = Raw::open(&host.address(), "/probe").await;
    lingering.send(close(1000, "")).await;
    assert_eq!(lingering.closed().await.0, 1000);
    let mut next = host.connect("/probe").await;
    assert_eq!(next.ask("my turn").await, "my turn");
    assert_eq!(lingering.end().await, []);
}
