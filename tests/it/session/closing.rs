//! The end of connections: which side closes with which code, and what the other side and the module get.

use hassock_tests::raw::opcode::{CLOSE, FIN, PING, TEXT};
use hassock_tests::raw::{Frame, close, frame, text};
use hassock_tests::{Events, Raw, note, unlock};
use serde_json::json;
use tokio::io::AsyncWriteExt;

/// RFC 6455, section 5.5.1: a client's close is answered with its own code, and the module gets code and reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_clients_close_is_answered_and_reaches_the_module() {
    let events = Events::new().await;
    let host = events.host("").await;
    let reason = "r".repeat(123);
    for (code, reason) in [(1000, ""), (1001, "ciao"), (1013, "später"), (3000, "a"), (4999, reason.as_str())] {
        let mut raw = Raw::open(&host.address(), "/probe").await;
        raw.send(close(code, reason)).await;
        let answer = raw.frame().await.unwrap();
        assert_eq!((answer.first, &answer.payload[..2]), (FIN | CLOSE, &code.to_be_bytes()[..]));
        assert_eq!(raw.end().await, []);
        assert_eq!(events.wait("closed", 1).await, [format!("{code} Client {reason}")]);
        sqlx::query("DELETE FROM event").execute(&mut events.session().await).await.unwrap();
    }
}

/// RFC 6455, section 7.1.5: a close without a code is 1005 for the module, and is answered without one.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_without_a_code_is_1005() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    raw.send(frame(FIN | CLOSE, "")).await;
    assert_eq!(raw.end().await, [Frame::new(CLOSE, "")]);
    assert_eq!(events.wait("closed", 1).await, ["1005 Client "]);
}

/// RFC 6455, section 7.1.5, and invariant 2: a client that vanishes without a close is 1006, however it vanishes.
#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_client_is_1006() {
    let events = Events::new().await;
    let host = events.host("").await;
    Raw::open(&host.address(), "/probe").await.reset();
    assert!(events.wait("closed", 1).await[0].starts_with("1006 Transport "));
    drop(Raw::open(&host.address(), "/probe").await);
    assert!(events.wait("closed", 2).await[1].starts_with("1006 Transport "));
    let mut half = Raw::open(&host.address(), "/probe").await;
    half.send(&text("never to end")[..4]).await;
    drop(half);
    assert!(events.wait("closed", 3).await[2].starts_with("1006 Transport "));
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 3);
}

/// The module's close comes after what it sent before, with code and reason; `closed` says that the module closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_closes_with_its_own_code_and_reason() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    let command = json!({ "close": { "code": 3000, "reason": "enough" } });
    raw.send([text("first"), text(&command.to_string())].concat()).await;
    assert_eq!(raw.text().await, "first");
    assert_eq!(raw.closed().await, (3000, "enough".to_owned()));
    // RFC 6455, section 7.1.1: the server closes TCP once it has the answer, and sends nothing more.
    raw.send(close(3000, "enough")).await;
    assert_eq!(raw.end().await, []);
    assert_eq!(events.wait("closed", 1).await, ["3000 Module enough"]);
}

/// "The first close counts": a module that has closed keeps its code, although a later message of the same packet can
/// no longer be answered. In a later packet, that message would not be handled at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_modules_close_stays_when_more_messages_came_with_it() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    let command = json!({ "close": { "code": 3000, "reason": "enough" } });
    raw.send([text(&command.to_string()), text("too late")].concat()).await;
    assert_eq!(raw.closed().await, (3000, "enough".to_owned()));
    assert_eq!(events.wait("closed", 1).await, ["3000 Module enough"]);
}

/// A module cannot send a close that RFC 6455, section 7.4, does not allow; the connection stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_modules_close_must_be_a_valid_one() {
    let host = hassock_tests::TestHost::shared().await;
    let mut client = host.connect("/probe").await;
    for code in [0, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000, 65535] {
        let answer = client.try_probe(json!({ "close": { "code": code, "reason": "" } })).await;
        assert!(answer["error"].is_string(), "{code}: {answer}");
    }
    let answer = client.try_probe(json!({ "close": { "code": 1000, "reason": "x".repeat(124) } })).await;
    assert!(answer["error"].as_str().unwrap().contains("123"), "{answer}");
    assert_eq!(client.ask("still here").await, "still here");
}

/// Invariant 1: what came before a close is handled before `closed`, though no client reads the answers.
#[tokio::test(flavor = "multi_thread")]
async fn messages_before_a_close_are_handled_before_it() {
    let events = Events::new().await;
    let host = events.host("[apps.probe.limits]\nbatch_messages = 2\n").await;
    let notes: Vec<String> = (0..7).map(|number| number.to_string()).collect();
    for goodbye in [close(4001, "bye"), Vec::new()] {
        let mut raw = Raw::open(&host.address(), "/probe").await;
        let messages = notes.iter().flat_map(|detail| text(&note(detail).to_string()));
        raw.send(messages.chain(goodbye).collect::<Vec<u8>>()).await;
        raw.stream.shutdown().await.unwrap();
        events.wait("closed", 1).await;
        assert_eq!(events.of("note").await, notes);
        assert_eq!(events.all().await.last().unwrap().kind, "closed");
        sqlx::query("DELETE FROM event").execute(&mut events.session().await).await.unwrap();
    }
}

/// The contract of `closing`: the client's close counts, also when the answers to its earlier messages can no longer be
/// delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_behind_messages_is_still_the_clients() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    let (echo, wait) = (text("an answer that nobody waits for"), text(&note("a call that waits").to_string()));
    raw.send([echo, wait, close(4001, "bye")].concat()).await;
    assert_eq!(raw.closed().await, (4001, "bye".to_owned()));
    assert_eq!(events.wait("closed", 1).await, ["4001 Client bye"]);
}

/// Invariants 1 and 2: a call runs to its end if its client vanishes meanwhile, and `closed` comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_not_cut_off_when_its_client_vanishes() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut witness = host.connect("/probe?topic=news").await;
    let mut raw = Raw::open(&host.address(), "/probe?topic=lost").await;
    let lock = events.lock().await;
    let publish = json!({ "publish": { "topic": "news", "text": "begun" } });
    raw.send([text(&publish.to_string()), text(&note("survived").to_string())].concat()).await;
    assert_eq!(witness.text().await, "begun");
    raw.reset();
    // Writes to the client fail, so the host knows that it is gone.
    for _ in 0..50 {
        witness.probe(json!({ "publish": { "topic": "lost", "text": "hello?" } })).await;
    }
    unlock(lock).await;
    assert_eq!(events.wait("note", 1).await, ["survived"]);
    events.wait("closed", 1).await;
    let kinds: Vec<String> = events.all().await.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["open", "open", "note", "closed"]);
}

/// RFC 6455, section 5.5.1: after a client's close frame the host sends no more, and handles no more of what it sends.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_handled_after_a_close() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    let late = [frame(FIN | PING, "late"), text(&note("late").to_string()), close(1000, ""), frame(FIN | TEXT, "x")];
    raw.send([close(1000, "first"), late.concat()].concat()).await;
    assert_eq!(raw.end().await, [Frame::new(CLOSE, [&1000_u16.to_be_bytes(), &b"first"[..]].concat())]);
    assert_eq!(events.wait("closed", 1).await, ["1000 Client first"]);
    drop(raw);
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.of("note").await, [""; 0]);
}
