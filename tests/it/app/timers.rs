//! Timers of connections and of apps, and what a drain does with everything that is still open.

use futures_util::SinkExt;
use hassock::deploy::Rollout;
use hassock_tests::raw::{text, upgrade};
use hassock_tests::{
    Client, Closed, Events, Raw, TestHost, app_with_database, eventually, guest, note, unlock, within,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

fn timer(name: &str, after_ms: u64, text: &str) -> Value {
    json!({ "timer": { "name": name, "after_ms": after_ms, "text": text } })
}

fn fired(name: &str, text: &str) -> Value {
    json!({ "fired": name, "text": text })
}

async fn set(client: &mut Client, name: &str, after_ms: u64, text: &str) {
    client.probe(timer(name, after_ms, text)).await;
}

/// Send commands in one packet, so that they are one batch and one call: no timer fires between them.
async fn in_one_call(client: &mut Client, commands: impl IntoIterator<Item = Value>) {
    for command in commands {
        client.socket.feed(Message::text(command.to_string())).await.unwrap();
    }
    client.socket.flush().await.unwrap();
}

/// The contract of `timers`: a timer fires once, with the payload that it was set with. One that is due earlier fires
/// first.
#[tokio::test(flavor = "multi_thread")]
async fn timers_fire_when_they_are_due() {
    let host = TestHost::shared().await;
    let mut client = host.connect("/probe").await;
    in_one_call(&mut client, [timer("late", 400, "l"), timer("early", 200, "e"), timer("now", 0, "n")]).await;
    for _ in 0..3 {
        assert_eq!(client.json().await, json!({ "ok": null }));
    }
    for expected in [fired("now", "n"), fired("early", "e"), fired("late", "l")] {
        assert_eq!(client.json().await, expected);
    }
    set(&mut client, "early", 0, "again").await;
    assert_eq!(client.json().await, fired("early", "again"), "a name is free once its timer has fired");
}

/// The contract of `timers`: a timer with the same name replaces the old one; `cancel` removes it and says whether
/// there was one.
#[tokio::test(flavor = "multi_thread")]
async fn timers_can_be_replaced_and_cancelled() {
    let host = TestHost::shared().await;
    let (mut client, mut other) = (host.connect("/probe").await, host.connect("/probe").await);
    set(&mut other, "a", 200, "of the other").await;
    let commands = [
        timer("a", 100, "first"),
        timer("a", 300, "second"),
        timer("b", 200, "cancelled"),
        timer("c", 3_600_000, "sooner than that"),
        timer("c", 400, "moved up"),
        json!({ "cancel-timer": "b" }),
        json!({ "cancel-timer": "b" }),
        json!({ "cancel-timer": "never" }),
    ];
    in_one_call(&mut client, commands).await;
    for expected in
        [json!(null), json!(null), json!(null), json!(null), json!(null), json!(true), json!(false), json!(false)]
    {
        assert_eq!(client.json().await, json!({ "ok": expected }));
    }
    assert_eq!(client.json().await, fired("a", "second"));
    assert_eq!(client.json().await, fired("c", "moved up"));
    assert_eq!(client.probe(json!({ "cancel-timer": "a" })).await, false, "it has fired");
    assert_eq!(other.json().await, fired("a", "of the other"), "names belong to their connection");
}

/// Invariant 5: the limits of a timer.
#[tokio::test(flavor = "multi_thread")]
async fn timers_are_bounded() {
    let host = TestHost::shared().await;
    let mut client = host.connect("/probe").await;
    let month = 30 * 24 * 3_600_000;
    for wrong in [
        timer("", 1, ""),
        timer(&"x".repeat(257), 1, ""),
        timer("a", month + 1, ""),
        timer("a", u64::MAX, ""),
        timer("a", 1, &"x".repeat((64 << 10) - 1)),
        json!({ "timer": { "name": "a", "after_ms": 1, "every_ms": month + 1, "text": "" } }),
    ] {
        let answer = client.try_probe(wrong).await;
        assert!(answer["error"].is_string(), "{answer}");
    }
    // The payload is JSON, so the text has quotation marks.
    set(&mut client, &"x".repeat(256), month, &"x".repeat((64 << 10) - 2)).await;
    set(&mut client, "due", 0, "").await;
    assert_eq!(client.json().await, fired("due", ""));
}

/// Invariant 1: a timer that becomes due during a call, and before more messages, waits for the end of the call.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_takes_its_turn_with_messages() {
    let events = Events::new().await;
    // Without the setting `events`, so that timers need not wait for the lock.
    let host = TestHost::start(&app_with_database("probe", &guest("probe"), &events.url())).await;
    let (mut busy, mut clock) = (host.connect("/probe").await, host.connect("/probe?topic=news").await);
    let lock = events.lock().await;
    let publish = json!({ "publish": { "topic": "news", "text": "begun" } });
    in_one_call(&mut busy, [publish, timer("due meanwhile", 100, ""), note("slow")]).await;
    assert_eq!(clock.text().await, "begun");
    assert_eq!(busy.json().await, json!({ "ok": 1 }));
    assert_eq!(busy.json().await, json!({ "ok": null }));
    set(&mut clock, "later", 200, "").await;
    assert_eq!(clock.json().await, fired("later", ""), "others' timers do not wait");
    busy.send("after").await;
    assert_eq!(clock.ask("still here").await, "still here");
    unlock(lock).await;
    assert_eq!(busy.json().await["ok"]["affected"], 1, "the call that runs ends first");
    let mut rest = vec![busy.text().await, busy.text().await];
    rest.sort();
    assert_eq!(rest, ["after".to_owned(), fired("due meanwhile", "").to_string()]);
}

