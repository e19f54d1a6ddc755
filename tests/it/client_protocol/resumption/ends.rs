//! How a connection ends whose client is away. Invariant 2: once.

use std::time::{Duration, Instant};

use hassock_tests::{Events, Proxy, Speaker, TestHost, app_with_database, eventually, guest, refused};
use serde_json::json;

use super::{away, config, host, lose, say};

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_once_when_the_time_has_passed() {
    let events = Events::new().await;
    let host = events.host(&config("300ms", "")).await;
    let mut speaker = Speaker::connect(&host.address(), "/probe?topic=kept").await;
    let position = speaker.next().await.header["position"].clone();
    let known = lose(&host, speaker).await;
    assert!(events.of("closed").await.is_empty());
    assert_eq!(events.wait("closed", 1).await, ["1006 Transport the client went away"]);
    assert_eq!(away(&host), 0);
    host.connect("/probe").await.probe(json!({ "publish": { "topic": "kept", "text": "missed" } })).await;
    // It gets another connection, and what was published.
    let since = json!({ "kept": position });
    let mut again = known.again_with(&host.address(), "/probe?topic=kept", |state| state["since"] = since).await;
    assert_eq!(again.connected["resumed"], false);
    assert_eq!(again.next().await.header["recovered"], true);
    assert_eq!(again.next().await.payload, "missed");
    host.drain().await;
    assert_eq!(events.assert_each_closed_once().await, 3);
}

/// A close frame is not a network that fails, except that of a client which gives up a dead socket.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_is_gone() {
    let events = Events::new().await;
    let host = host(&events).await;
    for code in [1000, 1001, 4000] {
        let mut speaker = Speaker::connect(&host.address(), "/probe").await;
        speaker.client.close_with(code, "").await;
    }
    events.wait("closed", 3).await;
    assert_eq!(away(&host), 0);
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    let known = speaker.known();
    speaker.client.close_with(3008, "nothing came").await;
    eventually("the host to miss the client", async || away(&host) == 1).await;
    assert_eq!(known.again(&host.address(), "/probe").await.connected["resumed"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_does_not_wait_for_clients() {
    let events = Events::new().await;
    let host = host(&events).await;
    for _ in 0..3 {
        let speaker = Speaker::connect(&host.address(), "/probe").await;
        lose(&host, speaker).await;
    }
    let began = Instant::now();
    host.drain().await;
    // Far less than the minute for which the clients may be away.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(events.assert_each_closed_once().await, 3);
    assert_eq!(events.of("closed").await, vec!["1001 Host the host is stopping"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_may_close_it() {
    let events = Events::new().await;
    let host = host(&events).await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    let close = json!({ "timer": { "name": "close", "after_ms": 300, "text": "x" } });
    speaker.probe(close).await;
    let known = lose(&host, speaker).await;
    events.wait("timer", 1).await;
    events.wait("closed", 1).await;
    assert_eq!(known.again(&host.address(), "/probe").await.connected["resumed"], false);
}

/// Its outbox is as large as that of others.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_messages_end_it() {
    let events = Events::new().await;
    let host = events.host(&config("60s", "outbox_bytes = \"4KiB\"\n")).await;
    let mut other = host.connect("/probe").await;
    let speaker = Speaker::connect(&host.address(), "/probe?topic=news").await;
    let id = speaker.connected["connection"].clone();
    let known = lose(&host, speaker).await;
    say(&mut other, &id, &"x".repeat(3_000)).await;
    let command = json!({ "send-to": { "id": id, "text": "x".repeat(3_000) } });
    assert!(other.try_probe(command).await.get("error").is_some(), "the outbox is full");
    other.probe(json!({ "publish": { "topic": "news", "text": "x".repeat(3_000) } })).await;
    assert_eq!(events.wait("closed", 1).await, ["1013 Host too slow: the outbox is full"]);
    assert_eq!(known.again(&host.address(), "/probe").await.connected["resumed"], false);
}

/// What a client says that it has cannot be true. Its connection ends, because it cannot go on with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_more_than_was_sent_gets_another_connection() {
    let events = Events::new().await;
    let host = host(&events).await;
    let known = lose(&host, Speaker::connect(&host.address(), "/probe").await).await;
    let mut again = known.again_with(&host.address(), "/probe", |state| state["received"] = json!(1)).await;
    assert_eq!(again.connected["resumed"], false);
    events.wait("closed", 1).await;
    // The other way round: confirmations that cannot be true do no harm.
    again.say(json!({ "type": "heartbeat", "received": 1_000 })).await;
    again.send("a").await;
    assert_eq!(again.next().await.payload, "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_fails_to_resume_loses_the_connection() {
    let events = Events::new().await;
    let host = host(&events).await;
    let known = lose(&host, Speaker::connect(&host.address(), "/probe").await).await;
    let mut again = known.again(&host.address(), "/probe?resume=fail").await;
    assert_eq!(again.connected["resumed"], true);
    assert_eq!(again.next().await.header["type"], "closing");
    assert_eq!(again.try_next().await.unwrap_err().code, 1011);
    let closed = events.wait("closed", 1).await;
    assert!(closed[0].starts_with("1011 Host the application failed"), "{closed:?}");
}

/// Otherwise clients could come and go, and leave any number of connections behind.
#[tokio::test(flavor = "multi_thread")]
async fn those_that_are_away_take_up_their_places() {
    let events = Events::new().await;
    let config = app_with_database("probe", &guest("probe"), &events.url()) + &config("60s", "");
    let host = TestHost::start(&format!("[limits]\nconnections_per_address = 3\n{config}")).await;
    let mut gone = Vec::new();
    for _ in 0..2 {
        gone.push(lose(&host, Speaker::connect(&host.address(), "/probe").await).await);
    }
    let last = host.connect("/probe").await;
    let (status, text) = refused(&host.address(), "/probe", |_| {}).await;
    assert_eq!((status, text.as_str()), (429, "too many connections from your network address\n"));
    last.close().await;
    // The place of the new socket is that of the connection from now on, and the one before is free.
    let state = gone[0].state(|_| {});
    let returns = async || Speaker::with(&host.address(), "/probe", &["hassock.v1", &state]).await.ok();
    let is_back = async || returns().await.is_some_and(|again| again.connected["resumed"] == true);
    eventually("a place to be free", is_back).await;
    let connects = async || Speaker::with(&host.address(), "/probe", &["hassock.v1"]).await.is_ok();
    eventually("another place to be free", connects).await;
}

/// The call fails after the network, so the client must not find a connection that goes on as if nothing had happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_ends_it_whether_the_client_is_there_or_not() {
    let events = Events::new().await;
    let host = events.host(&config("60s", "call_timeout = \"1s\"\n")).await;
    let proxy = Proxy::start(&host.address()).await;
    let mut speaker = Speaker::connect(&proxy.address, "/probe").await;
    let (known, id) = (speaker.known(), speaker.connected["connection"].clone());
    let mut other = Speaker::connect(&host.address(), "/probe").await;
    speaker.send("\"sleep\"").await;
    assert_eq!(speaker.next().await.payload, "asleep");
    proxy.cut();
    // The call does not look at the socket, but what is written meanwhile finds out.
    for _ in 0..3 {
        other.probe(json!({ "send-to": { "id": id, "text": "x" } })).await;
    }
    let closed = events.wait("closed", 1).await;
    assert!(closed[0].starts_with("1011 Host the application took too long"), "{closed:?}");
    assert_eq!(known.again(&host.address(), "/probe").await.connected["resumed"], false);
}
