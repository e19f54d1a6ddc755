use std::fs::File;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::record::{EndedBy, Received, RecordedRequest, Sent};

fn entry(at: Duration, event: Event) -> Entry {
    Entry { at: u64::try_from(at.as_micros()).unwrap(), event }
}

fn said(text: &str) -> Event {
    Event::Sent { client: "c1".to_owned(), message: Sent::Text(text.to_owned()) }
}

#[test]
fn time_passes_in_pauses_and_before_timers() {
    let mut script = Script::default();
    let ms = |millis: u64| Duration::from_millis(millis);
    for (at, event, expected) in [
        (ms(60), said("a"), "c1 > a\n"),
        // Short pauses add up.
        (ms(110), said("b"), "advance 110ms\nc1 > b\n"),
        // Rounded up to a millisecond, and counted from there.
        (ms(300) + Duration::from_micros(1), said("c"), "advance 191ms\nc1 > c\n"),
        (ms(301), Event::Fired, ""),
        (ms(302), Event::Fired, "advance 1ms\n"),
        (ms(302), said("d"), "c1 > d\n"),
        (ms(401), said("e"), "c1 > e\n"),
        (ms(65_401), said("f"), "advance 1m 5s 99ms\nc1 > f\n"),
        (ms(0), Event::Complete, ""),
    ] {
        assert_eq!(script.lines(entry(at, event)), expected);
    }
}

#[test]
fn each_event_is_its_step() {
    let mut script = Script::default();
    let client = || "c1".to_owned();
    let ended = |by, code, reason: &str| Event::Ended { client: client(), by, code, reason: reason.to_owned() };
    let asked =
        || RecordedRequest { target: "/a?b=c".to_owned(), headers: vec![("user-agent".to_owned(), "t".to_owned())] };
    let refused =
        |body: &str| Event::Refused { client: client(), request: asked(), status: 409, body: body.to_owned() };
    let received = |value, redacted: &[&str]| {
        let redacted = redacted.iter().map(|&pointer| pointer.to_owned()).collect();
        Event::Received { client: client(), message: Received::Json { value, redacted } }
    };
    let answer = vec![
        ("sec-websocket-protocol".to_owned(), Some("v2".to_owned())),
        ("set-cookie".to_owned(), None),
        ("location".to_owned(), Some("/a".to_owned())),
    ];
    let began = Event::Began {
        app: "chat\nx".to_owned(),
        version: "0123456789ab".to_owned(),
        connections: 1,
        clock: "2026-01-31T12:00:00.000Z".to_owned(),
    };
    for (event, expected) in [
        (
            began,
            "# recorded from chat x (version 0123456789ab) at 2026-01-31T12:00:00.000Z\nclock 2026-01-31T12:00:00.000Z\n",
        ),
        (
            Event::Connected { client: client(), request: asked(), id: 17, answer, since: None },
            "connect c1 /a?b=c\n  user-agent: t\n  @id: 17\n  < sec-websocket-protocol: v2\n  < set-cookie: /.*/\n  \
             < location: text \"/a\"\n",
        ),
        (
            Event::Refused {
                client: client(),
                request: RecordedRequest {
                    target: "/${a}".to_owned(),
                    headers: vec![("origin".to_owned(), "${b}".to_owned())],
                },
                status: 403,
                body: "${c}".to_owned(),
            },
            "connect c1 /$${a} refused 403 ${c}\n  origin: $${b}\n",
        ),
        (refused("taken\n"), "connect c1 /a?b=c refused 409 taken\n  user-agent: t\n"),
        (refused(" \n"), "connect c1 /a?b=c refused 409\n  user-agent: t\n"),
        (refused("a.\nb"), "connect c1 /a?b=c refused 409 text \"a.\\nb\"\n  user-agent: t\n"),
        (said("{\"a\":\"${b}\"}"), "c1 > {\"a\":\"$${b}\"}\n"),
        (said("a\nb"), "c1 > a\n  b\n"),
        (Event::Sent { client: client(), message: Sent::Binary(vec![0, 255]) }, "c1 > hex 00ff\n"),
        (
            received(json!({ "z": 1, "a": "redacted", "b": ["${any}", "redacted"] }), &["/a"]),
            "c1 < {\"z\":1,\"a\":\"${any}\",\"b\":[\"$${any}\",\"redacted\"]}\n",
        ),
        (received(json!({ "a/b": [{ "~": 1 }] }), &["/a~1b/0/~0"]), "c1 < {\"a/b\":[{\"~\":\"${any}\"}]}\n"),
        (received(json!("redacted"), &[""]), "c1 < /.*/\n"),
        (Event::Received { client: client(), message: Received::Text("${any}".to_owned()) }, "c1 < $${any}\n"),
        (Event::Received { client: client(), message: Received::Text("hi".to_owned()) }, "c1 < hi\n"),
        (ended(EndedBy::Client, 1005, ""), "c1 skips\nc1 disconnects\n"),
        (ended(EndedBy::Client, 1000, ""), "c1 skips\nc1 disconnects 1000\n"),
        (ended(EndedBy::Client, 4000, "good\nbye"), "c1 skips\nc1 disconnects 4000 good bye\n"),
        (ended(EndedBy::Transport, 1006, "the client went away"), "c1 skips\nc1 vanishes\n"),
        (ended(EndedBy::Module, 3000, "done"), "c1 closed 3000 done\n"),
        (ended(EndedBy::Host, 1011, ""), "c1 closed 1011\n"),
        (ended(EndedBy::Module, 3000, " a"), "c1 closed 3000 text \" a\"\n"),
    ] {
        assert_eq!(script.lines(entry(Duration::ZERO, event)), expected);
    }
}