/// The contract of `timers`: a call can also replace or cancel a timer that is due already and waits for that call to
/// end.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_waits_for_its_turn_can_still_be_cancelled() {
    let events = Events::new().await;
    let host = TestHost::start(&app_with_database("probe", &guest("probe"), &events.url())).await;
    let (mut busy, mut clock) = (host.connect("/probe").await, host.connect("/probe?topic=news").await);
    let lock = events.lock().await;
    let commands = [
        timer("cancelled", 100, "old"),
        timer("replaced", 100, "old"),
        json!({ "publish": { "topic": "news", "text": "begun" } }),
        note("slow"),
        json!({ "cancel-timer": "cancelled" }),
        timer("replaced", 200, "new"),
    ];
    in_one_call(&mut busy, commands).await;
    assert_eq!(clock.text().await, "begun");
    set(&mut clock, "later", 200, "").await;
    assert_eq!(clock.json().await, fired("later", ""));
    unlock(lock).await;
    for expected in [json!(null), json!(null), json!(1)] {
        assert_eq!(busy.json().await, json!({ "ok": expected }));
    }
    assert_eq!(busy.json().await["ok"]["affected"], 1);
    assert_eq!(busy.json().await, json!({ "ok": true }), "it had not fired");
    assert_eq!(busy.json().await, json!({ "ok": null }));
    assert_eq!(busy.json().await, fired("replaced", "new"));
}

/// The contract of `connection-timer`: never after `closed`, however the connection ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_ends_with_its_connection() {
    let events = Events::new().await;
    let host = events.host("").await;
    let mut clock = host.connect("/probe").await;
    let (mut polite, mut rude) = (host.connect("/probe").await, host.connect("/probe").await);
    let mut dismissed = host.connect("/probe").await;
    for client in [&mut polite, &mut rude, &mut dismissed] {
        set(client, "orphan", 300, "").await;
    }
    polite.close().await;
    drop(rude);
    dismissed.send(json!({ "close": { "code": 3000, "reason": "" } }).to_string()).await;
    dismissed.closed().await;
    events.wait("closed", 3).await;
    set(&mut clock, "later", 400, "").await;
    assert_eq!(clock.json().await, fired("later", ""));
    drop(clock);
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 4);
    // The line above has checked that nothing comes after `closed`. On an idle machine, only one timer fires.
    assert_eq!(events.of("timer").await.last().unwrap(), "later");
}

/// The contract of `timers`: a timer of the app belongs to no connection, and outlives the one that set it.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_of_the_app_outlives_the_connection_that_set_it() {
    let host = TestHost::probe("").await;
    let mut listener = host.connect("/probe?topic=timers").await;
    let mut setter = host.connect("/probe").await;
    let app_timer = |name: &str, after_ms: u64, text: &str| json!({ "app-timer": { "name": name, "after_ms": after_ms, "text": text } });
    let commands = [app_timer("a", 150, "first"), app_timer("b", 400, "other"), app_timer("a", 300, "second")];
    in_one_call(&mut setter, commands).await;
    for _ in 0..3 {
        assert_eq!(setter.json().await, json!({ "ok": null }));
    }
    setter.close().await;
    eventually("the setter to be forgotten", || async { host.host.connections() == 1 }).await;
    assert_eq!(listener.json().await, fired("a", "second"), "it was replaced");
    assert_eq!(listener.json().await, fired("b", "other"));
}

