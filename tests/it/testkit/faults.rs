//! Faults on demand: calls that fail, instances that are lost, outboxes that are full.

use hassock::testkit::{CallFault, Connect};
use serde_json::json;

use super::{ask, logged, ok, probe, rows};

/// Each fault, with the close code, the reason that a client gets, and the status of a refused handshake.
const FAULTS: [(CallFault, u16, &str, u16); 5] = [
    (CallFault::Trap, 1011, "the application failed", 500),
    (CallFault::Memory, 1011, "the application failed", 500),
    (CallFault::CpuTime, 1011, "the application took too long", 503),
    (CallFault::Timeout, 1011, "the application took too long", 503),
    (CallFault::Busy, 1013, "the application is busy", 503),
];

#[test]
fn each_fault_closes_as_in_production() {
    let host = probe().set("rollback.watch_for", "\"0s\"").build().unwrap();
    let bystander = host.connect("/");
    for (fault, code, reason, _) in FAULTS {
        let victim = host.connect("/");
        host.take_log();
        host.fail_call(None, fault).unwrap();
        victim.send_text("never handled");
        let closed = victim.closed();
        assert_eq!(closed.0, code, "{fault:?}");
        assert!(closed.1.starts_with(&format!("{reason} (version ")), "{fault:?}: {closed:?}");
        let lines = logged(&host, "call=receive");
        assert_eq!(lines.len(), 1, "{fault:?}: {lines:?}");
        assert!(lines[0].starts_with("ERROR"), "{}", lines[0]);
        // A fresh instance serves the next call.
        let client = host.connect("/");
        client.send_text("well");
        client.expect_text("well");
    }
    bystander.send_text("nothing noticed");
    bystander.expect_text("nothing noticed");
}

#[test]
fn an_instance_that_fails_is_replaced() {
    let host = probe().build().unwrap();
    let (victim, client) = (host.connect("/"), host.connect("/"));
    assert_eq!(ok(&client, &json!("calls")), 1);
    assert_eq!(ok(&client, &json!("calls")), 2);
    host.fail_call(None, CallFault::Trap).unwrap();
    victim.send_text("x");
    assert_eq!(victim.closed().0, 1011);
    assert_eq!(ok(&client, &json!("calls")), 1);
}

#[test]
fn a_fault_in_open_refuses_the_client() {
    let host = probe().setting("events", "yes").build().unwrap();
    host.connect("/").disconnect(None).unwrap();
    let before = rows(&host, "event");
    for (fault, _, _, status) in FAULTS {
        host.fail_call(None, fault).unwrap();
        let refused = host.request(&Connect::to("/")).unwrap().err().unwrap();
        assert_eq!(refused.status, status, "{fault:?}");
    }
    assert_eq!(rows(&host, "event"), before, "a refused client leaves no event");
    host.connect("/").send_text("well");
}

#[test]
fn a_fault_in_closed_harms_nobody() {
    let host = probe().build().unwrap();
    for (fault, ..) in FAULTS {
        let (leaver, stayer) = (host.connect("/?topic=t"), host.connect("/"));
        host.fail_call(None, fault).unwrap();
        leaver.disconnect(None).unwrap();
        assert_eq!(ok(&stayer, &json!({ "publish": { "topic": "t", "text": "x" } })), 0, "{fault:?}: it is gone");
    }
}

#[test]
fn faults_wait_in_a_row_for_their_app() {
    let host = probe().build().unwrap();
    let clients = [host.connect("/"), host.connect("/"), host.connect("/")];
    host.fail_call(None, CallFault::Busy).unwrap();
    host.fail_call(Some("probe"), CallFault::Trap).unwrap();
    // The second fault fails the `closed` of the first.
    clients[0].send_text("x");
    assert_eq!(clients[0].closed().0, 1013);
    assert_eq!(logged(&host, "call=closed").len(), 1);
    clients[1].send_text("well");
    clients[1].expect_text("well");
    let error = host.fail_call(Some("other"), CallFault::Trap).unwrap_err().to_string();
    assert_eq!(error, "there is no app `other`; there is `probe`");
}

/// Invariant 3: what is only in an instance may be lost at any time; the attachment may not.
#[test]
fn lost_instances_lose_their_memory_and_nothing_else() {
    let host = probe().build().unwrap();
    let client = host.connect("/?topic=t");
    ok(&client, &json!({ "attach": { "kept": true } }));
    assert_eq!(ok(&client, &json!("calls")), 2);
    assert_eq!(ok(&client, &json!("calls")), 3);
    host.fail_instances(None).unwrap();
    assert_eq!(ok(&client, &json!("calls")), 1);
    assert_eq!(ok(&client, &json!("attachment")), json!({ "kept": true }));
    assert_eq!(ok(&client, &json!({ "subscribers": "t" })), json!([1]));
    assert!(host.fail_instances(Some("other")).is_err());
}

#[test]
fn a_send_into_a_full_outbox_fails_once() {
    let host = probe().build().unwrap();
    let (victim, client) = (host.connect("/"), host.connect("/"));
    victim.fail_outbox().unwrap();
    let send = json!({ "send-to": { "id": 1, "text": "hello" } });
    let answer = ask(&client, &send);
    assert_eq!(answer, json!({ "error": "the connection's outbox is full" }));
    assert!(victim.is_open(), "a send that fails closes nothing");
    // Its own answer has no room either, and then its session writes.
    victim.send_json(&json!("attachment"));
    victim.expect_nothing();
    ok(&client, &send);
    victim.expect_text("hello");
    // A module that returns the error of its answer has failed.
    victim.fail_outbox().unwrap();
    victim.send_text("echo");
    assert_eq!(victim.closed().0, 1011);
}

#[test]
fn a_publish_into_a_full_outbox_closes_that_client() {
    let host = probe().setting("events", "yes").build().unwrap();
    let clients = [host.connect("/?topic=t"), host.connect("/?topic=t"), host.connect("/?topic=t")];
    clients[1].fail_outbox().unwrap();
    ok(&clients[0], &json!({ "subscribers": "t" }));
    clients[0].send_json(&json!({ "publish": { "topic": "t", "text": "news" } }));
    clients[0].expect_text("news");
    clients[2].expect_text("news");
    assert_eq!(clients[1].closed(), (1013, "too slow: the outbox is full".to_owned()));
    let closed = host.database("main").unwrap().run("SELECT connection FROM event WHERE kind = 'closed'").unwrap();
    assert_eq!(closed.rows.len(), 1, "its `closed` has run");
    assert!(clients[0].is_open() && clients[2].is_open());
}
