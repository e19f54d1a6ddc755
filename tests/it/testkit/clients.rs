//! Clients: how they connect and leave.

use std::time::Duration;

use hassock::testkit::{Client, Connect, Message, TestHost, Value};
use hassock_tests::{guest, marked, module_file};
use serde_json::json;

use super::{app, ask, config, ok, probe, text};

/// What `closed` got, one row for each call: the connection, and the code, the side that closed, and the reason.
fn closed_events(host: &TestHost) -> Vec<(i64, String)> {
    let select = "SELECT connection, detail FROM event WHERE kind = 'closed' ORDER BY rowid";
    let found = host.database("main").unwrap().run(select).unwrap();
    let event = |row: &Vec<Value>| match row.as_slice() {
        [Value::S64(connection), Value::Text(detail)] => (*connection, detail.clone()),
        other => panic!("{other:?}"),
    };
    found.rows.iter().map(event).collect()
}

#[test]
fn messages_of_each_kind_come_back() {
    let host = probe().build().unwrap();
    let client = host.connect("/");
    client.send_text("héllo");
    client.expect_text("héllo");
    client.send_text("");
    client.expect_text("");
    client.send_binary([0, 255, 128]);
    client.expect_binary(&[0, 255, 128]);
    client.send_binary([]);
    client.expect_binary(&[]);
    client.send("a text").unwrap();
    client.send(vec![1]).unwrap();
    assert_eq!(client.messages(), [Message::Text("a text".into()), Message::Binary(vec![1])]);
    client.send_json(&json!({ "setting": "none" }));
    client.expect_json(&json!({ "ok": null }));
    client.expect_nothing();
    assert!(client.is_open());
}

#[test]
fn the_module_sees_the_request_and_the_client_the_answer() {
    let host = probe().build().unwrap();
    let request = Connect::to("/a/b?open=describe&x=1").header("X-Test", "yes").subprotocol("v2").subprotocol("v1");
    let client = host.connect(request);
    let seen: serde_json::Value = serde_json::from_str(&text(&client)).unwrap();
    let remote = seen["remote"].as_str().unwrap();
    assert!(remote.starts_with("127.0.0.1"), "{remote}");
    let expected = json!({
        "path": "/a/b", "query": "open=describe&x=1", "header": "yes", "subprotocols": ["v2", "v1"],
        "remote": remote, "secure": false, "traceparent": null,
    });
    assert_eq!(seen, expected);
    let chosen = ("sec-websocket-protocol".to_owned(), "v2".to_owned());
    assert!(client.answer().headers.contains(&chosen), "{:?}", client.answer());
    assert_eq!((client.answer().status, client.answer().body.as_str()), (101, ""));
    let client = host.connect("/?open=header");
    assert!(client.answer().headers.contains(&("x-room".to_owned(), "lobby".to_owned())), "{:?}", client.answer());
    assert!(client.answer().headers.iter().all(|(name, _)| name != "date"), "the answer has no real time");
}

#[test]
fn a_refusal_is_an_answer_with_everything() {
    let host = probe().build().unwrap();
    let refused = host.request(&Connect::to("/?open=refuse")).unwrap().err().unwrap();
    assert_eq!((refused.status, refused.body.as_str()), (403, "not you"));
    assert!(refused.headers.contains(&("x-why".to_owned(), "because".to_owned())), "{refused:?}");
    for strange in ["strange-status", "strange-header", "strange-subprotocol"] {
        let refused = host.request(&Connect::to(format!("/?open={strange}"))).unwrap().err().unwrap();
        assert_eq!(refused.status, 500, "{strange}");
    }
    assert!(host.request(&Connect::to("/")).unwrap().is_ok());
}

#[test]
fn paths_and_origins_are_those_of_the_config() {
    let (_folder, file) = config(&format!(
        "{}databases.main = \"read-only\"\n[databases.main]\nurl = \"sqlite://x.db\"\n",
        app("probe", &guest("probe"))
    ));
    let host = TestHost::builder().config(&file).build().unwrap();
    let status = |connect: Connect| host.request(&connect).unwrap().err().map(|answer| answer.status);
    assert_eq!(status(Connect::to("/elsewhere")), Some(404));
    assert_eq!(status(Connect::to("/probe")), None);
    assert_eq!(status(Connect::to("/probe").header("Origin", "https://evil.example")), Some(403));
    assert_eq!(status(Connect::to("/probe").header("Origin", "http://localhost")), None);
    assert!(!file.with_file_name("x.db").exists(), "databases are in memory");
}

#[test]
fn a_malformed_request_is_an_error_and_the_host_goes_on() {
    let host = probe().build().unwrap();
    for connect in [Connect::to("/a b"), Connect::to("/").header("no name", "x"), Connect::to("/").header("x", "a\nb")]
    {
        let error = host.request(&connect).err().unwrap().to_string();
        assert!(error.contains("the request cannot be sent"), "{error}");
    }
    host.connect("/").expect_nothing();
}

#[test]
fn what_open_sends_is_there_at_once() {
    let host = probe().build().unwrap();
    let client = host.connect("/?open=greet");
    client.expect_text("welcome");
    client.expect_nothing();
    let client = host.connect("/?open=close");
    assert_eq!(client.closed(), (3001, "at once".to_owned()));
    assert!(!client.is_open());
}

