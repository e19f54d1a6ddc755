//! How a host stops: first it is not ready, then it closes its connections over time, and a second signal ends it at once.
//! What a service manager and a load balancer hear of it.

use std::time::Duration;

use futures_util::future::join_all;
use hassock_tests::raw::{Answer, text};
use hassock_tests::{
    Client, Operator, Process, Raw, TestHost, app, cache, eventually, example, more_open_files, within,
};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixDatagram};

fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("listen = \"127.0.0.1:0\"\n{config}{}", app("echo", &example("echo")));
    std::fs::write(folder.path().join("hassock.toml"), config).unwrap();
    folder
}

async fn get(address: &str, path: &str) -> Answer {
    let mut raw = Raw::connect(address).await;
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n")).await;
    raw.answer().await
}

/// `/ready` says no as soon as the host is to stop, and clients are still served for `drain_delay`.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_not_ready_before_it_stops() {
    let limits = "[limits]\ndrain_delay = \"2s\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    let config = format!("hosts = [\"127.0.0.1\"]\npublic_health = true\n{limits}{}", app("echo", &example("echo")));
    let host = TestHost::start(&config).await;
    let (address, operator) = (host.address(), Operator::of(&host));
    for path in ["/live", "/ready"] {
        assert_eq!(get(&address, path).await.status, 200, "{path}");
        let answer = operator.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    }
    let mut client = host.connect("/echo").await;
    let stopping = tokio::spawn(host.drain());
    eventually("it is not ready", || async { get(&address, "/ready").await.status == 503 }).await;
    assert_eq!(operator.raw("GET /ready HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 503);
    assert_eq!(get(&address, "/live").await.status, 200);
    assert_eq!(client.ask("still served").await, "still served");
    assert_eq!(Client::connect(&address, "/echo").await.ask("new ones too").await, "new ones too");
    assert_eq!(client.closed().await.code, 1001);
    assert_eq!(stopping.await.unwrap(), 0);
}

/// Only a host with `public_health` answers these paths, and an app may have them.
#[tokio::test(flavor = "multi_thread")]
async fn the_public_health_is_asked_for() {
    let echo = app("echo", &example("echo"));
    let host = TestHost::start(&echo).await;
    assert_eq!(get(&host.address(), "/ready").await.status, 404);
    let host = TestHost::start(&format!("public_health = true\n{}", echo.replace("\"/echo\"", "\"/ready\""))).await;
    assert_eq!(get(&host.address(), "/ready").await.status, 426);
    assert_eq!(get(&host.address(), "/live").await.status, 200);
    assert_eq!(host.connect("/ready").await.ask("an app").await, "an app");
}

/// Connections are closed over `drain_window`: when the first one is, the last one is still served. Each gets what was sent
/// to it before.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_closed_one_after_the_other() {
    more_open_files();
    let limits = "[limits]\ndrain_window = \"10s\"\ndrain_timeout = \"40s\"\nconnections_per_address = 2000\n";
    let host = TestHost::start(&format!("{limits}{}", app("echo", &example("echo")))).await;
    let address = host.address();
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.extend(join_all((0..50).map(|_| Raw::open(&address, "/echo"))).await);
    }
    for client in &mut clients {
        client.send(text("before the end")).await;
    }
    eventually("all messages are answered", || async {
        host.report("echo").versions.iter().map(|version| version.calls).sum::<u64>() >= 4_000
    })
    .await;
    let stopping = tokio::spawn(host.drain());
    let mut last = clients.pop().unwrap();
    assert_eq!(last.text().await, "before the end");
    let ends = clients.iter_mut().map(|client| async {
        assert_eq!(client.text().await, "before the end");
        client.closed().await.0
    });
    let mut ends = Box::pin(join_all(ends));
    let first = tokio::time::timeout(Duration::from_millis(500), &mut ends).await;
    assert!(first.is_err(), "all were closed at the same time");
    last.send(text("still served")).await;
    assert_eq!(last.text().await, "still served");
    assert_eq!(ends.await, [1001; 1_999]);
    assert_eq!(last.closed().await.0, 1001);
    assert_eq!(stopping.await.unwrap(), 0);
}

/// A host that closes its connections does not listen any more: a client is refused, and another host may take the place.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_does_not_listen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let listen = format!("listen = [\"127.0.0.1:0\", \"unix:{}\"]\n", path.display());
    let host = TestHost::start_as_is(&format!("{listen}{}", app("echo", &example("echo")))).await;
    let address = host.address();
    // It does not answer the close.
    let mut raw = Raw::open(&address, "/echo").await;
    let stopping = tokio::spawn(host.drain());
    eventually("nobody listens", || async { TcpStream::connect(&address).await.is_err() && !path.exists() }).await;
    assert!(!stopping.is_finished(), "the connection is still there");
    raw.send(hassock_tests::raw::close(1001, "")).await;
    assert_eq!(stopping.await.unwrap(), 0);
}

/// An operator who does not want to wait sends the signal again.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_host_at_once() {
    let folder = folder("[limits]\ndrain_delay = \"1h\"\n");
    let process = Process::hassock(folder.path(), ["serve"]);
    let address = process.line("Starting server on ").await;
    let _client = Client::connect(&address, "/echo").await;
    process.signal("TERM");
    process.complains("stopping").await;
    process.signal("INT");
    let finished = process.ends().await;
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("SIGINT again: stopped at once"), "{}", finished.stderr);
}

/// The messages of sd_notify(3): ready, reloading with the time, ready again, alive, stopping.
#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_how_the_host_is() {
    let folder = folder("");
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut command = std::process::Command::new(hassock_tests::binary());
    command.arg("serve").current_dir(folder.path()).env("CACHE_DIRECTORY", cache());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let process = Process::start(command);
    let hears = async |wanted: &str| {
        loop {
            let mut message = [0; 4096];
            let length = within("a message", manager.recv(&mut message)).await.unwrap();
            let message = String::from_utf8_lossy(&message[..length]).into_owned();
            if message.lines().any(|line| line == wanted) {
                return message;
            }
        }
    };
    assert!(hears("READY=1").await.contains("STATUS=serving"));
    process.line("Starting server on ").await;
    hears("WATCHDOG=1").await;
    hears("WATCHDOG=1").await;
    process.signal("HUP");
    assert!(hears("RELOADING=1").await.contains("MONOTONIC_USEC="));
    hears("READY=1").await;
    process.signal("TERM");
    assert!(hears("STOPPING=1").await.contains("STATUS=closing 0 connections"));
    assert_eq!(process.ends().await.code, Some(0));
}
