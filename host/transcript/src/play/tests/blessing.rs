//! How differences correct the text.

use serde_json::json;

use super::double::{Double, Reaction, then};
use super::*;
use crate::format::{Cell, Table};

#[test]
fn what_is_right_stays() {
    let mut backend = Double::new([then([("alice", text("hi"))])]);
    let played =
        play(&transcript(vec![connect("alice"), gets("alice", "hi")]), Path::new("."), &mut backend, Mode::Bless);
    assert!(played.failure.is_none());
    assert_eq!(played.blessings, []);
}

#[test]
fn another_message_takes_the_place_and_keeps_placeholders() {
    let mut backend = Double::new([then([("alice", text(r#"{"at":5,"say":"ho","tags":["x","y"],"new":"${z}"}"#))])]);
    let expected = json!({"at": "${number}", "say": "hi", "tags": ["${any}"], "old": "${any}"});
    let blessed = bless(vec![connect("alice"), gets_json("alice", expected), nothing("alice")], &mut backend);
    let message = r#"{"at":"${number}","say":"ho","tags":["${any}","y"],"new":"$${z}"}"#;
    assert_eq!(blessed, format!("connect alice /chat\nalice < {message}\nalice nothing\n"));
}

#[test]
fn a_capture_stays_with_the_kind_of_what_came() {
    let mut backend = Double::new([then([("alice", text(r#"{"id":"x1"}"#))])]);
    let actions =
        vec![connect("alice"), gets_json("alice", json!({"id": "${ID=number}"})), send("alice", "I am ${ID}")];
    let blessed = bless(actions, &mut backend);
    assert_eq!(blessed, "connect alice /chat\nalice < {\"id\":\"${ID=string}\"}\nalice > I am ${ID}\n");
    assert_eq!(backend.done[1], "alice > I am x1");
}

#[test]
fn what_does_not_come_is_deleted() {
    let mut backend = Double::new([then([]), then([("alice", text("b"))])]);
    let actions =
        vec![connect("alice"), send("alice", "go"), gets("alice", "a"), gets("alice", "b"), gets("alice", "c")];
    assert_eq!(bless(actions, &mut backend), "connect alice /chat\nalice > go\nalice < b\n");
}

#[test]
fn what_nobody_expected_is_inserted_after_the_step_that_caused_it() {
    let mut backend = Double::new([
        then([]),
        then([]),
        then([("alice", text("1")), ("bob", text("x"))]),
        then([("alice", text("2"))]),
    ]);
    let actions = vec![connect("alice"), connect("bob"), send("bob", "go"), send("bob", "on"), leaves("bob")];
    let expected =
        "connect alice /chat\nconnect bob /chat\nbob > go\nbob < x\nalice < 1\nbob > on\nalice < 2\nbob disconnects\n";
    assert_eq!(bless(actions, &mut backend), expected);
}

#[test]
fn new_messages_stand_between_those_that_were_expected() {
    let mut backend = Double::new([then(["0", "a", "1", "b", "2"].map(|number| ("alice", text(number))))]);
    let blessed = bless(vec![connect("alice"), gets("alice", "a"), gets("alice", "b"), nothing("alice")], &mut backend);
    let expected = "connect alice /chat\nalice < 0\nalice < a\nalice < 1\nalice < b\nalice < 2\nalice nothing\n";
    assert_eq!(blessed, expected);
}

#[test]
fn what_is_skipped_is_not_inserted() {
    let mut backend = Double::new([then([("alice", text("1"))])]);
    assert_eq!(bless(vec![connect("alice"), skips("alice")], &mut backend), "connect alice /chat\nalice skips\n");
}

#[test]
fn closes_are_corrected() {
    let gone = |code, reason| Double::new([then([("alice", text("x")), ("alice", close(code, reason))])]);
    let blessed = bless(vec![connect("alice"), closed("alice", 1000, Some("bye"))], &mut gone(1001, "see you"));
    assert_eq!(blessed, "connect alice /chat\nalice < x\nalice closed 1001 see you\n");
    let blessed = bless(vec![connect("alice"), closed("alice", 1000, None)], &mut gone(1001, "see you"));
    assert_eq!(blessed, "connect alice /chat\nalice < x\nalice closed 1001\n");
    let blessed =
        bless(vec![connect("alice"), gets("alice", "x"), nothing("alice"), leaves("alice")], &mut gone(1008, ""));
    assert_eq!(blessed, "connect alice /chat\nalice < x\nalice closed 1008\n");
    let blessed = bless(vec![connect("alice"), closed("alice", 1000, None)], &mut Double::default());
    assert_eq!(blessed, "connect alice /chat\n");
}

#[test]
fn the_version_in_a_reason_is_left_out() {
    let failed = close(1011, "the application failed (version 0123456789ab)");
    let blessed = bless(vec![connect("alice")], &mut Double::new([then([("alice", failed)])]));
    assert_eq!(blessed, "connect alice /chat\nalice closed 1011 /the application failed/\n");
}

#[test]
fn answers_are_corrected() {
    let refused = || Double::new([Reaction::answer(403, &[], "no entry\n")]);
    let exact = |text: &str| TextPattern::Exact(text.to_owned());
    assert_eq!(bless(vec![connect("eve")], &mut refused()), "connect eve /chat refused 403 no entry\n");
    let refusal = |status, body| vec![connect_expecting("eve", Outcome::Refused { status, body })];
    assert_eq!(bless(refusal(401, None), &mut refused()), "connect eve /chat refused 403\n");
    assert_eq!(bless(refusal(403, Some(exact("x"))), &mut refused()), "connect eve /chat refused 403 no entry\n");
    assert_eq!(bless(refusal(403, None), &mut Double::default()), "connect eve /chat\n");

    let fields = ["a", "b", "c"].map(|name| (name.to_owned(), exact("1"))).to_vec();
    let mut backend = Double::new([Reaction::answer(101, &[("a", "1"), ("b", "2")], "")]);
    let blessed = bless(vec![connect_expecting("alice", Outcome::Accepted(fields))], &mut backend);
    assert_eq!(blessed, "connect alice /chat\n  < a: 1\n  < b: 2\n");
}

#[test]
fn tables_are_corrected() {
    let exact = |text: &str| Cell::Exact(text.to_owned());
    let sql = |rows: Vec<Vec<Cell>>| {
        let table = Table { columns: vec!["id".to_owned(), "body".to_owned()], rows };
        vec![Action::Sql { database: "main".to_owned(), statement: "SELECT".to_owned(), expected: Some(table) }]
    };
    let mut backend = Double::new([Reaction::rows(&["id", "body"], &[&["7", "new"], &["8", "more"]])]);
    let blessed = bless(sql(vec![vec![Cell::Any, exact("old")]]), &mut backend);
    let expected = "\
sql main: SELECT
  | id     | body |
  | ------ | ---- |
  | ${any} | new  |
  | 8      | more |
";
    assert_eq!(blessed, expected);
    let mut backend = Double::new([Reaction::rows(&[], &[])]);
    assert_eq!(bless(sql(vec![vec![Cell::Any, exact("old")]]), &mut backend), "sql main: SELECT\n");
}

/// Whatever a transcript says, it is corrected to what really happens. Comments stay.
#[test]
fn a_whole_text_is_corrected() {
    let before = "\
# chat.transcript
connect alice /chat
connect bob   /chat
# the greeting
alice < {\"joined\":\"eve\",\"at\":\"${number}\"}
bob nothing

alice > {\"say\":\"hi\"}
bob   < text
  # none of it
  hello
alice closed 1000
";
    let after = "\
# chat.transcript
connect alice /chat
connect bob   /chat
# the greeting
alice < {\"joined\":\"bob\",\"at\":\"${number}\"}
bob nothing

alice > {\"say\":\"hi\"}
bob < hex 0001
  # none of it
bob < text \" odd\\u0000\"
bob < text \"{no json\"
";
    let bob = |message: Message| ("bob", Received::Message(message));
    let joined = then([("alice", text(r#"{"joined":"bob","at":5}"#))]);
    let odd = [Message::Binary(vec![0, 1]), Message::Text(" odd\0".to_owned()), Message::Text("{no json".to_owned())];
    let mut backend = Double::new([then([]), joined, then(odd.map(bob))]);
    let mut again = backend.clone();
    let played = play(&parse(before).unwrap(), Path::new("."), &mut backend, Mode::Bless);
    assert!(played.failure.is_none(), "{:?}", played.failure);
    assert_eq!(apply(before, played.blessings), after);
    let played = play(&parse(after).unwrap(), Path::new("."), &mut again, Mode::Verify);
    assert!(played.failure.is_none(), "{:?}", played.failure);
}

/// All lists of up to two messages of two kinds.
fn courses() -> Vec<Vec<&'static str>> {
    let all = [&[][..], &["a"], &["b"], &["a", "a"], &["a", "b"], &["b", "a"], &["b", "b"]];
    all.into_iter().map(<[_]>::to_vec).collect()
}

/// Two blocks of messages. Each message may be expected, come, both or neither. [`bless`] checks that the corrected
/// text passes, which it does only if it has each message that came, in order.
#[test]
fn whatever_comes_becomes_a_transcript_that_passes() {
    let reaction =
        |messages: &[&str]| then(messages.iter().map(|message| ("alice", text(message))).collect::<Vec<_>>());
    for (expected_1, expected_2) in
        courses().into_iter().flat_map(|one| courses().into_iter().map(move |two| (one.clone(), two)))
    {
        let mut actions = vec![connect("alice")];
        actions.extend(expected_1.iter().map(|message| gets("alice", message)));
        actions.extend([nothing("alice"), send("alice", "go")]);
        actions.extend(expected_2.iter().map(|message| gets("alice", message)));
        for came_1 in courses() {
            for came_2 in courses() {
                let blessed = bless(actions.clone(), &mut Double::new([reaction(&came_1), reaction(&came_2)]));
                let block =
                    |came: &[&str]| came.iter().map(|message| format!("alice < {message}\n")).collect::<String>();
                let (first, second) = (block(&came_1), block(&came_2));
                assert_eq!(blessed, format!("connect alice /chat\n{first}alice nothing\nalice > go\n{second}"));
            }
        }
    }
}

#[test]
fn what_cannot_be_corrected_fails() {
    let mut backend = Double::new([then([("alice", close(1011, "broken"))])]);
    let actions = vec![connect("alice"), gets("alice", "hi"), send("alice", "hi")];
    let played = play(&transcript(actions), Path::new("."), &mut backend, Mode::Bless);
    let failure = played.failure.unwrap();
    assert_eq!((failure.line, played.blessings.len()), (3, 1));
}

#[test]
fn a_text_that_came_stands_for_itself() {
    let backend = || Double::new([then([("alice", text("a ${b}"))])]);
    assert_eq!(
        bless(vec![connect("alice"), gets("alice", "x")], &mut backend()),
        "connect alice /chat\nalice < a $${b}\n"
    );
    assert_eq!(bless(vec![connect("alice")], &mut backend()), "connect alice /chat\nalice < a $${b}\n");
}

#[test]
fn what_was_captured_stays_where_it_is_right() {
    let mut backend = Double::new([
        then([("alice", text(r#"{"id":17}"#))]),
        Reaction::rows(&["id", "body"], &[&["17", "\"NULL\""], &["18", "NULL"]]),
        Reaction::answer(403, &[], ""),
    ]);
    let captured = || Cell::Captured("id".to_owned());
    let columns = ["id", "body"].map(str::to_owned).to_vec();
    let table = Table { columns, rows: vec![vec![captured(), Cell::Any], vec![captured(), captured()]] };
    let statement = "SELECT ${id}".to_owned();
    let request = ConnectStep {
        client: "eve".to_owned(),
        request: Connect::to("/${id}").header("origin", "$${id}"),
        outcome: Outcome::Refused { status: 401, body: None },
    };
    let actions = vec![
        connect("alice"),
        gets_json("alice", json!({"id": "${id=number}"})),
        Action::Sql { database: "main".to_owned(), statement, expected: Some(table) },
        Action::Connect(request),
    ];
    let blessed = bless(actions, &mut backend);
    let (_, sql) = blessed.split_once("sql ").unwrap();
    let expected = "main: SELECT ${id}\n  | id    | body   |\n  | ----- | ------ |\n  | ${id} | ${any} |\n  \
        | 18    | NULL   |\nconnect eve /${id} refused 403\n  origin: $${id}\n";
    assert_eq!(sql, expected);
    assert_eq!(backend.done[1..], ["sql main: SELECT 17", "connect eve /17 origin: ${id}"]);
}

#[test]
fn a_text_null_is_blessed_as_another_value_than_null() {
    let mut backend = Double::new([Reaction::rows(&["a"], &[&["\"NULL\""], &["NULL"], &["\"\\\"x\\\"\""]])]);
    let table = Table { columns: vec!["a".to_owned()], rows: Vec::new() };
    let action = Action::Sql { database: "main".to_owned(), statement: "S".to_owned(), expected: Some(table) };
    let blessed = bless(vec![action], &mut backend);
    assert!(blessed.contains("| \"NULL\" "), "{blessed}");
    assert!(blessed.contains("| NULL "), "{blessed}");
}
