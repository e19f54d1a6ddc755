//! `POST /v1/apps/APP/record` without the command: its lines, its errors, and its bounds.

use hassock_tests::admin::Line;
use hassock_tests::{Events, Operator, TestHost, app, marked, module_file, note, unlock};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A host with the module `marked`, and an operator.
struct Bench {
    host: TestHost,
    operator: Operator,
    module: NamedTempFile,
}

impl Bench {
    async fn start(admin: &str) -> Self {
        let module = module_file(&marked("v1"));
        let app = app("marked", module.path());
        let host = TestHost::start(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n{admin}\n{app}")).await;
        let operator = Operator::of(&host);
        Self { host, operator, module }
    }

    /// A recording that has begun.
    async fn record(&self, query: &str) -> Stream {
        Stream::begin(&self.operator, &format!("marked/record{query}")).await
    }
}

/// What a host sends for as long as it records.
struct Stream {
    line: Line,
    text: String,
}

impl Stream {
    async fn begin(operator: &Operator, path: &str) -> Self {
        let mut line = operator.connect().await;
        let head = operator.head(&format!("POST /v1/apps/{path}"), "");
        line.write_all(head.as_bytes()).await.unwrap();
        let mut stream = Self { line, text: String::new() };
        stream.until("\"event\":\"began\"").await;
        stream
    }

    async fn until(&mut self, text: &str) {
        while !self.text.contains(text) {
            assert!(self.read().await, "`{text}` is not in {}", self.text);
        }
    }

