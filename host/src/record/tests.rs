use std::sync::Arc;

use bytes::Bytes;
use hassock_frames::{Encoded, Packed, Payload};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::event::{Entry, Event, Received, RecordedRequest, Sent};
use super::redact::Redaction;
use crate::app::connection::{Close, Connection};
use crate::app::recording::{Next, RawEvent, RecordOptions, Recorder, Recording};
use crate::config::RecordConfig;
use crate::module::bindings::hassock::host::types::{Message, Request};

fn request(query: Option<&str>, headers: &[(&str, &str)]) -> Request {
    Request {
        path: "/chat".to_owned(),
        query: query.map(str::to_owned),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        remote_address: "127.0.0.1:1".to_owned(),
        subprotocols: Vec::new(),
        secure: false,
        claims: None,
    }
}

fn redaction(fields: &[&str]) -> Redaction {
    let redact_fields = fields.iter().map(|field| (*field).to_owned()).collect();
    Redaction::new(&RecordConfig { redact_fields, ..RecordConfig::default() })
}

fn sent(redaction: &Redaction, message: Message) -> Sent {
    match redaction.event(RawEvent::Sent { client: "c1".into(), message }) {
        Event::Sent { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

fn sent_text(redaction: &Redaction, text: &str) -> String {
    match sent(redaction, Message::Text(text.to_owned())) {
        Sent::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn received(redaction: &Redaction, message: Encoded) -> Received {
    match redaction.event(RawEvent::Received { client: "c1".into(), message }) {
        Event::Received { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_are_redacted_at_any_depth_and_nothing_else_changes() {
    let redaction = redaction(&["Token", "pin"]);
    let text = r#"{"z":1,"token":{"a":1},"a":[{"pin":1234,"tokens":"stay"}]}"#;
    assert_eq!(sent_text(&redaction, text), r#"{"z":1,"token":"redacted","a":[{"pin":"redacted","tokens":"stay"}]}"#);
    let Received::Json { value, redacted } = received(&redaction, Encoded::text(text)) else { panic!("JSON") };
    assert_eq!(value.to_string(), r#"{"z":1,"token":"redacted","a":[{"pin":"redacted","tokens":"stay"}]}"#);
    assert_eq!(redacted, ["/token", "/a/0/pin"]);
    // A text without a secret stays the same, byte by byte.
    for text in ["{ \"a\" :\t1.10 }", "[1e2]", "token", "{\"token", "", "\"token\""] {
        assert_eq!(sent_text(&redaction, text), text);
    }
    let binary = sent(&redaction, Message::Binary(br#"{"pin":1}"#.to_vec()));
    assert_eq!(binary, Sent::Binary(br#"{"pin":"redacted"}"#.to_vec()));
    assert_eq!(sent(&redaction, Message::Binary(vec![0, 255])), Sent::Binary(vec![0, 255]));
}

#[test]
fn json_that_is_too_deep_to_be_read_is_left_out_as_a_whole() {
    let deep = format!("{}{{\"token\":\"secret\"}}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(sent_text(&redaction(&["token"]), &deep), "redacted");
    assert_eq!(
        received(&redaction(&["token"]), Encoded::text(&deep)),
        Received::Json { value: json!("redacted"), redacted: vec![String::new()] }
    );
    assert_eq!(sent_text(&redaction(&[]), &deep), deep);
    assert_eq!(received(&redaction(&[]), Encoded::text(&deep)), Received::Text(deep));
}

/// The pointers are those of RFC 6901.
#[test]
fn a_secret_field_in_another_notation_redacts_the_whole_text() {
    let redaction = redaction(&["pin"]);
    for text in [
        "42[\"login\",{\"pin\":1}]",
        "{\"a\":1}\n{\"PIN\" : 1}",
        "{'pin': 1}",
        "{pin: 1,}",
        "user=a&pin=1",
        "{\"data\":\"cut off\",\"pin\":\"1",
        "42[\"login\",{\"p\\u0069n\":1}]",
        "p%69n=1",
        "user%5Bpin%5D=1",
        "pin%3D1",
    ] {
        assert_eq!(sent_text(&redaction, text), "redacted", "{text}");
        let redacted = Received::Json { value: json!("redacted"), redacted: vec![String::new()] };
        assert_eq!(received(&redaction, Encoded::text(text)), redacted, "{text}");
    }
    let binary = sent(&redaction, Message::Binary(b"\x00\x01pin=1\xff".to_vec()));
    assert_eq!(binary, Sent::Binary(b"redacted".to_vec()));
    assert_eq!(target(&redaction, "name=pin%3D1&room=a"), "/chat?name=redacted&room=a");
    let nested = json!({ "a": 1, "data": json!({ "pin": 1 }).to_string() }).to_string();
    assert_eq!(sent_text(&redaction, &nested), r#"{"a":1,"data":"redacted"}"#);
    for text in ["I forgot the pin", "spinning: yes", r#"{"say":"my pin, please"}"#] {
        assert_eq!(sent_text(&redaction, text), text);
    }
}

#[test]
fn the_place_of_a_redacted_value_can_be_found() {
    let Received::Json { value, redacted } = received(
        &redaction(&["pin", "a/b~c"]),
        Encoded::text(r#"{"x/y":[0,{"~":{"PIN":1}}],"a/b~c":2,"say":"redacted"}"#),
    ) else {
        panic!("JSON")
    };
    assert_eq!(redacted, ["/x~1y/1/~0/PIN", "/a~1b~0c"]);
    assert!(redacted.iter().all(|pointer| value.pointer(pointer) == Some(&json!("redacted"))), "{value}");
}

#[test]
fn the_body_of_a_refusal_and_the_reason_of_a_close_are_redacted_too() {
    let redaction = redaction(&["token"]);
    let event = RawEvent::Refused {
        client: "c1".into(),
        request: request(None, &[]).into(),
        status: StatusCode::FORBIDDEN,
        body: r#"{"token":"secret"}"#.into(),
    };
    let Event::Refused { body, .. } = redaction.event(event) else { panic!("refused") };
    assert_eq!(body, r#"{"token":"redacted"}"#);
    let close = Close { reason: r#"{"token":"secret"}"#.into(), ..Close::going_away() };
    let Event::Ended { reason, .. } = redaction.event(RawEvent::Ended { client: "c1".into(), close }) else {
        panic!("ended")
    };
    assert_eq!(reason, r#"{"token":"redacted"}"#);
}

/// A browser lets a page set no other header field.
#[test]
fn subprotocols_that_look_like_tokens_are_redacted() {
    let offered = |offered: &str| {
        let event = RawEvent::Refused {
            client: "c1".into(),
            request: request(None, &[("sec-websocket-protocol", offered)]).into(),
            status: StatusCode::FORBIDDEN,
            body: "".into(),
        };
        let Event::Refused { request, .. } = redaction(&[]).event(event) else { panic!("refused") };
        request.headers[0].1.clone()
    };
    for kept in ["chat", "chat, v2.chat", "graphql-transport-ws", "wamp.2.msgpack.batched", "ocpp2.0.1"] {
        assert_eq!(offered(kept), kept);
    }
    assert_eq!(offered("chat,Bearer.abc"), "chat, redacted");
    assert_eq!(offered("base64url.bearer.authorization.k8s.io.QQ, v4.channel.k8s.io"), "redacted, v4.channel.k8s.io");
    assert_eq!(offered("chat, eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"), "chat, redacted");
}

/// The syntax of transcripts does not matter in a recording.
#[test]
fn texts_stay_as_they_are() {
    let redaction = redaction(&["token"]);
    assert_eq!(sent_text(&redaction, "a ${b} $${c} $d"), "a ${b} $${c} $d");
    assert_eq!(received(&redaction, Encoded::text("${any}")), Received::Text("${any}".to_owned()));
    let frame = Encoded::text(r#"{"a":["${any}"]}"#);
    assert_eq!(received(&redaction, frame), Received::Json { value: json!({ "a": ["${any}"] }), redacted: Vec::new() });
    let request = request(Some("a=${b}"), &[("origin", "${c}")]);
    let event = RawEvent::Refused {
        client: "c1".into(),
        request: request.into(),
        status: StatusCode::FORBIDDEN,
        body: "${d}".into(),
    };
    match redaction.event(event) {
        Event::Refused { request, body, .. } => {
            assert_eq!(request.target, "/chat?a=${b}");
            assert_eq!(request.headers, [("origin".to_owned(), "${c}".to_owned())]);
            assert_eq!(body, "${d}");
        }
        other => panic!("{other:?}"),
    }
}

fn target(redaction: &Redaction, query: &str) -> String {
    let (request, answer) = (request(Some(query), &[]).into(), HeaderMap::new().into());
    match redaction.event(RawEvent::Connected { client: "c1".into(), request, id: 7, answer }) {
        Event::Connected { request, .. } => request.target,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_with_credentials_are_redacted_by_default() {
    let query = "room=a&token=s&Access_Token=s&pass%77ord=s&KEY=s&key&keys=shown&token=";
    let expected = "/chat?room=a&token=redacted&Access_Token=redacted&pass%77ord=redacted&KEY=redacted&key&keys=shown\
                    &token=redacted";
    assert_eq!(target(&redaction(&[]), query), expected);
    assert_eq!(target(&redaction(&["room"]), "room=a&key=s&x=1"), "/chat?room=redacted&key=redacted&x=1");
    // Fields of messages only if the config names them: a `key` is often something else there.
    assert_eq!(sent_text(&redaction(&[]), r#"{"key":1}"#), r#"{"key":1}"#);
}

#[test]
fn requests_and_answers_keep_their_secrets() {
    let headers = [
        ("host", "h"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "k"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-extensions", "x"),
        ("sec-websocket-protocol", "v2, v1"),
        ("origin", "https://example.org"),
        ("cookie", "session=secret"),
        ("authorization", "Bearer secret"),
    ];
    let request = request(Some("room=a&to%6ben=secret&token&x=token"), &headers);
    let mut answer = HeaderMap::new();
    answer.insert("set-cookie", HeaderValue::from_static("session=secret"));
    answer.append("x-room", HeaderValue::from_static("a"));
    let event = RawEvent::Connected { client: "c1".into(), request: request.into(), id: 7, answer: answer.into() };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = Event::Connected {
        client: "c1".to_owned(),
        request: RecordedRequest {
            target: "/chat?room=a&to%6ben=redacted&token&x=token".to_owned(),
            headers: vec![
                pair("sec-websocket-protocol", "v2, v1"),
                pair("origin", "https://example.org"),
                pair("cookie", "redacted"),
                pair("authorization", "redacted"),
            ],
        },
        id: 7,
        answer: vec![("set-cookie".to_owned(), None), ("x-room".to_owned(), Some("a".to_owned()))],
        since: None,
    };
    assert_eq!(redaction(&["token"]).event(event), expected);
}

/// A name in the config adds to the default names.
#[test]
fn naming_a_field_adds_to_those_with_credentials() {
    let config = RecordConfig { redact_headers: vec!["X-Key".to_owned()], ..RecordConfig::default() };
    let headers = [("x-key", "secret"), ("cookie", "secret"), ("x-room", "a")];
    let (request, answer) = (request(None, &headers).into(), HeaderMap::new().into());
    let event = RawEvent::Connected { client: "c1".into(), request, id: 7, answer };
    let Event::Connected { request, .. } = Redaction::new(&config).event(event) else { panic!("connected") };
    let shown: Vec<&str> = request.headers.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(shown, ["redacted", "redacted", "a"]);
}

#[test]
fn an_event_survives_its_line() {
    let value = json!({ "z": [1, 2.5, null], "a": u64::MAX });
    let message = Received::Json { value, redacted: vec!["/a".to_owned()] };
    for event in [
        Event::Sent { client: "c1".to_owned(), message: Sent::Binary(vec![0, 10, 255]) },
        Event::Received { client: "c1".to_owned(), message },
        Event::Fired,
    ] {
        let entry = Entry { at: 12, event };
        let line = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry, "{line}");
    }
    assert!(serde_json::from_str::<Sent>(r#"{"binary":"0g"}"#).is_err());
    assert!(serde_json::from_str::<Sent>(r#"{"binary":"000"}"#).is_err());
}

fn recording(connections: usize, bytes: usize) -> Arc<Recording> {
    Arc::new(Recording::new(RecordOptions { connections, bytes }))
}

fn accept(recording: &Arc<Recording>, id: u64) -> Arc<Connection> {
    let connection = Arc::new(Connection::new(id, 1000));
    recording.ask(|| request(None, &[])).unwrap().accepted(&connection, &HeaderMap::new());
    connection
}

/// What can be read now, in a few words each.
fn read(recording: &Recording) -> Vec<String> {
    let mut words = Vec::new();
    loop {
        words.push(match recording.next() {
            Next::RawEvent(_, RawEvent::Connected { client, .. }) => format!("{client} connected"),
            Next::RawEvent(_, RawEvent::Refused { client, status, .. }) => format!("{client} refused {status}"),
            Next::RawEvent(_, RawEvent::Sent { client, .. }) => format!("{client} sent"),
            Next::RawEvent(_, RawEvent::Received { client, .. }) => format!("{client} received"),
            Next::RawEvent(_, RawEvent::Published { topic, .. }) => format!("{topic} published"),
            Next::RawEvent(_, RawEvent::Fired) => "fired".to_owned(),
            Next::RawEvent(_, RawEvent::Ended { client, .. }) => format!("{client} ended"),
            Next::Nothing => return words,
            Next::End(end) => {
                words.push(format!("{end:?}"));
                return words;
            }
        });
    }
}

#[test]
fn what_comes_of_a_request_comes_after_it() {
    let recording = recording(2, 10_000);
    let first = accept(&recording, 1);
    let asking = recording.ask(|| request(None, &[])).unwrap();
    // The module tells the first about the second before it has answered the second.
    first.tap().unwrap().received(&Encoded::text("joined"));
    assert_eq!(read(&recording), ["c1 connected"]);
    assert!(recording.ask(|| request(None, &[])).is_none(), "two are open or may be soon");
    asking.refused(StatusCode::CONFLICT, Bytes::new());
    assert_eq!(read(&recording), ["c2 refused 409 Conflict", "c1 received"]);
    // A client that goes without an answer leaves nothing behind.
    drop(recording.ask(|| request(None, &[])).unwrap());
    let second = accept(&recording, 4);
    assert!(recording.ask(|| request(None, &[])).is_none());
    first.tap().unwrap().ended(&Close::going_away());
    second.tap().unwrap().ended(&Close::going_away());
    assert_eq!(read(&recording), ["c4 connected", "c1 ended", "c4 ended", "Complete"]);
}

#[test]
fn a_recording_that_is_cut_short_waits_for_those_that_are_open() {
    let recording = recording(2, 10_000);
    let first = accept(&recording, 1);
    recording.cut_short();
    assert!(recording.ask(|| request(None, &[])).is_none());
    assert_eq!(read(&recording), ["c1 connected"]);
    first.tap().unwrap().ended(&Close::going_away());
    assert_eq!(read(&recording), ["c1 ended", "CutShort"]);
}

#[test]
fn more_than_the_bytes_end_it_and_what_came_before_is_read() {
    let recording = recording(2, 1000);
    let first = accept(&recording, 1);
    let tap = first.tap().unwrap();
    let text = |bytes: usize| {
        let mut messages = Packed::default();
        messages.push(Payload::text(&"x".repeat(bytes)));
        messages
    };
    tap.sent(&text(400));
    tap.sent(&text(400));
    tap.sent(&text(0));
    assert!(recording.ask(|| request(None, &[])).is_none(), "the recording is over");
    assert_eq!(read(&recording), ["c1 connected", "c1 sent", "TooSlow"]);
}

#[test]
fn an_app_has_room_for_one() {
    let recorder = Recorder::default();
    let order = RecordOptions { connections: 1, bytes: 1000 };
    let recording = recorder.start(order).unwrap();
    assert!(recorder.start(order).is_none());
    assert!(recorder.ask(|| request(None, &[])).is_some());
    recorder.stop(&recording);
    assert!(recorder.ask(|| request(None, &[])).is_none());
    let next = recorder.start(order).unwrap();
    // A late stop does not end the next recording.
    recorder.stop(&recording);
    assert!(recorder.start(order).is_none());
    recorder.stop(&next);
}
