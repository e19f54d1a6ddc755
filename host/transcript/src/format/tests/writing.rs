//! How steps are written.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::super::{
    Action, Cell, ConnectStep, Expected, Outcome, Payload, Step, Table, TextPattern, Transcript, step, write,
};
use super::{ALICE, read, regex};
use crate::backend::Connect;

fn send(text: &str) -> Action {
    Action::Send { client: "alice".to_owned(), payload: Payload::Text(text.to_owned()) }
}

fn expect(expected: Expected) -> Action {
    Action::Expect { client: "alice".to_owned(), expected }
}

fn sql(statement: &str, expected: Option<Table>) -> Action {
    Action::Sql { database: "main".to_owned(), statement: statement.to_owned(), expected }
}

/// A step is written like this, and this is read as the same step.
fn check(action: &Action, written: &str) {
    assert_eq!(step(action), written);
    assert_eq!(&super::of_alice(written), action, "{written}");
}

#[test]
fn the_issues_example_is_written_in_one_style() {
    let text = "connect alice /chat?room=lobby\nconnect bob /chat?room=lobby\n  origin: https://example.org\n\
        alice < {\"joined\":\"bob\"}\nalice > {\"say\":\"hi\"}\nsql main: DELETE FROM message\nsql main: file schema.sql\nadvance 30s\n\
        bob disconnects 1001\nalice nothing\nalice skips\nswap chat-v2.wasm\nfail sql main: connection lost\n\
        fail call chat: cpu time\nfail instances\nfail outbox alice\nset a.b = [1, 2]\nalice closed 1011 /database/\n";
    assert_eq!(write(&read(text)), text);
}

#[test]
fn what_comes_before_the_first_step() {
    let clock = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
    let transcript = Transcript { seed: Some(7), clock: Some(clock), steps: Vec::new() };
    assert_eq!(write(&transcript), "seed 7\nclock 1970-01-01T00:00:01.500000000Z\n");
    let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    let transcript = Transcript { seed: None, clock: Some(early), steps: Vec::new() };
    assert_eq!(write(&transcript), "clock 1970-01-01T00:00:00Z\n");
}

#[test]
fn texts_have_the_plainest_form_that_is_read_as_the_same() {
    check(&send("hi"), "alice > hi");
    check(&send("{\"a\":  1}"), "alice > {\"a\":  1}");
    check(&send("{a"), "alice > text \"{a\"");
    check(&send(""), "alice > text");
    check(&send(" a"), "alice > text \" a\"");
    check(&send("text"), "alice > text \"text\"");
    check(&send("text me"), "alice > text \"text me\"");
    check(&send("hex 0"), "alice > text \"hex 0\"");
    check(&send("file\ta"), "alice > text \"file\\ta\"");
    check(&send("/join"), "alice > /join");
    check(&send("a\r"), "alice > text \"a\\r\"");
    check(&expect(Expected::Text("/join".to_owned())), "alice < text \"/join\"");
    check(&expect(Expected::Text("{}".to_owned())), "alice < text \"{}\"");
    check(&expect(Expected::Json(json!({"a": "/"}))), "alice < {\"a\":\"/\"}");
    check(&expect(Expected::Regex(regex("a b"))), "alice < /a b/");
    check(&expect(Expected::Binary(vec![0, 255])), "alice < hex 00ff");
}