/// The contract of `timers`: a schedule with `every-ms` fires again and again, until it is replaced or cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn timers_repeat_until_they_are_replaced_or_cancelled() {
    let host = TestHost::probe("").await;
    let mut client = host.connect("/probe?topic=timers").await;
    let repeat = |name: &str| json!({ "name": name, "after_ms": 10, "every_ms": 50, "text": "" });
    client.probe(json!({ "timer": repeat("own") })).await;
    for _ in 0..3 {
        assert_eq!(client.json().await, fired("own", ""));
    }
    set(&mut client, "own", 10, "once").await;
    assert_eq!(client.json().await, fired("own", "once"));
    client.probe(json!({ "app-timer": repeat("ours") })).await;
    for _ in 0..3 {
        assert_eq!(client.json().await, fired("ours", ""));
    }
    // Another one may fire before the command arrives.
    client.send(json!({ "cancel-app-timer": "ours" }).to_string()).await;
    let answer = loop {
        let came = client.json().await;
        if came != fired("ours", "") {
            break came;
        }
    };
    assert_eq!(answer, json!({ "ok": true }), "it exists between two times");
    set(&mut client, "later", 300, "").await;
    assert_eq!(client.json().await, fired("later", ""), "nothing repeats any more");
}

/// A timer with calls that take longer than its period is due again whenever a call ends. Its connection still works:
/// messages arrive, and it ends when the client or the host ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_is_always_due_does_not_keep_its_connection_from_anything() {
    let events = Events::new().await;
    let host = events.host("").await;
    let (mut talking, mut leaving, mut staying) =
        (host.connect("/probe").await, host.connect("/probe").await, host.connect("/probe").await);
    let always = json!({ "timer": { "name": "long", "after_ms": 0, "every_ms": 10, "text": "" } });
    for client in [&mut talking, &mut leaving, &mut staying] {
        client.probe(always.clone()).await;
        assert_eq!(client.json().await, fired("long", ""));
    }
    for message in ["one", "two", "three"] {
        talking.send(message).await;
        within("the echo", async { while talking.text().await != message {} }).await;
    }
    talking.send(json!({ "cancel-timer": "long" }).to_string()).await;
    within("the answer", async { while talking.json().await != json!({ "ok": true }) {} }).await;
    leaving.close().await;
    events.wait("closed", 1).await;
    drop(talking);
    events.wait("closed", 2).await;
    let end = tokio::spawn(async move {
        loop {
            if let Err(closed) = staying.try_text().await {
                break closed.code;
            }
        }
    });
    assert_eq!(host.drain().await, 0);
    assert_eq!(end.await.unwrap(), 1001);
    assert_eq!(events.assert_each_closed_once().await, 3);
}

/// The contract of `timers`: `set-if-absent` leaves a timer as it is, and says whether it set one.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_is_there_is_not_put_off() {
    let host = TestHost::probe("").await;
    let mut client = host.connect("/probe?topic=timers").await;
    let if_absent = |kind: &str, after_ms: u64, text: &str| {
        let command = json!({ "name": "t", "after_ms": after_ms, "if_absent": true, "text": text });
        json!({ kind: command })
    };
    let commands = [
        if_absent("timer", 100, "first"),
        if_absent("timer", 0, "second"),
        if_absent("app-timer", 200, "first"),
        if_absent("app-timer", 0, "second"),
    ];
    in_one_call(&mut client, commands).await;
    for expected in [true, false, true, false] {
        assert_eq!(client.json().await, json!({ "ok": expected }));
    }
    assert_eq!(client.json().await, fired("t", "first"));
    assert_eq!(client.json().await, fired("t", "first"));
    assert_eq!(client.probe(if_absent("timer", 0, "again")).await, true, "a name is free once its timer has fired");
    assert_eq!(client.json().await, fired("t", "again"));
}

