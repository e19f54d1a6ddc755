//! Invariant 5: every bound is a key of the config, holds, and is named when it is reached.

use std::time::Duration;

use hassock_tests::raw::{text, upgrade};
use hassock_tests::{Client, Raw, TestHost, app_with_database, eventually, guest, refused};
use serde_json::json;
use tokio::time::timeout;

/// `connections_per_address`: one more gets a 429, and is accepted when one of the others has left.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_gets_so_many_connections() {
    let host = TestHost::probe("[limits]\nconnections_per_address = 3\n").await;
    let (first, mut second) = (host.connect("/probe").await, host.connect("/probe").await);
    // A connection counts from its first packet, not only after the upgrade.
    let silent = Raw::connect(&host.address()).await;
    let (status, body) = refused(&host.address(), "/probe", |_| {}).await;
    assert_eq!((status, body.as_str()), (429, "too many connections from your network address\n"));
    let mut unasked = Raw::connect(&host.address()).await;
    let answer = unasked.answer().await;
    assert_eq!((answer.status, answer.header("retry-after").as_deref()), (429, Some("10")));
    assert_eq!(unasked.end().await, []);
    assert_eq!(second.ask("unaffected").await, "unaffected");
    let mut elsewhere = Raw::connect_from("127.0.0.2", &host.address()).await;
    elsewhere.send(upgrade("/probe")).await;
    elsewhere.accepted().await;
    first.close().await;
    drop(silent);
    let address = host.address();
    eventually("a free place", || async { Client::with(&address, "/probe", |_| {}).await.is_ok() }).await;
}

/// `max_connections`: one more waits in the kernel's queue, and is served as soon as another leaves.
#[tokio::test(flavor = "multi_thread")]
async fn the_host_has_so_many_connections_and_the_next_waits() {
    let host = TestHost::probe("[limits]\nmax_connections = 2\n").await;
    let (first, mut second) = (host.connect("/probe").await, host.connect("/probe").await);
    let mut third = Raw::connect(&host.address()).await;
    third.send([upgrade("/probe").into_bytes(), text("I can wait")].concat()).await;
    for round in 0..200 {
        assert_eq!(second.ask(format!("{round}")).await, format!("{round}"));
    }
    let early = timeout(Duration::from_millis(1), third.stream.readable()).await;
    assert!(early.is_err() && host.host.connections() == 2, "the third must not be served yet");
    first.close().await;
    third.accepted().await;
    assert_eq!(third.text().await, "I can wait");
}

/// `handshake_timeout`: a client that does not finish a request loses its place; others keep theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_to_come_in_time() {
    let host = TestHost::probe("[limits]\nhandshake_timeout = \"200ms\"\nmax_connections = 4\n").await;
    let mut client = host.connect("/probe").await;
    let mut idle = Raw::connect(&host.address()).await;
    idle.send("GET /nowhere HTTP/1.1\r\nHost: hassock.test\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 404);
    let mut silent = Raw::connect(&host.address()).await;
    let mut half = Raw::connect(&host.address()).await;
    half.send(&upgrade("/probe").as_bytes()[..60]).await;
    // All places are taken: this one is served after the others are given up.
    let mut next = host.connect("/probe").await;
    assert_eq!(next.ask("at last").await, "at last");
    for raw in [&mut idle, &mut silent, &mut half] {
        if let Some(answer) = raw.try_answer().await {
            assert_eq!(answer.status, 408, "{answer:?}");
        }
        assert_eq!(raw.end().await, []);
    }
    assert_eq!(client.ask("unaffected").await, "unaffected");
}