/// Only a handshake lets time pass without `advance`, as long as the module waits.
#[test]
fn an_open_that_waits_gets_its_time() {
    let host = probe().build().unwrap();
    let before = host.now();
    let client = host.connect("/?open=slow&topic=late");
    assert_eq!(host.now(), before + Duration::from_millis(300));
    client.send_text("well");
    client.expect_text("well");
    let quick = host.connect("/");
    assert_eq!(host.now(), before + Duration::from_millis(300));
    assert_eq!(ok(&quick, &json!({ "subscribers": "late" })), json!([1]));
}

#[test]
fn ids_are_as_asked_for() {
    let host = probe().build().unwrap();
    let opened = |connect: Connect| ok(&host.connect(connect), &json!("attachment"))["opened"].as_u64().unwrap();
    assert_eq!(opened(Connect::to("/")), 1);
    assert_eq!(opened(Connect::to("/").id(1000)), 1000);
    assert_eq!(opened(Connect::to("/")), 1001);
    assert_eq!(opened(Connect::to("/").id(5)), 1002, "an id is never given twice");
}

/// A way to end a connection.
type End = fn(Client);

/// A way after which the client still exists.
type Leave = fn(&Client);

/// Invariant 2, whatever the client does: one `closed`, at once, which says how it ended.
#[test]
fn each_end_is_told_to_the_module_once() {
    let ends: [(End, &str); 6] = [
        (|client| client.disconnect(Some((4001, "bye"))).unwrap(), "4001 Client bye"),
        (|client| client.disconnect(None).unwrap(), "1005 Client "),
        (|client| client.vanish().unwrap(), "1006 Transport the client went away"),
        (drop, "1006 Transport the client went away"),
        (|client| client.send_json(&json!({ "close": { "code": 3000, "reason": "enough" } })), "3000 Module enough"),
        (|client| client.send_json(&json!({ "fail": "on purpose" })), "1011 Host the application failed"),
    ];
    let host = probe().setting("events", "yes").build().unwrap();
    for (number, (end, detail)) in (1..).zip(ends) {
        end(host.connect("/"));
        let events = closed_events(&host);
        assert_eq!(events.len(), number, "{events:?}");
        let (connection, told) = events.last().unwrap();
        assert_eq!(usize::try_from(*connection).unwrap(), number);
        assert!(told.starts_with(detail), "{told}, not {detail}");
    }
    host.advance(Duration::from_secs(3600));
    assert_eq!(closed_events(&host).len(), 6);
}

/// Invariants 1 and 2: a client that leaves during a call does not end it, and `closed` comes after it.
#[test]
fn an_end_during_a_call_waits_for_it() {
    let module = module_file(&marked("v1"));
    let host = TestHost::load(module.path()).unwrap();
    let observer = host.connect("/?topic=events");
    let ends: [(Leave, &str); 2] = [
        (|client| client.vanish().unwrap(), "v1 closed 1006"),
        (|client| client.disconnect(Some((4000, "bye"))).unwrap(), "v1 closed 4000"),
    ];
    for (end, told) in ends {
        let client = host.connect("/");
        client.send_text("nap");
        client.expect_text("v1 naps");
        end(&client);
        host.advance(Duration::from_millis(250));
        observer.expect_nothing();
        host.advance(Duration::from_millis(100));
        // What the call published before it slept is sent when the call ends.
        observer.expect_text("v1 naps");
        observer.expect_text(told);
        observer.expect_nothing();
    }
}

#[test]
fn the_client_sees_how_the_module_closes() {
    let host = probe().build().unwrap();
    let client = host.connect("/");
    client.send_text("before");
    client.send_json(&json!({ "close": { "code": 3000, "reason": "enough" } }));
    assert_eq!(client.messages(), [Message::Text("before".into())], "the end is not a message");
    assert_eq!(client.closed(), (3000, "enough".to_owned()));
    assert_eq!(client.receive(), None);
    let client = host.connect("/");
    client.send_json(&json!({ "fail": "on purpose" }));
    assert_eq!(client.closed().0, 1011);
}

#[test]
fn a_connection_that_is_over_takes_nothing() {
    let host = probe().build().unwrap();
    let ends: [Leave; 3] = [
        |client| client.disconnect(None).unwrap(),
        |client| client.vanish().unwrap(),
        |client| client.send_json(&json!({ "close": { "code": 3000, "reason": "" } })),
    ];
    for end in ends {
        let client = host.connect("/");
        client.send_text("before");
        end(&client);
        assert!(!client.is_open());
        for result in [client.send("after"), client.disconnect(None), client.vanish(), client.fail_outbox()] {
            assert_eq!(result.unwrap_err().to_string(), "the connection is closed");
        }
        client.expect_text("before");
    }
    let client = host.connect("/");
    client.disconnect(Some((1000, "bye"))).unwrap();
    client.expect_nothing();
}

#[test]
fn a_close_that_no_client_may_send_does_not_hang() {
    let host = probe().setting("events", "yes").build().unwrap();
    let client = host.connect("/");
    // 1006 must never be sent. Whatever the host does with it, the module gets one `closed`.
    client.disconnect(Some((1006, "no"))).unwrap();
    assert_eq!(closed_events(&host).len(), 1);
    let client = host.connect("/");
    client.disconnect(Some((4000, &"x".repeat(200)))).unwrap();
    assert_eq!(closed_events(&host).len(), 2, "{:?}", closed_events(&host));
    assert_eq!(ask(&host.connect("/"), &json!({ "setting": "events" })), json!({ "ok": "yes" }));
}
