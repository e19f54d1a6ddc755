//! What is done, and which messages a step is compared with.

use std::time::Duration;

use serde_json::json;

use super::double::{Double, then};
use super::*;
use crate::backend::{CallFault, StatementFault};
use crate::format::Fault;

#[test]
fn every_step_reaches_the_stage_in_order() {
    let alice = || "alice".to_owned();
    let mut backend = Double::default();
    let failure = verify(
        vec![
            connect("alice"),
            send("alice", "hi"),
            Action::Send { client: alice(), payload: Payload::Binary(vec![1, 2]) },
            Action::Sql { database: "main".to_owned(), statement: "DELETE".to_owned(), expected: None },
            Action::Advance(Duration::from_secs(30)),
            Action::Swap { app: None, file: "two.wasm".to_owned() },
            Action::Fail(Fault::Statement { database: "main".to_owned(), error: StatementFault::Timeout }),
            Action::Fail(Fault::Call { app: None, error: CallFault::Trap }),
            Action::Fail(Fault::Instances { app: Some("chat".to_owned()) }),
            Action::Fail(Fault::Outbox { client: alice() }),
            Action::Set { key: "a".to_owned(), value: "1".to_owned() },
            Action::Disconnect { client: alice(), close: Some((1001, "bye".to_owned())) },
            connect("alice"),
            Action::Vanish { client: alice() },
        ],
        &mut backend,
    );
    assert!(failure.is_none(), "{failure:?}");
    let expected = [
        "connect alice",
        "alice > hi",
        "alice > [1, 2]",
        "sql main: DELETE",
        "advance 30s",
        "swap None /nowhere/two.wasm",
        "fail sql main: Timeout",
        "fail call None: Trap",
        "fail instances Some(\"chat\")",
        "fail outbox alice",
        "set a = 1",
        "alice disconnects Some((1001, \"bye\"))",
        "connect alice",
        "alice vanishes",
    ];
    assert_eq!(backend.done, expected);
}

#[test]
fn the_cost_is_what_the_stage_says() {
    let played = play(&transcript(vec![connect("alice")]), Path::new("."), &mut Double::default(), Mode::Verify);
    assert_eq!(played.cost.unwrap().calls, 1);
}

#[test]
fn the_first_failure_ends_the_transcript() {
    let mut backend = Double::default();
    assert!(verify(vec![connect("alice"), gets("alice", "a"), send("alice", "b")], &mut backend).is_some());
    assert_eq!(backend.done, ["connect alice"]);
}

#[test]
fn messages_are_expected_in_order_for_each_client() {
    let mut backend =
        Double::new([then([]), then([]), then([("alice", text("1")), ("bob", text("x")), ("alice", text("2"))])]);
    let actions = vec![
        connect("alice"),
        connect("bob"),
        send("bob", "go"),
        gets("bob", "x"),
        gets("alice", "1"),
        gets("alice", "2"),
        nothing("alice"),
    ];
    assert!(verify(actions, &mut backend).is_none());
}

#[test]
fn what_is_skipped_does_not_matter_but_a_close_does() {
    let reactions = || [then([("alice", text("1")), ("alice", text("2")), ("alice", close(1000, ""))])];
    let actions = vec![connect("alice"), skips("alice"), closed("alice", 1000, None)];
    assert!(verify(actions, &mut Double::new(reactions())).is_none());
    let sentence = sentence(vec![connect("alice"), skips("alice")], &mut Double::new(reactions()));
    assert_eq!(sentence, "2: `alice` was closed with 1000, which no step expects; add `alice closed 1000`");
}

#[test]
fn what_was_captured_is_sent() {
    let hello = r#"{"id":17,"name":"a\"b"}"#;
    let mut backend = Double::new([then([("alice", text(hello))])]);
    let actions = vec![
        connect("alice"),
        gets_json("alice", json!({"id": "${ID=number}", "name": "${NAME=string}"})),
        send("alice", "${ID} is ${NAME}, not $${NAME}"),
        send("alice", r#"{"to":"${ID}","${ID}" :1,"text":"no ${ID}, \"${ID}\"","name":"${NAME}","x":"$${ID}"}"#),
    ];
    assert!(verify(actions, &mut backend).is_none());
    let sent = r#"alice > {"to":17,"17" :1,"text":"no 17, \"17\"","name":"a\"b","x":"${ID}"}"#;
    assert_eq!(backend.done[1..], ["alice > 17 is a\"b, not ${NAME}", sent]);
}

#[test]
fn a_file_is_sent_and_expected_by_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.bin"), [1, 2]).unwrap();
    let actions = || {
        let (client, file) = ("alice".to_owned(), "x.bin".to_owned());
        let sends = Action::Send { client: client.clone(), payload: Payload::File(file.clone()) };
        vec![connect("alice"), sends, Action::Expect { client, expected: Expected::File(file) }]
    };
    let mut backend = Double::new([then([]), then([("alice", Received::Message(Message::Binary(vec![1, 2])))])]);
    let played = play(&transcript(actions()), folder.path(), &mut backend, Mode::Verify);
    assert!(played.failure.is_none(), "{:?}", played.failure);
    assert_eq!(backend.done, ["connect alice", "alice > [1, 2]"]);

    let sentence = sentence(actions(), &mut Double::default());
    assert!(sentence.starts_with("2: /nowhere/x.bin cannot be read: "), "{sentence}");
}
