//! Traces: what a collector gets of handshakes, calls, statements and published messages.

use hassock_tests::{Client, Collector, Operator, TestHost, app, attribute, eventually, example, guest, within};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// A trace of a client, and the span in it from which it connects.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A host with the module `probe` and a database, which sends its traces to a collector.
async fn host(collector: &Collector, keys: &str) -> TestHost {
    TestHost::start(&format!(
        "[traces]\nendpoint = \"{}\"\n{keys}\n[admin]\nlisten = \"127.0.0.1:0\"\n[databases.main]\nurl = \"sqlite::memory:\"\n{}\
         databases = {{ main = \"read-write\" }}\n",
        collector.endpoint,
        app("probe", &guest("probe")),
    ))
    .await
}

/// Connect as a client that is traced itself, or that wants not to be.
async fn connect(host: &TestHost, path: &str, flag: &str) -> Client {
    let header = HeaderValue::from_str(&format!("00-{TRACE}-{PARENT}-{flag}")).unwrap();
    let address = host.address();
    let client = Client::with(&address, path, |request| drop(request.headers_mut().insert("traceparent", header)));
    client.await.unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans with this parent, in the order in which they began.
fn children(spans: &[Span], parent: &Span) -> Vec<Span> {
    let mut found: Vec<Span> = spans.iter().filter(|span| span.parent_span_id == parent.span_id).cloned().collect();
    found.sort_by_key(|span| span.start_time_unix_nano);
    found
}

/// From the socket over the call and its statements to the subscribers: each is a span within the one before, and the trace of
/// the client goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_followed_from_the_socket_to_the_subscribers() {
    let collector = Collector::start().await;
    let host =
        host(&collector, "sample = \"0%\"\nfollow_clients = true\nheaders = { authorization = \"Bearer x\" }").await;
    let mut reader = host.connect("/probe?topic=room").await;
    reader.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)", json!([])).await;
    let mut writer = connect(&host, "/probe?open=describe", "01").await;
    let described = writer.json().await;
    let insert = json!({ "execute": { "sql": "INSERT INTO t VALUES (?)", "values": [{ "s64": 7 }] } });
    let publish = json!({ "publish": { "topic": "room", "text": "hello" } });
    let answer = writer.probe(json!({ "transaction": [insert, publish, "commit"] })).await;
    assert_eq!((&answer[0]["ok"], reader.text().await), (&json!(1), "hello".to_owned()), "{answer}");
    writer.close().await;
    collector.span("probe closed").await;

    let spans = collector.spans();
    assert_eq!(collector.services().first().map(String::as_str), Some("hassock"));
    assert!(collector.head().contains("\r\nauthorization: bearer x\r\n"), "{}", collector.head());
    let handshake = collector.span("handshake").await;
    assert_eq!((hex(&handshake.trace_id), hex(&handshake.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(handshake.kind(), SpanKind::Server);
    for (key, value) in [("hassock.app", "probe"), ("url.path", "/probe"), ("http.response.status_code", "101")] {
        assert_eq!(attribute(&handshake, key).as_deref(), Some(value), "{handshake:?}");
    }
    let opened = children(&spans, &handshake);
    assert_eq!(opened.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["call open"]);
    // What the module has seen is the span of the host.
    let seen = format!("00-{TRACE}-{}-01", hex(&handshake.span_id));
    assert_eq!(described["traceparent"], seen);

    let message = collector.span("probe receive").await;
    assert!(message.parent_span_id.is_empty() && message.trace_id != handshake.trace_id, "{message:?}");
    assert_eq!((&message.links[0].trace_id, &message.links[0].span_id), (&handshake.trace_id, &handshake.span_id));
    let connection = attribute(&handshake, "hassock.connection");
    assert!(connection.is_some() && attribute(&message, "hassock.connection") == connection, "{message:?}");
    let calls = children(&spans, &message);
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((call.name.as_str(), attribute(call, "hassock.version")), ("call receive", Some(host.serving("probe"))));
    let inner = children(&spans, call);
    let names: Vec<&str> = inner.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["BEGIN main", "INSERT main", "publish", "COMMIT main"]);
    assert_eq!(attribute(&inner[1], "db.query.text").as_deref(), Some("INSERT INTO t VALUES (?)"));
    assert_eq!(attribute(&inner[1], "db.system.name").as_deref(), Some("sqlite"));
    assert_eq!(attribute(&inner[2], "messaging.destination.name").as_deref(), Some("room"));
    assert_eq!(attribute(&inner[2], "hassock.subscribers").as_deref(), Some("1"));
    for span in inner.iter().chain([call]) {
        assert_eq!(span.trace_id, message.trace_id, "{span:?}");
        let within = message.start_time_unix_nano <= span.start_time_unix_nano
            && span.end_time_unix_nano <= message.end_time_unix_nano
            && span.start_time_unix_nano <= span.end_time_unix_nano;
        assert!(within, "{span:?} is not within {message:?}");
    }
    // Only one of both connections was traced.
    assert_eq!(spans.iter().filter(|span| span.name == "handshake").count(), 1);
    assert!(!spans.iter().any(|span| span.name.contains("CREATE")), "{spans:?}");
    // The host sends what is left before it ends.
    assert_eq!(within("the drain", host.drain()).await, 0);
}

/// What fails is marked, with the kinds of the metrics.
#[tokio::test(flavor = "multi_thread")]
async fn failures_are_marked() {
    let collector = Collector::start().await;
    let host = host(&collector, "sample = \"100%\"").await;
    let mut client = host.connect("/probe").await;
    let wrong = client.try_probe(json!({ "query": { "sql": "SELECT nothing" } })).await;
    assert!(wrong["sql"].is_string() || wrong["error"].is_string(), "{wrong}");
    client.send(json!("trap").to_string()).await;
    assert_eq!(client.closed().await.code, 1011);
    collector.span("probe closed").await;
    let statement = collector.span("SELECT main").await;
    assert_eq!(attribute(&statement, "error.type").as_deref(), Some("syntax"));
    let spans = collector.spans();
    let failed: Vec<&Span> = spans
        .iter()
        .filter(|span| span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error))
        .collect();
    let mut names: Vec<&str> = failed.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["SELECT main", "call receive", "probe receive"]);
    for span in failed.iter().filter(|span| span.name.ends_with("receive")) {
        assert_eq!(attribute(span, "error.type").as_deref(), Some("panic"), "{span:?}");
    }
    let metrics = Operator::of(&host).ask("GET /metrics").await.body;
    assert!(metrics.contains("hassock_spans_total{outcome=\"lost\"} 0\n"), "{metrics}");
}

