//! Connections to the API: they stay open, and no client can hold one for ever.

use std::time::Duration;

use hassock_tests::{Authority, Operator, eventually, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const TOPICS: &str = "GET /v1/apps/probe/topics";

/// The next request finds a free place.
async fn is_free(bench: &Bench) {
    assert_eq!(bench.ask(ALL, TOPICS, None).await.status, 200);
}

/// Requests follow each other on one connection, also after one that failed, and at the same time as others.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_stays_open_for_the_next_request() {
    let bench = Bench::with("max_connections = 1", "").await;
    let mut raw = Raw::connect(&bench.address()).await;
    let publish = json!({ "topic": "a", "text": "b" }).to_string();
    let bad = request(ALL, "POST /v1/apps/probe/publish", Some("{}"));
    let none = request("wrong-0123456789abcdef", "POST /v1/apps/probe/publish", Some(&publish));
    for _ in 0..20 {
        for (request, status) in [
            (request(ALL, "POST /v1/apps/probe/publish", Some(&publish)), 200),
            (bad.clone(), 400),
            (none.clone(), 401),
            (request(ALL, "GET /nowhere", None), 404),
            (request(ALL, "PUT /v1/apps/probe/publish", Some(&publish)), 405),
        ] {
            raw.send(request).await;
            assert_eq!(raw.answer().await.status, status);
        }
    }
    // Several at once.
    raw.send(request(ALL, TOPICS, None).repeat(5)).await;
    for _ in 0..5 {
        assert_eq!(raw.answer().await.status, 200);
    }
}

/// A client that sends nothing, half a head, or nothing after a request is cut off after `idle_timeout`.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_gives_its_place_to_another() {
    let bench = Bench::with("max_connections = 1\nidle_timeout = \"200ms\"", "").await;
    for sent in ["", "GET /v1/apps/pro", "answered"] {
        let mut raw = Raw::connect(&bench.address()).await;
        match sent {
            "answered" => {
                raw.send(request(ALL, TOPICS, None)).await;
                assert_eq!(raw.answer().await.status, 200);
            }
            sent => raw.send(sent).await,
        }
        is_free(&bench).await;
        while raw.try_answer().await.is_some() {}
    }
}

/// A client that sends a body slowly gets 408 and gives its place away; one that does not read is cut off.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_gives_its_place_to_another() {
    let bench = Bench::with("max_connections = 1\nrequest_timeout = \"200ms\"\nidle_timeout = \"300ms\"", "").await;
    let mut slow = Raw::connect(&bench.address()).await;
    let publish = json!({ "topic": "a", "text": "b" }).to_string();
    let whole = request(ALL, "POST /v1/apps/probe/publish", Some(&publish));
    slow.send(&whole[..whole.len() - 1]).await;
    is_free(&bench).await;
    assert_eq!(slow.answer().await.status, 408);
    // It asks again and again for what fills all buffers on the way, and reads nothing.
    let mut deaf = TcpStream::connect(bench.address()).await.unwrap();
    let many = request(ALL, "GET /openapi.json", None).repeat(200);
    let flood = async { while deaf.write_all(many.as_bytes()).await.is_ok() {} };
    within("the deaf client to be cut off", flood).await;
    is_free(&bench).await;
}

/// No more than `max_connections` at once: others wait until one ends.
#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_connections_and_the_next_waits() {
    let bench = Bench::with("max_connections = 2", "").await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::connect(&bench.address()).await;
        raw.send(request(ALL, TOPICS, None)).await;
        assert_eq!(raw.answer().await.status, 200);
        open.push(raw);
    }
    let mut third = Raw::connect(&bench.address()).await;
    third.send(request(ALL, TOPICS, None)).await;
    let early = tokio::time::timeout(Duration::from_millis(200), third.stream.readable()).await;
    assert!(early.is_err(), "it was answered although there was no place");
    drop(open.pop());
    assert_eq!(third.answer().await.status, 200);
}

