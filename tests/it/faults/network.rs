//! A network between clients and the host that delays, holds back and cuts.

use std::time::Duration;

use hassock_tests::raw::{close, text, upgrade};
use hassock_tests::{Client, Events, Proxy, Raw, Silent, TestHost, eventually, note, unlock};
use serde_json::json;

async fn start(limits: &str) -> (Events, TestHost, Proxy) {
    let events = Events::new().await;
    let host = events.host(&format!("[apps.probe.limits]\n{limits}")).await;
    let proxy = Proxy::start(&host.address()).await;
    (events, host, proxy)
}

/// Wait until the host has so many connections.
async fn left(host: &TestHost, count: usize) {
    eventually("the end of the others", || async { host.host.connections() == count }).await;
}

/// A connection that is idle, one within a frame, one that has closed, and one whose request is not complete.
async fn of_each_kind(address: &str) -> [Raw; 4] {
    let idle = Raw::open(address, "/probe").await;
    let mut half = Raw::open(address, "/probe").await;
    half.send(&text("a message that never ends")[..9]).await;
    let mut closing = Raw::open(address, "/probe").await;
    closing.send(close(1000, "")).await;
    let mut asking = Raw::connect(address).await;
    asking.send(&upgrade("/probe").as_bytes()[..40]).await;
    [idle, half, closing, asking]
}

/// Invariant 2 for connections that are cut at the same time, whatever they do: their module hears of one end each. A
/// connection that takes another way goes on, and new ones are served.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_end_once_each() {
    let (events, host, proxy) = start("").await;
    let mut other = host.connect("/probe?topic=progress").await;
    for round in 1..=5 {
        let mut cut = Vec::new();
        for _ in 0..3 {
            cut.extend(of_each_kind(&proxy.address).await);
        }
        let mut calling = Raw::open(&proxy.address, "/probe").await;
        let lock = events.lock().await;
        // In one packet, and so in one call, which is heard of when it waits for the lock.
        let begun = json!({ "publish": { "topic": "progress", "text": "begun" } });
        calling.send([text(&begun.to_string()), text(&note("written").to_string())].concat()).await;
        assert_eq!(other.text().await, "begun");
        proxy.cut();
        unlock(lock).await;
        left(&host, 1).await;
        assert_eq!(events.of("note").await.len(), round, "a call is not cut off");
        assert_eq!(other.ask("unaffected").await, "unaffected");
        assert_eq!(Client::connect(&proxy.address, "/probe").await.ask("again").await, "again");
        left(&host, 1).await;
    }
    drop(other);
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 1 + 5 * (3 * 3 + 1 + 1));
}

/// A line that swallows everything looks like clients that vanish: they are given up, also while the host drains.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_swallowed_are_given_up() {
    let (events, host, proxy) = start("keepalive = \"500ms\"\nclose_timeout = \"500ms\"\n").await;
    let other = Silent::start(vec![host.connect("/probe").await]);
    let swallowed = [of_each_kind(&proxy.address).await, of_each_kind(&proxy.address).await];
    proxy.hold();
    left(&host, 1).await;
    proxy.release();
    drop(swallowed);
    let mut again = Client::connect(&proxy.address, "/probe").await;
    assert_eq!(again.ask("again").await, "again");
    proxy.hold();
    assert_eq!(other.stop().await[0].ask("unaffected").await, "unaffected");
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 1 + 2 * 3 + 1);
}

/// Invariant 1 on a slow line that cuts messages into pieces.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_keeps_the_order() {
    let (events, host, proxy) = start("").await;
    proxy.delay(Duration::from_millis(5));
    let mut client = Client::connect(&proxy.address, "/probe").await;
    let long = "x".repeat(50_000);
    for number in 0..20 {
        client.send(format!("{number} {long}")).await;
    }
    for number in 0..20 {
        assert_eq!(client.text().await, format!("{number} {long}"));
    }
    client.close().await;
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 1);
}