    /// The events after the first, without their times.
    async fn events(mut self) -> Vec<Value> {
        while self.read().await {}
        let lines = self.text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut events: Vec<Value> = lines.filter(Value::is_object).collect();
        let times: Vec<u64> = events.iter().filter_map(|event| event["at"].as_u64()).collect();
        assert_eq!(times.len(), events.len());
        events.iter_mut().for_each(|event| drop(event.as_object_mut().unwrap().remove("at")));
        events.split_off(1)
    }

    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = within("events", self.line.read(&mut bytes)).await.unwrap();
        self.text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        read > 0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_their_status_and_kind() {
    let bench = Bench::start("").await;
    let recording = bench.record("").await;
    for (line, status, kind, text) in [
        ("POST /v1/apps/nobody/record", 404, "unknown-app", "there is no app `nobody`; the config has `marked`"),
        ("POST /v1/apps/marked/record", 409, "recording", "`marked` is being recorded already"),
        ("POST /v1/apps/marked/record?connections=0", 400, "parameter", "`connections` is the number of connections"),
        ("POST /v1/apps/marked/record?connections=many", 400, "parameter", "at least 1"),
        (
            "POST /v1/apps/marked/record?connection=1",
            400,
            "parameter",
            "unknown parameter `connection`, expected `connections`",
        ),
        ("GET /v1/apps/marked/record", 405, "method", "use POST here"),
    ] {
        let answer = bench.operator.ask(line).await;
        assert_eq!((answer.status, answer.json()["kind"].as_str()), (status, Some(kind)), "{line}");
        assert!(answer.json()["error"].as_str().is_some_and(|error| error.contains(text)), "{line}: {answer:?}");
    }
    let token = "POST /v1/apps/marked/record HTTP/1.1\r\nhost: x\r\n\r\n";
    assert_eq!(bench.operator.raw(token).await.status, 401);
    drop(recording);
}

/// A recording may last longer than a request. When its reader goes away, another recording can begin.
#[tokio::test(flavor = "multi_thread")]
async fn it_lasts_for_as_long_as_it_is_read() {
    let bench = Bench::start("request_timeout = \"50ms\"").await;
    let stream = bench.record("").await;
    let mut client = bench.host.connect("/marked").await;
    // The module sleeps for six times that timeout.
    assert_eq!(client.ask("sleep").await, "v1 slept");
    client.close().await;
    let expected = [
        json!({ "event": "connected", "client": "c1", "target": "/marked", "headers": [], "id": 1, "answer": [] }),
        json!({ "event": "sent", "client": "c1", "message": { "text": "sleep" } }),
        json!({ "event": "received", "client": "c1", "message": { "text": "v1 slept" } }),
        json!({ "event": "ended", "client": "c1", "by": "client", "code": 1005, "reason": "" }),
        json!({ "event": "complete" }),
    ];
    assert_eq!(stream.events().await, expected);
    drop(bench.record("").await);
    let path = "POST /v1/apps/marked/record";
    let begins = || async {
        let mut line = bench.operator.connect().await;
        line.write_all(bench.operator.head(path, "").as_bytes()).await.unwrap();
        let mut bytes = [0; 16];
        within("a status", line.read_exact(&mut bytes)).await.unwrap();
        bytes.starts_with(b"HTTP/1.1 200")
    };
    eventually("room for another", begins).await;
}

/// Redacted values are marked with JSON Pointers, and everything else is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn redacted_values_are_marked() {
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let app = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    let record = "[apps.probe.record]\nredact_fields = [\"pin\"]\n";
    let host = TestHost::start(&format!("{admin}{app}\n{record}")).await;
    let stream = Stream::begin(&Operator::of(&host), "probe/record").await;
    let mut client = host.connect("/probe?token=s3cret").await;
    let text = "[{\"pin\":5,\"a/b\":\"${any}\"}]";
    assert_eq!(client.ask(text).await, text);
    client.close().await;
    let value = json!([{ "pin": "redacted", "a/b": "${any}" }]);
    let target = "/probe?token=redacted";
    let expected = [
        json!({ "event": "connected", "client": "c1", "target": target, "headers": [], "id": 1, "answer": [] }),
        json!({ "event": "sent", "client": "c1", "message": { "text": "[{\"pin\":\"redacted\",\"a/b\":\"${any}\"}]" } }),
        json!({ "event": "received", "client": "c1", "message": { "json": { "value": value, "redacted": ["/0/pin"] } } }),
        json!({ "event": "ended", "client": "c1", "by": "client", "code": 1005, "reason": "" }),
        json!({ "event": "complete" }),
    ];
    assert_eq!(stream.events().await, expected);
}

/// An app that the config no longer has gets no more connections to record.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_app_is_its_end() {
    let bench = Bench::start("").await;
    let mut stream = bench.record("?connections=2").await;
    let mut client = bench.host.connect("/marked").await;
    stream.until("\"event\":\"connected\"").await;
    let other = app("other", bench.module.path());
    bench.host.reload(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n{other}")).await.unwrap();
    assert_eq!(client.closed().await.code, 1001);
    let events = stream.events().await;
    let reason = "the application is gone";
    let ended = json!({ "event": "ended", "client": "c1", "by": "host", "code": 1001, "reason": reason });
    assert_eq!(events[1..], [ended, json!({ "event": "cut-short" })]);
}

/// The cause of a call must come before what the call does to others, so it is noted before the call returns.
#[tokio::test(flavor = "multi_thread")]
async fn causes_are_noted_before_their_calls() {
    let events = Events::new().await;
    let host = events.host("[admin]\nlisten = \"127.0.0.1:0\"\n").await;
    let mut stream = Stream::begin(&Operator::of(&host), "probe/record").await;
    let mut client = host.connect("/probe").await;
    let lock = events.lock().await;
    client.send(note("slow").to_string()).await;
    stream.until("\"event\":\"sent\"").await;
    unlock(lock).await;
    assert!(client.json().await["ok"].is_object());

    let timer = |after_ms: u64| json!({ "timer": { "name": "t", "after_ms": after_ms, "text": "" } });
    client.probe(timer(300)).await;
    let lock = events.lock().await;
    stream.until("\"event\":\"fired\"").await;
    unlock(lock).await;
    assert_eq!(client.json().await["fired"], "t");

    let lock = events.lock().await;
    client.socket.close(None).await.unwrap();
    stream.until("\"event\":\"ended\"").await;
    unlock(lock).await;
    // The call did not give up: it writes `closed`.
    events.wait("closed", 1).await;
    let kinds: Vec<Value> = stream.events().await.iter().map(|event| event["event"].clone()).collect();
    let told = ["connected", "sent", "received", "sent", "received", "fired", "received", "ended", "complete"];
    assert_eq!(kinds, told);
}