/// The API may speak TLS, with a certificate that is renewed when its file changes.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_may_speak_tls() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.issue(folder.path(), "api", &["api.test"]);
    let tls = format!("[api.tls.own]\ncertificate = \"{}\"\nkey = \"{}\"\n", certificate.display(), key.display());
    let bench = Bench::with(&tls, "").await;
    let connect = async || authority.stream(&bench.address(), "api.test", rustls::ALL_VERSIONS).await.unwrap();
    let mut stream = connect().await;
    let first = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let body = json!({ "topic": "a", "text": "b" }).to_string();
    let request =
        request(ALL, "POST /v1/apps/probe/publish", Some(&body)).replace("host: x", "host: x\r\nconnection: close");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"reached\":0"), "{answer}");
    let plain = async {
        let mut raw = Raw::connect(&bench.address()).await;
        raw.send("GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n").await;
        raw.try_answer().await
    };
    assert!(plain.await.is_none(), "nothing is said without TLS");
    authority.issue(folder.path(), "api", &["api.test"]);
    assert!(bench.host.host.renew_certificates().is_empty());
    let second = connect().await.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    assert_ne!(first, second);
}

/// When the host drains, the request that is in progress gets its answer, idle connections end, and nobody listens any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_the_api_gracefully() {
    let bench = Bench::start().await;
    let address = bench.address();
    let mut idle = Raw::connect(&address).await;
    idle.send(request(ALL, TOPICS, None)).await;
    assert_eq!(idle.answer().await.status, 200);
    let mut busy = Raw::connect(&address).await;
    let publish = json!({ "topic": "a", "text": "b" }).to_string();
    let whole = request(ALL, "POST /v1/apps/probe/publish", Some(&publish));
    let (begin, end) = whole.split_at(whole.len() - 5);
    // An answer shows that the host serves this connection.
    busy.send(request(ALL, TOPICS, None)).await;
    assert_eq!(busy.answer().await.status, 200);
    busy.send(begin).await;
    let mut client = bench.host.connect("/probe").await;
    let drained = tokio::spawn(bench.host.drain());
    // Its end shows that the drain has begun.
    assert_eq!(client.closed().await.code, 1001);
    assert!(idle.try_answer().await.is_none(), "the idle connection has ended");
    busy.send(end).await;
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.header("connection").as_deref()), (200, Some("close")), "{answer:?}");
    assert_eq!(within("the drain", drained).await.unwrap(), 0);
    assert!(TcpStream::connect(&address).await.is_err(), "nobody listens");
}

/// Requests are counted by operation and status, with how long they took, and connections with their bound.
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted() {
    let config = format!("[admin]\nlisten = \"127.0.0.1:0\"\n{}", config("max_connections = 17", ""));
    let bench = Bench { host: TestHost::start(&config).await };
    for _ in 0..3 {
        bench.done("publish", json!({ "topic": "a", "text": "b" })).await;
    }
    bench.post("publish", json!({})).await;
    bench.ask(ALL, "GET /nowhere", None).await;
    let operator = Operator::of(&bench.host);
    let open = Raw::connect(&bench.address()).await;
    let metrics = || async { operator.ask("GET /metrics").await.body };
    eventually("one connection to be open", || async { metrics().await.contains("hassock_api_connections 1\n") }).await;
    let text = metrics().await;
    for expected in [
        "hassock_api_requests_total{operation=\"publish\",status=\"200\"} 3",
        "hassock_api_requests_total{operation=\"publish\",status=\"400\"} 1",
        "hassock_api_requests_total{operation=\"unknown\",status=\"404\"} 1",
        "hassock_api_request_duration_seconds_count 5",
        "hassock_api_connections_limit 17",
    ] {
        assert!(text.lines().any(|line| line == expected), "missing {expected:?} in {text}");
    }
    drop(open);
    let without = format!("[admin]\nlisten = \"127.0.0.1:0\"\n{}", hassock_tests::app("probe", &guest("marked")));
    let none = TestHost::start(&without).await;
    assert!(!Operator::of(&none).ask("GET /metrics").await.body.contains("hassock_api_"), "there is no API");
}