#[test]
fn positions_become_placeholders() {
    let mut script = Script::default();
    let client = || "c1".to_owned();
    let heard = |header: serde_json::Value, payload: &str| {
        let message = Received::Text(payload.to_owned());
        Event::Heard { client: client(), header, redacted: Vec::new(), message }
    };
    let said = |header: serde_json::Value| Event::Said { client: client(), header, message: Sent::Text(String::new()) };
    let connected = |topic: &str, position: &str| Event::Connected {
        client: client(),
        request: RecordedRequest { target: "/a".to_owned(), headers: Vec::new() },
        id: 1,
        answer: Vec::new(),
        since: Some([(topic.to_owned(), position.to_owned())].into()),
    };
    let began =
        Event::Began { app: "chat".to_owned(), version: "0".to_owned(), connections: 1, clock: "now".to_owned() };
    let subscribed = |more: serde_json::Value| {
        let mut header = json!({ "type": "subscribed", "topic": "a", "was_recovering": true, "recovered": true });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        heard(header, "")
    };
    let published = |topic: &str, id: Option<&str>| Event::Published {
        topic: topic.to_owned(),
        id: id.map(str::to_owned),
        message: Sent::Text("hi".to_owned()),
    };
    for (event, expected) in [
        (began, "# recorded from chat (version 0) at now\nclock now\n"),
        (connected("a", "1b-3"), "connect c1 /a hassock.v1\n  @since: a 1b-3\n  @id: 1\n"),
        (subscribed(json!({ "position": "1b-3" })), "c1 < (subscribed a at ${p1=string} recovered)\n"),
        (
            heard(json!({ "topic": "a", "position": "1b-4", "id": "k k" }), "x"),
            "c1 < (a at ${p2=string} id \"k k\") x\n",
        ),
        (heard(json!({ "topic": "b", "position": "1b-4" }), "${x}"), "c1 < (b at ${p3=string}) $${x}\n"),
        (heard(json!({ "topic": "b" }), ""), "c1 < (b) text\n"),
        (connected("a", "1b-4"), "connect c1 /a hassock.v1\n  @since: a ${p2}\n  @id: 1\n"),
        (subscribed(json!({ "request": 9, "position": "1b-4" })), "c1 < (subscribed a at ${p2} recovered)\n"),
        (
            heard(json!({ "type": "position", "topic": "a", "position": "1b-5" }), ""),
            "c1 < (position a at ${p4=string})\n",
        ),
        (heard(json!({ "type": "reply", "request": 9 }), "yes"), "c1 < (reply) yes\n"),
        (
            heard(json!({ "type": "error", "request": 9, "code": "refused", "message": "no" }), ""),
            "c1 < (error refused) no\n",
        ),
        (heard(json!({ "type": "closing", "reconnect": false, "after": 0 }), ""), "c1 < (closing)\n"),
        (heard(json!({ "type": "dance" }), ""), ""),
        (
            said(json!({ "type": "subscribe", "request": 1, "topic": "a", "since": "1b-5" })),
            "c1 > (subscribe a since ${p4})\n",
        ),
        (said(json!({ "type": "subscribe", "request": 1, "topic": "c", "last": 5 })), "c1 > (subscribe c last 5)\n"),
        (said(json!({ "type": "unsubscribe", "topic": "a" })), "c1 > (unsubscribe a)\n"),
        (said(json!({ "type": "request", "request": 1 })), "c1 > (request) text\n"),
        (said(json!({ "type": "dance" })), ""),
        (published("a", Some("k")), "publish chat (a id k) hi\n"),
        (published("${a}", None), "publish chat ($${a}) hi\n"),
    ] {
        assert_eq!(script.lines(entry(Duration::ZERO, event)), expected);
    }
    let header = json!({ "type": "presence", "topic": "a", "count": 1, "members": [{ "data": "redacted" }] });
    let redacted = vec!["/members/0/data".to_owned()];
    let told = Event::Heard { client: client(), header, redacted, message: Received::Text(String::new()) };
    let expected = "c1 < (presence a) {\"count\":1,\"members\":[{\"data\":\"${any}\"}]}\n";
    assert_eq!(script.lines(entry(Duration::ZERO, told)), expected);
}