/// `attachment_bytes`, `topics_per_connection`, `timers_per_connection`, `timers_per_app`, `outbox_bytes`: one more
/// is an error for the module that changes nothing, and the connection stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_connection_may_have_is_bounded() {
    let host = TestHost::probe(
        "[apps.probe.limits]\nattachment_bytes = 100\ntopics_per_connection = 2\ntimers_per_connection = 2\n\
         timers_per_app = 1\noutbox_bytes = 1000\n",
    )
    .await;
    let mut client = host.connect("/probe").await;
    let timer = |name: &str| json!({ "timer": { "name": name, "after_ms": 3_600_000, "text": "" } });
    let app_timer = |name: &str| json!({ "app-timer": { "name": name, "after_ms": 3_600_000, "text": "" } });
    for command in [
        json!({ "attach": "x".repeat(98) }),
        json!({ "subscribe": "one" }),
        json!({ "subscribe": "two" }),
        json!({ "subscribe": "two" }),
        timer("one"),
        timer("two"),
        timer("two"),
        app_timer("one"),
        app_timer("one"),
    ] {
        client.probe(command).await;
    }
    for command in [
        json!({ "attach": "x".repeat(99) }),
        json!({ "subscribe": "three" }),
        timer("three"),
        app_timer("two"),
        json!({ "send-many": ["x".repeat(500), "x".repeat(500)] }),
        json!({ "publish": { "topic": "one", "text": "x".repeat(1001) } }),
    ] {
        let answer = client.try_probe(command.clone()).await;
        assert!(answer["error"].is_string(), "{command}: {answer}");
    }
    assert_eq!(client.probe(json!("outbox-fullness")).await, 0, "what was sent is written");
    assert_eq!(client.probe(json!("attachment")).await, json!("x".repeat(98)));
    for name in ["one", "two", "three"] {
        let subscribed = client.probe(json!({ "subscribers": name })).await.as_array().unwrap().len();
        assert_eq!(subscribed, usize::from(name != "three"), "{name}");
        assert_eq!(client.probe(json!({ "cancel-timer": name })).await, name != "three", "{name}");
    }
    client.probe(json!({ "unsubscribe": "one" })).await;
    client.probe(json!({ "subscribe": "three" })).await;
    client.probe(timer("three")).await;
    let mut other = host.connect("/probe").await;
    other.probe(json!({ "subscribe": "one" })).await;
    other.probe(timer("one")).await;
}

/// `batch_messages` and `batch_bytes`: one call gets no more, however many messages wait. Each call has its own
/// instance here, so the instance's count is the place of a message in its batch.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_an_end() {
    for (limits, most) in
        [("batch_messages = 4\nbatch_bytes = \"1MiB\"", 4), ("batch_messages = 64\nbatch_bytes = 50", 3)]
    {
        let host = TestHost::probe(&format!("[apps.probe.limits]\ninstance_calls = 1\n{limits}\n")).await;
        let mut raw = Raw::open(&host.address(), "/probe").await;
        // Twenty bytes each: the third reaches fifty.
        raw.send(text(&format!("{:20}", "\"calls\"")).repeat(300)).await;
        let mut places = Vec::new();
        for _ in 0..300 {
            let answer: serde_json::Value = serde_json::from_str(&raw.text().await).unwrap();
            places.push(answer["ok"].as_u64().unwrap());
        }
        assert_eq!(places.iter().max(), Some(&most), "{limits}: {places:?}");
        assert!(places.is_sorted_by(|one, next| *next == one + 1 || *next == 1), "{limits}: {places:?}");
    }
}

/// Invariant 1: ten thousand tiny messages at once all come back in order, whatever the batches.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_in_small_batches_keep_their_order() {
    let host = TestHost::probe("[apps.probe.limits]\nbatch_messages = 4\n").await;
    let mut raw = Raw::open(&host.address(), "/probe").await;
    let mut other = host.connect("/probe").await;
    let all: Vec<u8> = (0..10_000).flat_map(|number| text(&number.to_string())).collect();
    raw.send(all).await;
    assert_eq!(other.ask("meanwhile").await, "meanwhile");
    for number in 0..10_000 {
        assert_eq!(raw.text().await, number.to_string());
    }
}

/// `log_lines_per_call`: the host drops lines of a module that logs without end; nothing else happens to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_lines_stops_nothing() {
    let config = app_with_database("faults", &guest("faults"), "sqlite::memory:");
    let host = TestHost::start(&format!("{config}[apps.faults.limits]\nlog_lines_per_call = 3\n")).await;
    let (mut chatty, mut other) = (host.connect("/faults").await, host.connect("/faults").await);
    for round in 0..20 {
        assert_eq!(chatty.ask("chatter").await, "chattered");
        assert_eq!(other.ask(format!("{round}")).await, format!("{round}"));
    }
}
