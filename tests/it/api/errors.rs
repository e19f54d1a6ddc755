//! Each error has its status and its code, and a sentence that says what to do.

use std::collections::BTreeSet;

use hassock_tests::{Nats, raw};

use super::*;

/// The codes that a test of this file has seen, beside those of requests that are one line.
async fn codes_of_slow_requests(seen: &mut BTreeSet<String>) {
    let bench = Bench::with("request_timeout = \"200ms\"\nbody_bytes = \"32MiB\"", "").await;
    let head = |length: usize| {
        format!(
            "POST /v1/apps/probe/publish HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALL}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut slow = Raw::connect(&bench.address()).await;
    slow.send(head(100) + "{").await;
    assert_eq!(note(seen, &slow.answer().await), (408, "timeout".to_owned()));
    let mut broken = Raw::connect(&bench.address()).await;
    let chunked = head(0).replace("content-length: 0", "transfer-encoding: chunked");
    broken.send(chunked + "zz\r\n").await;
    assert_eq!(note(seen, &broken.answer().await), (400, "broke_off".to_owned()));
}

async fn codes_of_a_host_without_memory(seen: &mut BTreeSet<String>) {
    let config = format!("[limits]\nmemory_budget = \"16MiB\"\n{}", config("body_bytes = \"32MiB\"", ""));
    let bench = Bench { host: TestHost::start(&config).await };
    let body = json!({ "topic": "news", "text": "x".repeat(15 << 20) });
    let refused = bench.post("publish", body).await;
    assert_eq!(note(seen, &refused), (503, "out_of_memory".to_owned()));
    bench.done("publish", json!({ "topic": "news", "text": "x" })).await;
}

/// A connection whose client does not read.
async fn codes_of_connections(seen: &mut BTreeSet<String>) {
    let bench = Bench::with("", "[apps.probe.limits]\noutbox_bytes = \"100KiB\"\n").await;
    let mut silent = Raw::open(&bench.host.address(), "/probe").await;
    silent.send(raw::text("\"attachment\"")).await;
    let answer: Value = serde_json::from_str(&silent.text().await).unwrap();
    let id = answer["ok"]["opened"].as_u64().unwrap();
    let large = json!({ "text": "x".repeat(60 << 10) });
    // The outbox may also be full because the session has not written yet, and the kernel would take more.
    let mut refused = 0;
    while refused < 20 {
        let answer = bench.post(&format!("connections/{id}/send"), large.clone()).await;
        if answer.status == 200 {
            refused = 0;
            continue;
        }
        assert_eq!(note(seen, &answer), (409, "outbox_full".to_owned()));
        refused += 1;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // What is queued has to be written first, so it goes on closing.
    bench.done(&format!("connections/{id}/close"), json!({})).await;
    let again = bench.post(&format!("connections/{id}/close"), json!({})).await;
    assert_eq!(note(seen, &again), (409, "connection_closing".to_owned()));
    let late = bench.post(&format!("connections/{id}/send"), json!({ "text": "late" })).await;
    assert_eq!(failure(&late), (409, "connection_closing".to_owned()));
    silent.reset();
    let gone = || async { failure(&bench.post(&format!("connections/{id}/close"), json!({})).await).0 == 404 };
    hassock_tests::eventually("the connection to be forgotten", gone).await;
}

fn note(seen: &mut BTreeSet<String>, answer: &Answer) -> (u16, String) {
    let (status, code) = failure(answer);
    seen.insert(code.clone());
    (status, code)
}

/// Every code of the table but `internal`, which is a bug.
#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_status_and_code() {
    let bench =
        Bench::with("body_bytes = \"64KiB\"\nbatch_commands = 2", "[apps.probe.limits]\noutbox_bytes = \"10KiB\"\n")
            .await;
    let mut seen = BTreeSet::new();
    let publish = "POST /v1/apps/probe/publish";
    let (large, huge) = ("x".repeat(20 << 10), "x".repeat(64 << 10));
    for (token, line, body, status, code, text) in [
        (ALL, publish, Some("{\"topic\":\"a\"".to_owned()), 400, "body_invalid", "EOF while parsing"),
        (ALL, publish, Some("[]".to_owned()), 400, "body_invalid", "expected struct Publish"),
        (
            ALL,
            publish,
            Some("{\"topic\":\"a\",\"text\":\"b\"} x".to_owned()),
            400,
            "body_invalid",
            "trailing characters",
        ),
        (
            ALL,
            publish,
            Some("{\"topic\":7,\"text\":\"b\"}".to_owned()),
            400,
            "body_invalid",
            "`topic`: invalid type: integer `7`",
        ),
        (
            ALL,
            publish,
            Some("{\"topic\":\"\",\"text\":\"b\"}".to_owned()),
            400,
            "body_invalid",
            "`topic`: the name of a topic has 1 to 256",
        ),
        (
            ALL,
            publish,
            Some("{\"topic\":\"a\",\"texxt\":\"b\"}".to_owned()),
            400,
            "body_invalid",
            "unknown field `texxt`, expected one of `topic`, `text`",
        ),
        (
            ALL,
            publish,
            Some("{\"topic\":\"a\",\"text\":\"b\",\"text\":\"c\"}".to_owned()),
            400,
            "body_invalid",
            "duplicate field `text`",
        ),
        (
            ALL,
            publish,
            Some("{\"topic\":\"a\",\"text\":null}".to_owned()),
            400,
            "body_invalid",
            "`text`: invalid type: null",
        ),
        (
            ALL,
            publish,
            Some("{\"topic\":\"a\"}".to_owned()),
            400,
            "body_invalid",
            "give one of `text`, `json` and `base64`",
        ),
        (
            ALL,
            publish,
            Some("{\"topic\":\"a\",\"text\":\"b\",\"json\":1}".to_owned()),
            400,
            "body_invalid",
            "only one of",
        ),
        (ALL, publish, Some("{\"topic\":\"a\",\"base64\":\"?\"}".to_owned()), 400, "body_invalid", "not base64"),
        (
            ALL,
            publish,
            Some("{\"topic\":\"a\",\"text\":\"b\",\"id\":\"a b\"}".to_owned()),
            400,
            "body_invalid",
            "`id`: the id of a message has 1 to 128",
        ),
        (
            ALL,
            publish,
            Some("{\"topic\":\"a\",\"text\":\"b\",\"except\":9007199254740992}".to_owned()),
            400,
            "body_invalid",
            "less than 2^53",
        ),
        (
            ALL,
            "POST /v1/apps/probe/connections/1/close",
            Some("{\"code\":1005}".to_owned()),
            400,
            "body_invalid",
            "`code`: a close code is 1000",
        ),
        (
            ALL,
            "POST /v1/apps/probe/connections/x/close",
            Some("{}".to_owned()),
            400,
            "parameter_invalid",
            "`x` is not the id of a connection",
        ),
        (ALL, "GET /v1/apps/probe/topics?limit=0", None, 400, "parameter_invalid", "`limit` is a number from 1"),
        (
            ALL,
            "GET /v1/apps/probe/topics?lmit=5",
            None,
            400,
            "parameter_invalid",
            "unknown parameter `lmit`, expected one of `prefix`, `after`, `limit`",
        ),
        (ALL, "GET /v1/apps/probe/topics?limit=1&limit=2", None, 400, "parameter_invalid", "given twice"),
        (ALL, "GET /v1/apps/%ff/topics", None, 400, "parameter_invalid", "not UTF-8"),
        (ALL, "POST /v1/apps/probe/publish?topic=a", Some("{}".to_owned()), 400, "parameter_invalid", "takes none"),
        ("wrong-0123456789abcdef", publish, Some("{}".to_owned()), 401, "unauthorized", "Authorization: Bearer TOKEN"),
        (
            "publish-0123456789abcdef",
            "POST /v1/apps/other/publish",
            Some("{}".to_owned()),
            403,
            "wrong_app",
            "not for the app `other`",
        ),
        ("topics-0123456789abcdef", publish, Some("{}".to_owned()), 403, "missing_scope", "the scope `publish`"),
        (ALL, "GET /v1/nowhere", None, 404, "path_unknown", "there is no `/v1/nowhere` here"),
        (ALL, "POST /v1/apps/probe/connections", Some("{}".to_owned()), 404, "path_unknown", "there is no"),
        (ALL, "POST /v1/apps/nobody/publish", Some("{}".to_owned()), 404, "app_unknown", "there is no app `nobody`"),
        (
            ALL,
            "POST /v1/apps/probe/connections/77777/send",
            Some("{\"text\":\"a\"}".to_owned()),
            404,
            "connection_unknown",
            "no such connection",
        ),
        (ALL, "GET /v1/apps/probe/topics/news/history", None, 404, "history_none", "the topic keeps no history"),
        (
            ALL,
            "GET /v1/apps/probe/topics/news/history?since=1B-2",
            None,
            400,
            "parameter_invalid",
            "`since` is a position as the host writes it, such as `1b2f4c-1024`, and not `1B-2`",
        ),
        (ALL, "GET /v1/apps/probe/publish", None, 405, "method_wrong", "does not take GET"),
        (ALL, "DELETE /v1/apps/probe/topics", None, 405, "method_wrong", "does not take DELETE"),
        (
            ALL,
            publish,
            Some(format!("{{\"topic\":\"a\",\"text\":\"{huge}\"}}")),
            413,
            "body_too_large",
            "`api.body_bytes` = 64",
        ),
        (
            ALL,
            publish,
            Some(format!("{{\"topic\":\"a\",\"text\":\"{large}\"}}")),
            413,
            "message_too_large",
            "`outbox_bytes`",
        ),
        (
            ALL,
            "POST /v1/apps/probe/broadcast",
            Some("{\"topics\":[\"a\",\"b\",\"c\"],\"text\":\"x\"}".to_owned()),
            413,
            "too_many_commands",
            "there are 3, and at most `api.batch_commands` = 2",
        ),
        (
            ALL,
            publish,
            Some(format!("{{\"topic\":\"{}\",\"text\":\"b\"}}", "ä".repeat(200))),
            422,
            "topic_invalid",
            "this one has 400",
        ),
        (
            ALL,
            "POST /v1/apps/probe/connections/1/close",
            Some(format!("{{\"reason\":\"{}\"}}", "ä".repeat(100))),
            422,
            "close_invalid",
            "more than 123 bytes",
        ),
    ] {
        let answer = bench.ask(token, line, body.as_deref()).await;
        assert_eq!(note(&mut seen, &answer), (status, code.to_owned()), "{line} {body:?}: {answer:?}");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(text), "missing {text:?} in {message}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{answer:?}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{answer:?}");
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    }
    let too_many = json!({ "commands": vec![json!({ "close": { "connection": 1 } }); 3] });
    assert_eq!(failure(&bench.post("batch", too_many).await), (413, "too_many_commands".to_owned()));
    for media_type in ["", "content-type: text/plain\r\n", "content-type: application/jsonx\r\n"] {
        let mut raw = Raw::connect(&bench.address()).await;
        let fields = format!("authorization: Bearer {ALL}\r\n{media_type}content-length: 2\r\n");
        raw.send(format!("{publish} HTTP/1.1\r\nhost: x\r\n{fields}\r\n{{}}")).await;
        assert_eq!(note(&mut seen, &raw.answer().await), (415, "media_type_wrong".to_owned()), "{media_type}");
    }
    for key in ["Idempotency-Key: \r\n", "Idempotency-Key: a b\r\n", "Idempotency-Key: a\r\nIdempotency-Key: a\r\n"] {
        let mut raw = Raw::connect(&bench.address()).await;
        let body = json!({ "topic": "a", "text": "b" }).to_string();
        let request = request(ALL, publish, Some(&body)).replace("host: x\r\n", &format!("host: x\r\n{key}"));
        raw.send(request).await;
        assert_eq!(note(&mut seen, &raw.answer().await), (400, "parameter_invalid".to_owned()), "{key}");
    }
    codes_of_slow_requests(&mut seen).await;
    codes_of_a_host_without_memory(&mut seen).await;
    codes_of_connections(&mut seen).await;
    codes_of_a_cluster(&mut seen).await;
    let document = bench.document().await;
    let all = document["components"]["schemas"]["Code"]["enum"].as_array().unwrap().clone();
    let all: BTreeSet<_> = all.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    let missing: Vec<_> = all.difference(&seen).collect();
    assert_eq!(missing, ["internal"]);
}

/// A message that is larger than all that may wait for the cluster.
async fn codes_of_a_cluster(seen: &mut BTreeSet<String>) {
    let nats = Nats::start().await;
    let keys = format!("[apps.probe.topics.kept]\nhistory = 1\n{}queue_bytes = \"1KiB\"\n", nats.table());
    let bench = Bench::with("", &keys).await;
    let answer = bench.post("publish", json!({ "topic": "kept", "text": "x".repeat(2 << 10) })).await;
    assert_eq!(note(seen, &answer), (503, "cluster_unavailable".to_owned()));
    let published = bench.done("publish", json!({ "topic": "kept", "text": "x" })).await;
    let found = bench.get("topics/kept/history").await;
    assert_eq!(found["messages"][0]["position"], published["position"]);
}

/// What is refused is read away, so that a client that is still sending reads why.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_still_sending_reads_why_it_is_refused() {
    let bench = Bench::with("body_bytes = \"1MiB\"", "").await;
    let body = json!({ "topic": "a", "text": "x".repeat(8 << 20) }).to_string();
    for (token, expected) in [("wrong-0123456789abcdef", 401), (ALL, 413)] {
        let answer = bench.ask(token, "POST /v1/apps/probe/publish", Some(&body)).await;
        assert_eq!(answer.status, expected);
    }
}