#[test]
fn texts_of_several_lines_are_indented() {
    check(&send("{\n  \"a\": 1\n}"), "alice > {\n    \"a\": 1\n  }");
    check(&send("a\n  b"), "alice >\n  a\n    b");
    check(&send("a\n# b"), "alice > text \"a\\n# b\"");
    check(&send("a\n\nb"), "alice > text \"a\\n\\nb\"");
    check(&send("a \nb"), r#"alice > text "a \nb""#);
    check(&send("a\nb \nc"), r#"alice > text "a\nb \nc""#);
    check(&sql("SELECT 1\n  FROM a", None), "sql main:\n  SELECT 1\n    FROM a");
}

#[test]
fn a_message_that_is_neither_object_nor_array_nor_string_is_written_as_text() {
    assert_eq!(step(&expect(Expected::Json(json!(5)))), "alice < 5");
}

#[test]
fn failed_calls() {
    let failed = |call: Option<&str>, error| Action::Failed { call: call.map(str::to_owned), error };
    let exact = |text: &str| Some(TextPattern::Exact(text.to_owned()));
    check(&failed(None, None), "failed");
    check(&failed(Some("app-timer"), None), "failed app-timer");
    check(&failed(Some("app-timer"), exact("told to")), "failed app-timer: told to");
    check(&failed(None, exact("# /")), "failed: text \"# /\"");
    check(&failed(None, exact("/a")), "failed: text \"/a\"");
}

#[test]
fn connections() {
    let connect = |outcome| {
        let request = Connect::to("/chat").header("origin", "a").header("empty", "").id(9);
        Action::Connect(ConnectStep { client: "bob".to_owned(), request, outcome })
    };
    let exact = |text: &str| TextPattern::Exact(text.to_owned());
    check(
        &connect(Outcome::Accepted(vec![("x".to_owned(), exact("")), ("y".to_owned(), exact("text"))])),
        "connect bob /chat\n  origin: a\n  empty:\n  @id: 9\n  < x: text\n  < y: text \"text\"",
    );
    check(
        &connect(Outcome::Refused { status: 403, body: Some(exact("#a")) }),
        "connect bob /chat refused 403 text \"#a\"\n  origin: a\n  empty:\n  @id: 9",
    );
    check(
        &connect(Outcome::Refused { status: 403, body: Some(exact("/a\n")) }),
        "connect bob /chat refused 403 text \"/a\\n\"\n  origin: a\n  empty:\n  @id: 9",
    );
}

#[test]
fn tables_are_aligned() {
    let exact = |text: &str| Cell::Exact(text.to_owned());
    let rows = vec![
        vec![exact("a|b\\\r\n\t"), Cell::Any],
        vec![exact(" "), Cell::Regex(regex(r"a|\d"))],
        vec![exact("/x/"), exact("")],
        vec![exact("${any}"), exact("\"\"")],
    ];
    let table = Table { columns: vec!["né".to_owned(), "b".to_owned()], rows };
    let written = r#"sql main: SELECT 1
  | né            | b         |
  | ------------- | --------- |
  | a\|b\\\r\n\t  | ${any}    |
  | \s            | /a\|\d/   |
  | \/x/          | ""        |
  | \${any}       | \""       |"#;
    let aligned = step(&sql("SELECT 1", Some(table.clone())));
    let squeezed =
        |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    let cells = |text: &str| squeezed(text).into_iter().filter(|line| !line.contains("---")).collect::<Vec<_>>();
    assert_eq!(cells(&aligned), cells(written));
    let widths: Vec<usize> = aligned.lines().skip(1).map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| Some(width) == widths.first()), "{aligned}");
    assert_eq!(super::last(&aligned), sql("SELECT 1", Some(table)));
}

#[test]
fn quotation_marks_in_a_table_are_written_as_they_are() {
    let row = [r#""NULL""#, "NULL", "\""].map(|text| Cell::Exact(text.to_owned()));
    let table = Table { columns: ["a", "b", "c"].map(str::to_owned).to_vec(), rows: vec![row.to_vec()] };
    let written = step(&sql("SELECT 1", Some(table.clone())));
    assert!(written.ends_with("\n  | \"NULL\" | NULL | \"   |"), "{written}");
    assert_eq!(super::last(&written), sql("SELECT 1", Some(table)));
}

#[test]
fn a_bar_in_a_regular_expression_of_a_cell_stays_one() {
    let table = |source| Table { columns: vec!["a".to_owned()], rows: vec![vec![Cell::Regex(regex(source))]] };
    let written = step(&sql("SELECT 1", Some(table(r"a\|b"))));
    assert_eq!(super::last(&written), sql("SELECT 1", Some(table(r"a\x7cb"))));
}

#[test]
fn steps_are_read_as_themselves_one_after_the_other() {
    let steps = ["alice > a\n  b", "alice nothing", "advance 1s"];
    let text = format!("{ALICE}{}\n", steps.join("\n"));
    let written: Vec<String> = read(&text).steps.iter().skip(1).map(|each: &Step| step(&each.action)).collect();
    assert_eq!(written, steps);
}