/// A client cannot have itself traced, unless the config lets it; a proxy can, and can also prevent it.
#[tokio::test(flavor = "multi_thread")]
async fn clients_do_not_decide_what_is_traced() {
    let collector = Collector::start().await;
    let host = host(&collector, "sample = \"0%\"").await;
    assert_eq!(connect(&host, "/probe?a", "01").await.ask("hello").await, "hello");
    assert_eq!(host.drain().await, 0);
    assert_eq!(collector.spans(), []);

    let proxy = "trusted_proxies = [\"127.0.0.1\"]\n";
    let traces = format!("[traces]\nendpoint = \"{}\"\nsample = \"100%\"\n", collector.endpoint);
    let host = TestHost::start(&format!("{proxy}{traces}{}", app("probe", &example("echo")))).await;
    assert_eq!(connect(&host, "/probe?b", "00").await.ask("hello").await, "hello");
    let described = connect(&host, "/probe?c", "01").await.ask("hello").await;
    assert_eq!(described, "hello");
    assert_eq!(host.drain().await, 0);
    let spans = collector.spans();
    let handshakes: Vec<&Span> = spans.iter().filter(|span| span.name == "handshake").collect();
    assert_eq!(handshakes.len(), 1, "{spans:?}");
    assert!(handshakes.iter().all(|span| hex(&span.trace_id) == TRACE));
}

/// Only so many spans wait, and those that are left out are counted.
#[tokio::test(flavor = "multi_thread")]
async fn few_spans_wait() {
    let collector = Collector::start().await;
    let host = host(&collector, "sample = \"100%\"\nqueued_spans = 2").await;
    let operator = Operator::of(&host);
    let client = tokio::sync::Mutex::new(host.connect("/probe").await);
    let lost = || async {
        for _ in 0..10 {
            assert_eq!(client.lock().await.ask("hello").await, "hello");
        }
        spans(&operator.ask("GET /metrics").await.body, "lost")
    };
    eventually("spans to be left out", || async { lost().await > 0 }).await;
    let sent = || async { spans(&operator.ask("GET /metrics").await.body, "sent") };
    eventually("spans to be sent", || async { sent().await > 0 }).await;
}

/// A collector that does not answer costs spans, one line in the log, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_keeps_nobody_waiting() {
    let collector = Collector::start().await;
    let host = host(&collector, "sample = \"100%\"\ntimeout = \"1s\"").await;
    collector.hang_up();
    let operator = Operator::of(&host);
    let mut client = host.connect("/probe").await;
    assert_eq!(client.ask("hello").await, "hello");
    let lost = || async { spans(&operator.ask("GET /metrics").await.body, "lost") };
    eventually("spans to be lost", || async { lost().await > 0 }).await;
    assert_eq!(client.ask("still here").await, "still here");
    collector.answer();
    assert_eq!(client.ask("and again").await, "and again");
    collector.span("probe receive").await;
    let sent = || async { spans(&operator.ask("GET /metrics").await.body, "sent") };
    eventually("spans to be counted", || async { sent().await > 0 }).await;
}

fn spans(metrics: &str, outcome: &str) -> u64 {
    let begin = format!("hassock_spans_total{{outcome=\"{outcome}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("{begin} is not in {metrics}")).parse().unwrap()
}
