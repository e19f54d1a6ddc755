//! Each kind of failure, with its message.

use serde_json::json;

use super::double::{Double, Reaction, then};
use super::*;
use crate::compare::Mismatch;
use crate::format::{Cell, Table};

fn differences(actions: Vec<Action>, backend: &mut Double) -> (String, String, String) {
    let failure = verify(actions, backend).expect("the transcript fails");
    let Mismatch { expected, got, .. } = failure.reason.mismatch().unwrap().clone();
    (failure.reason.to_string(), expected, got)
}

fn words(sentence: &str, expected: &str, got: &str) -> (String, String, String) {
    (sentence.to_owned(), expected.to_owned(), got.to_owned())
}

fn alice_gets(received: impl IntoIterator<Item = Received>) -> Double {
    Double::new([then(received.into_iter().map(|received| ("alice", received)))])
}

#[test]
fn another_message() {
    let failed = differences(vec![connect("alice"), gets("alice", "hi")], &mut alice_gets([text("ho")]));
    assert_eq!(failed, words("`alice` got another message than expected", "hi", "ho"));
    let actions = vec![connect("alice"), gets_json("alice", json!({"a": [1]}))];
    let (sentence, ..) = differences(actions, &mut alice_gets([text(r#"{"a":[2]}"#)]));
    assert_eq!(sentence, "`alice` got another message than expected, at $.a[0]");
}

#[test]
fn no_message() {
    let actions = || vec![connect("alice"), gets("alice", "hi")];
    let failed = differences(actions(), &mut alice_gets([]));
    assert_eq!(failed, words("`alice` got no message; its connection is open", "hi", "nothing"));
    let failed = differences(actions(), &mut alice_gets([close(1011, "broken")]));
    let sentence = "`alice` got no message; its connection was closed with 1011 broken";
    assert_eq!(failed, words(sentence, "hi", "closed 1011 broken"));
}

#[test]
fn no_message_after_a_close_that_was_expected() {
    let actions = vec![connect("alice"), closed("alice", 1011, None), gets("alice", "hi")];
    let failed = differences(actions, &mut alice_gets([close(1011, "broken")]));
    assert_eq!(failed.0, "`alice` got no message; its connection was closed with 1011 broken");
}

#[test]
fn something_though_nothing_was_expected() {
    let actions = || vec![connect("alice"), nothing("alice")];
    let failed = sentence(actions(), &mut alice_gets([text("a")]));
    assert_eq!(failed, "2: `alice` got 1 message: a, but nothing was expected");
    let failed = sentence(actions(), &mut alice_gets([text("a"), text("b"), close(1000, "")]));
    assert_eq!(failed, "2: `alice` got 2 messages: a, b and was closed with 1000, but nothing was expected");
    let failed = sentence(actions(), &mut alice_gets([close(1006, "")]));
    assert_eq!(failed, "2: `alice` was closed with 1006, but nothing was expected");
}

#[test]
fn no_close_or_another_one() {
    let actions = || vec![connect("alice"), closed("alice", 1000, Some("bye"))];
    let failed = differences(actions(), &mut alice_gets([]));
    assert_eq!(failed, words("the connection of `alice` was not closed; it is open", "closed 1000 bye", "nothing"));
    let failed = differences(actions(), &mut alice_gets([text("hi")]));
    let sentence = "`alice` got a message; its connection was expected to be closed";
    assert_eq!(failed, words(sentence, "closed 1000 bye", "hi"));
    let sentence = "the connection of `alice` was closed in another way than expected";
    let failed = differences(actions(), &mut alice_gets([close(1011, "bye")]));
    assert_eq!(failed, words(sentence, "closed 1000 bye", "closed 1011 bye"));
    let failed = differences(actions(), &mut alice_gets([close(1000, "byes")]));
    assert_eq!(failed, words(sentence, "closed 1000 bye", "closed 1000 byes"));
}

#[test]
fn a_reason_that_is_not_named_does_not_matter() {
    let actions = vec![connect("alice"), closed("alice", 1000, None)];
    assert!(verify(actions, &mut alice_gets([close(1000, "whatever")])).is_none());
}

#[test]
fn refused_or_accepted_against_expectation() {
    let refused = || Double::new([Reaction::answer(403, &[], "no entry\n")]);
    let body = |text: &str| Some(TextPattern::Exact(text.to_owned()));
    let refusal = |status, body| vec![connect_expecting("eve", Outcome::Refused { status, body })];

    let failed = differences(vec![connect("eve")], &mut refused());
    let sentence = "`eve` was expected to be accepted; it was refused 403 no entry";
    assert_eq!(failed, words(sentence, "accepted", "refused 403 no entry"));

    let failed = differences(refusal(403, body("no")), &mut Double::default());
    let sentence = "`eve` was accepted; it was expected to be refused";
    assert_eq!(failed, words(sentence, "refused 403 no", "accepted"));

    let sentence = "`eve` was refused in another way than expected";
    let failed = differences(refusal(401, None), &mut refused());
    assert_eq!(failed, words(sentence, "refused 401", "refused 403"));
    let failed = differences(refusal(403, body("go away")), &mut refused());
    assert_eq!(failed, words(sentence, "refused 403 go away", "refused 403 no entry"));

    assert!(verify(refusal(403, body("no entry")), &mut refused()).is_none());
    assert!(verify(refusal(403, Some(TextPattern::Regex(regex("^no")))), &mut refused()).is_none());
}

#[test]
fn a_header_field_of_the_answer() {
    let accepted =
        || Double::new([Reaction::answer(101, &[("sec-websocket-protocol", "v1"), ("x", "1"), ("x", "2")], "")]);
    let wants = |name: &str, value: &str| {
        let field = (name.to_owned(), TextPattern::Exact(value.to_owned()));
        vec![connect_expecting("alice", Outcome::Accepted(vec![field]))]
    };
    assert!(verify(wants("Sec-WebSocket-Protocol", "v1"), &mut accepted()).is_none());
    assert!(verify(wants("x", "2"), &mut accepted()).is_none());
    let failed = differences(wants("x", "3"), &mut accepted());
    let sentence = "the answer to `alice` has another header field `x` than expected";
    assert_eq!(failed, words(sentence, "x: 3", "x: 1, 2"));
    let (_, expected, got) = differences(wants("y", "3"), &mut accepted());
    assert_eq!((expected.as_str(), got.as_str()), ("y: 3", "no field y"));
}

#[test]
fn other_rows() {
    let table = Table { columns: vec!["n".to_owned()], rows: vec![vec![Cell::Exact("1".to_owned())]] };
    let (database, statement) = ("main".to_owned(), "SELECT n FROM t".to_owned());
    let actions = vec![Action::Sql { database, statement, expected: Some(table) }];
    let failed = differences(actions, &mut Double::new([Reaction::rows(&["n"], &[&["2"]])]));
    let sentence = "the rows of database `main` are not those that were expected";
    assert_eq!(failed, words(sentence, "| n |\n| 1 |", "| n |\n| 2 |"));
}

#[test]
fn a_file_of_statements() {
    let script = |file: &str| vec![Action::Script { database: "main".to_owned(), file: file.to_owned() }];
    let failed = sentence(script("none.sql"), &mut Double::new([]));
    assert!(failed.starts_with("1: ") && failed.contains("none.sql cannot be read: "), "{failed}");
}

#[test]
fn messages_that_no_step_expects() {
    let at_the_end = vec![connect("alice"), Action::Advance(std::time::Duration::from_secs(1))];
    let failed = sentence(at_the_end, &mut alice_gets([text("a"), text("b")]));
    let advice = "add `alice < …`, or `alice skips`";
    assert_eq!(failed, format!("2: `alice` got 2 messages that no step expects: a, b; {advice}"));

    for goes in [connect("alice"), leaves("alice"), Action::Vanish { client: "alice".to_owned() }] {
        let actions = vec![connect("alice"), goes, nothing("alice")];
        let failed = sentence(actions, &mut alice_gets([text("a")]));
        assert_eq!(failed, format!("2: `alice` got 1 message that no step expects: a; {advice}"));
    }

    let failed = sentence(vec![connect("alice")], &mut alice_gets([text("a"), close(1011, "broken")]));
    let close = "and then was closed with 1011 broken; add `alice < …`, or `alice skips`, and `alice closed 1011`";
    assert_eq!(failed, format!("1: `alice` got 1 message that no step expects: a, {close}"));
}

#[test]
fn a_flood_is_quoted_by_its_first_messages() {
    let flood = (0..1_000).map(|number| text(&format!("{number}{}", "x".repeat(500))));
    let failed = sentence(vec![connect("alice")], &mut alice_gets(flood));
    assert!(failed.contains("got 1000 messages that no step expects: 0xxx"), "{failed}");
    assert!(failed.contains("xxx…, 4xxx") && failed.contains(", …; add"), "{failed}");
    assert!(failed.len() < 1_000, "{failed}");
}

#[test]
fn a_client_that_is_not_connected() {
    let failed = sentence(vec![connect("alice"), leaves("alice"), gets("alice", "a")], &mut Double::default());
    assert_eq!(failed, "3: `alice` is not connected: it has left");
    let closed_first = vec![connect("alice"), closed("alice", 1000, None), send("alice", "a")];
    let failed = sentence(closed_first, &mut alice_gets([close(1000, "done")]));
    assert_eq!(failed, "3: `alice` is not connected: its connection was closed with 1000 done");
    let refused = vec![connect_expecting("eve", Outcome::Refused { status: 403, body: None }), nothing("eve")];
    let failed = sentence(refused, &mut Double::new([Reaction::answer(403, &[], "")]));
    assert_eq!(failed, "2: `eve` is not connected: it was refused");
    assert_eq!(sentence(vec![nothing("zoe")], &mut Double::default()), "1: `zoe` is not connected: it never connected");
}

#[test]
fn a_step_that_cannot_be_played() {
    let swap = Action::Swap { app: None, file: "x.wasm".to_owned() };
    let failed = sentence(vec![swap], &mut Double::new([Reaction::error("no such file")]));
    assert_eq!(failed, "1: the step cannot be played: no such file");
    let reactions = [then([("alice", close(1011, "broken"))]), Reaction::error("it is closed")];
    let failed = sentence(vec![connect("alice"), send("alice", "a")], &mut Double::new(reactions));
    let reason = "it is closed; the connection was closed with 1011 broken";
    assert_eq!(failed, format!("2: the step cannot be played: {reason}"));
}

#[test]
fn nothing_was_captured() {
    let failed = sentence(vec![connect("alice"), send("alice", "${ID}")], &mut Double::default());
    let advice = "an earlier step captures it with `${NAME=any}`";
    assert_eq!(failed, format!("2: the message cannot be sent: nothing has been captured as `ID`; {advice}"));
}

#[test]
fn a_failure_has_its_step_and_the_log_of_its_actions() {
    let mut backend = Double::new([
        then([("alice", text("hi"))]).logging("INFO", "before").logging("WARN", "slow"),
        then([]).logging("ERROR", "trap"),
        then([]).logging("INFO", "after"),
    ]);
    let actions =
        vec![connect("alice"), gets("alice", "hi"), send("alice", "1"), send("alice", "2"), gets("alice", "ho")];
    let failure = verify(actions, &mut backend).unwrap();
    assert_eq!((failure.line, failure.step.as_str()), (5, "alice < ho"));
    let log: Vec<&str> = failure.log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(log, ["slow", "trap", "after"]);
}

#[test]
fn the_log_of_a_close_that_was_expected_explains_nothing() {
    let mut backend = Double::new([then([("alice", close(1011, "broken"))]).logging("ERROR", "trap")]);
    let actions = vec![connect("alice"), closed("alice", 1011, None), connect("bob"), gets("bob", "x")];
    assert_eq!(verify(actions, &mut backend).unwrap().log, []);
}

#[test]
fn only_the_last_lines_of_the_log_are_kept() {
    let noisy = (0..80).fold(then([]), |reaction, line| reaction.logging("INFO", &line.to_string()));
    let failure = verify(vec![connect("alice"), gets("alice", "x")], &mut Double::new([noisy])).unwrap();
    assert_eq!((failure.log.len(), failure.log[0].text.as_str()), (50, "30"));
}

#[test]
fn what_was_captured_must_fit_into_a_path() {
    let mut backend = Double::new([then([("alice", text(r#""a b""#))])]);
    let request = ConnectStep {
        client: "eve".to_owned(),
        request: Connect::to("/${who}"),
        outcome: Outcome::Accepted(Vec::new()),
    };
    let actions = vec![connect("alice"), gets_json("alice", json!("${who=any}")), Action::Connect(request)];
    let failed = sentence(actions, &mut backend);
    assert_eq!(
        failed,
        "3: the step cannot be played: ` ` cannot stand in the path of a request; \
        what was captured has to be encoded as paths are"
    );
}