/// Invariants 3 and 7: timers, topics and attachments are the host's, and survive a swap of the module.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_connections_and_their_timers() {
    let host = TestHost::probe("[apps.probe.limits]\ninstances = 1\n").await;
    let mut client = host.connect("/probe?topic=timers").await;
    client.probe(json!({ "attach": { "kept": true } })).await;
    set(&mut client, "mine", 2000, "kept").await;
    client.probe(json!({ "app-timer": { "name": "ours", "after_ms": 2000, "text": "kept" } })).await;
    assert_eq!(client.probe(json!("calls")).await, 4, "the only instance counts");
    // The same module as another version: with a custom section that has no effect.
    let other = [std::fs::read(guest("probe")).unwrap(), vec![0, 3, 1, b'v', 1]].concat();
    host.host.control().deploy("probe", other, Rollout::Full).await.unwrap();
    in_one_call(&mut client, [json!("calls"), json!("attachment")]).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(client.text().await);
    }
    // The order depends on how long the reload took, and does not matter here.
    seen.sort();
    let (mine, ours) = (fired("mine", "kept").to_string(), fired("ours", "kept").to_string());
    assert_eq!(seen, [&mine, &ours, r#"{"ok":1}"#, r#"{"ok":{"kept":true}}"#], "1: a fresh instance");
}

/// Invariant 2: a drain closes every connection with 1001, and the module gets one `closed` for each, whatever the
/// connection was doing: idle, waiting for a timer, in a call, in its `open`, or not reading.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_every_connection_once() {
    let events = Events::new().await;
    let host = events.host("[apps.probe.limits]\nclose_timeout = \"1s\"\nmessages_per_second = 10\n").await;
    let address = host.address();
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(host.connect("/probe").await);
    }
    set(&mut clients[0], "in an hour", 3_600_000, "").await;
    clients[1].send(note("on its way").to_string()).await;
    for _ in 0..30 {
        clients[2].send("faster than allowed").await;
    }
    let (mut silent, mut half, mut opening) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        silent.push(Raw::connect(&address).await);
        half.push(Raw::open(&address, "/probe").await);
        let mut raw = Raw::connect(&address).await;
        raw.send(upgrade("/probe?open=slow")).await;
        opening.push(raw);
    }
    half[0].send(&text("never to end")[..4]).await;
    events.wait("open", 26).await;
    let ends = tokio::spawn(async move {
        for client in &mut clients {
            assert_eq!(client.closed().await, Closed { code: 1001, reason: "the host is stopping".to_owned() });
        }
        for raw in &mut half {
            assert_eq!(raw.closed().await.0, 1001);
        }
        for raw in &mut silent {
            assert_eq!(raw.end().await, []);
        }
        for raw in &mut opening {
            // Accepted and closed, or not accepted. Accepted without a close would be an error.
            if raw.try_answer().await.is_some_and(|answer| answer.status == 101) {
                assert_eq!(raw.closed().await.0, 1001);
            }
        }
    });
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 26);
    assert!(TcpStream::connect(&address).await.is_err(), "nothing listens any more");
    ends.await.unwrap();
}

/// A call of an app's timer delays no timer of a connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_timer_of_the_app_delays_only_those_of_the_app() {
    let host = TestHost::probe("limits.call_timeout = \"1h\"\n").await;
    let mut client = host.connect("/probe").await;
    client.probe(json!({ "app-timer": { "name": "sleep", "after_ms": 0, "text": "" } })).await;
    for round in 0..3 {
        set(&mut client, "quick", 20, &round.to_string()).await;
        assert_eq!(client.json().await, fired("quick", &round.to_string()));
    }
}

/// A timer of the app that finds all instances busy waits for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_app_still_gets_its_timers() {
    let limits = "limits = { instances = 1, instance_wait = \"20ms\", call_timeout = \"600ms\" }\n";
    let host = TestHost::probe(limits).await;
    let (mut sleeper, mut witness) = (host.connect("/probe").await, host.connect("/probe?topic=timers").await);
    witness.probe(json!({ "app-timer": { "name": "late", "after_ms": 150, "text": "t" } })).await;
    sleeper.send("\"sleep\"").await;
    assert_eq!(sleeper.text().await, "asleep");
    assert_eq!(sleeper.closed().await.code, 1011);
    assert_eq!(witness.json().await, fired("late", "t"));
}