fn tally(events: &[Event]) -> Tally {
    let mut tally = Tally::default();
    events.iter().for_each(|event| tally.add(Counted::of(event)));
    tally
}

#[test]
fn connections_refusals_and_messages_are_counted() {
    let asked = || RecordedRequest { target: "/".to_owned(), headers: Vec::new() };
    let connected =
        Event::Connected { client: "c1".to_owned(), request: asked(), id: 1, answer: Vec::new(), since: None };
    let refused = Event::Refused { client: "c2".to_owned(), request: asked(), status: 403, body: String::new() };
    let received = Event::Received { client: "c1".to_owned(), message: Received::Text("a".to_owned()) };
    let events = [connected, refused, said("a"), received, Event::Fired, Event::Complete];
    assert_eq!(tally(&events), Tally { connections: 1, refused: 1, messages: 2 });
}

/// What is not in the file must not count.
#[test]
fn only_what_has_been_written_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.transcript");
    let recording = |file: File| Recording {
        transcript: TranscriptFile::of(path.clone(), file),
        script: Script::default(),
        tally: Tally::default(),
        version: String::new(),
        progress: Progress::new("chat", 1),
    };
    let mut writable = recording(File::create(&path).unwrap());
    writable.take(entry(Duration::ZERO, said("a"))).unwrap();
    assert_eq!((writable.tally.messages, std::fs::read_to_string(&path).unwrap().as_str()), (1, "c1 > a\n"));
    let mut read_only = recording(File::open(&path).unwrap());
    let error = read_only.take(entry(Duration::ZERO, said("b"))).unwrap_err().to_string();
    assert!(error.contains("cannot write the transcript"), "{error}");
    assert_eq!(read_only.tally, Tally::default());
}
