//! Invariants 4 and 5: a client that is slow is served for as long as it makes progress, and one that makes none is given up
//! at every stage of its connection.

use std::time::Duration;

use hassock_tests::raw::opcode::{FIN, PING, PONG, TEXT};
use hassock_tests::raw::{frame, text};
use hassock_tests::{Client, Events, Raw, TestHost, app, app_with_database, eventually, guest};
use tokio::io::AsyncReadExt;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Error;

/// Let a `keepalive` pass, which is when the host pings this client.
async fn tick(clock: &mut Raw) {
    let ping = clock.frame().await.unwrap();
    assert_eq!(ping.first, FIN | PING);
    clock.send(frame(FIN | PONG, ping.payload)).await;
}

/// `keepalive`: a message takes as long as the line of its client allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_slowly_is_not_given_up() {
    let host = TestHost::probe("[apps.probe.limits]\nkeepalive = \"200ms\"\n").await;
    let mut clock = Raw::open(&host.address(), "/probe").await;
    let mut slow = Raw::open(&host.address(), "/probe").await;
    let message = "a".repeat(900);
    // It answers no ping.
    for part in text(&message).chunks(150) {
        slow.send(part).await;
        tick(&mut clock).await;
    }
    let mut frame = slow.frame().await.unwrap();
    while frame.first == FIN | PING {
        frame = slow.frame().await.unwrap();
    }
    assert_eq!((frame.first, frame.payload), (FIN | TEXT, message.into_bytes()));
}

/// `write_timeout` is for a client that takes no bytes at all. This one answers no ping either, because it has not come that
/// far.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_is_not_given_up() {
    let limits = "message_bytes = \"16MiB\"\noutbox_bytes = \"16MiB\"\nwrite_timeout = \"1s\"\nkeepalive = \"200ms\"\n";
    let host = TestHost::probe(&format!("[apps.probe.limits]\n{limits}")).await;
    let length = 16_000_000;
    // Before the connection exists: a client that says nothing has to answer pings.
    let message = text(&"a".repeat(length));
    let mut slow = Raw::open(&host.address(), "/probe").await;
    slow.send(message).await;
    let (mut part, mut got) = (vec![0; 500_000], 0);
    while got < length {
        got += slow.stream.read_exact(&mut part).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
}

/// A client that reads slowly gets what was sent, but does not decide how long its connection lasts.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_does_not_delay_its_end() {
    let events = Events::new().await;
    let limits = "message_bytes = \"16MiB\"\noutbox_bytes = \"16MiB\"\nwrite_timeout = \"300ms\"\n";
    let host = events.host(&format!("[apps.probe.limits]\n{limits}[limits]\ndrain_timeout = \"4s\"\n")).await;
    let mut slow = Raw::open(&host.address(), "/probe").await;
    slow.send(text(&"a".repeat(16_000_000))).await;
    let mut part = vec![0; 100_000];
    slow.stream.read_exact(&mut part).await.unwrap();
    let reading = tokio::spawn(async move {
        // Slowly enough that it takes twice as long as the host has to stop.
        while slow.stream.read_exact(&mut part).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 1);
    reading.abort();
}

/// `handshake_timeout` holds for answers too: a client that does not read them does not keep its place.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_given_up() {
    let host = TestHost::probe("[limits]\nhandshake_timeout = \"300ms\"\nmax_connections = 2\n").await;
    let mut other = host.connect("/probe").await;
    let mut deaf = Raw::connect(&host.address()).await;
    let requests = "GET /nowhere HTTP/1.1\r\nHost: hassock.test\r\n\r\n".repeat(1_000);
    // Until the host hangs up: the kernel takes only so many answers.
    while deaf.try_send(&requests).await.is_ok() {}
    assert_eq!(other.ask("unaffected").await, "unaffected");
    assert_eq!(host.connect("/probe").await.ask("its place is free").await, "its place is free");
}

/// Connections that have ended count until `closed` has returned, but an app in which this takes long does not get all of
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_slow_to_end_connections_leaves_some_to_others() {
    let events = Events::new().await;
    let limits = "limits = { instances = 1 }\nsettings = { events = true, closed = \"slow\" }\n";
    let slow = app_with_database("probe", &guest("probe"), &events.url());
    let other = format!("{}databases = {{ main = \"read-write\" }}\n", app("faults", &guest("faults")));
    let host = TestHost::start(&format!("{slow}{limits}{other}[limits]\nmax_connections = 80\n")).await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(host.connect("/probe").await);
    }
    drop(clients);
    eventually("the app is behind", || async {
        let Err(Error::Http(answer)) = Client::with(&host.address(), "/probe", |_| {}).await else { return false };
        answer.status() == 503 && answer.body().as_deref() == Some(b"the application is busy\n".as_slice())
    })
    .await;
    assert_eq!(host.connect("/faults").await.ask("unaffected").await, "unaffected");
    eventually("the app has caught up", || async { Client::with(&host.address(), "/probe", |_| {}).await.is_ok() })
        .await;
    host.drain().await;
    assert!(events.assert_each_closed_once().await >= 60);
}
