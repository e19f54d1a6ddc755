//! Each kind of step.

use std::time::{Duration, SystemTime};

use super::super::{Action, Cell, ConnectStep, Fault, Outcome, Step, Table, TextPattern, Transcript, parse};
use super::{ALICE, error, last, of_alice, read, regex};
use crate::backend::{CallFault, Connect, StatementFault};

fn name(name: &str) -> String {
    name.to_owned()
}

fn exact(text: &str) -> TextPattern {
    TextPattern::Exact(text.to_owned())
}

#[test]
fn what_comes_before_the_first_step() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_860_800);
    let expected = Transcript { seed: Some(42), clock: Some(time), steps: Vec::new() };
    assert_eq!(parse("seed 42\nclock 2026-01-31T12:00:00Z\n"), Ok(expected.clone()));
    assert_eq!(parse("clock 2026-01-31T12:00:00Z\r\n\r\n# x\r\nseed 42"), Ok(expected));
    assert_eq!(parse(""), Ok(Transcript::default()));
    assert_eq!(parse("\u{feff}seed 42\n").map(|transcript| transcript.seed), Ok(Some(42)));
}

#[test]
fn steps_know_their_lines() {
    let text = "# begins\n\nconnect alice /\n  a: b\n\n  # in between\n  c: d\n  # behind\n\nalice nothing\n";
    let lines: Vec<_> = read(text).steps.iter().map(|step: &Step| (step.line, step.last_line)).collect();
    assert_eq!(lines, [(3, 7), (10, 10)]);
}

#[test]
fn connect() {
    let expected = ConnectStep {
        client: name("bob"),
        request: Connect::to("/chat?room=lobby").header("origin", "https://example.org").header("empty", "").id(17),
        outcome: Outcome::Accepted(vec![
            (name("sec-websocket-protocol"), exact("v2")),
            (name("x"), TextPattern::Regex(regex("a|b"))),
        ]),
    };
    let text = "connect bob   /chat?room=lobby\n  Origin:  https://example.org \n  @id: 17\n  empty:\n  \
        < sec-websocket-protocol: v2\n  < x: /a|b/\n";
    assert_eq!(last(text), Action::Connect(expected));
}

#[test]
fn connect_that_is_refused() {
    let refused = |body| Outcome::Refused { status: 403, body };
    let cases = [
        ("connect eve /chat refused 403", refused(None)),
        ("connect eve /chat refused 403 /origin/", refused(Some(TextPattern::Regex(regex("origin"))))),
        ("connect eve /chat refused 403 not for eve", refused(Some(exact("not for eve")))),
        ("connect eve /chat refused 403 text \" /a\\n\"", refused(Some(exact(" /a\n")))),
    ];
    for (text, expected) in cases {
        assert!(matches!(last(text), Action::Connect(ConnectStep { outcome, .. }) if outcome == expected), "{text}");
    }
}

#[test]
fn what_was_captured_can_be_used_in_requests_statements_and_tables() {
    let capture = format!("{ALICE}alice < \"${{id=any}}\"\n");
    let connect = last(&format!("{capture}connect bob /?id=${{id}}&x=$${{x}}\n  origin: ${{id}}"));
    match connect {
        Action::Connect(ConnectStep { request, .. }) => {
            assert_eq!(request, Connect::to("/?id=${id}&x=$${x}").header("origin", "${id}"));
        }
        other => panic!("{other:?}"),
    }
    let expected = Table { columns: vec![name("id")], rows: vec![vec![Cell::Captured(name("id"))]] };
    let sql = Action::Sql { database: name("main"), statement: name("SELECT ${id}"), expected: Some(expected) };
    assert_eq!(last(&format!("{capture}sql main: SELECT ${{id}}\n  | id |\n  | ${{id}} |")), sql);
}

#[test]
fn ends_of_connections() {
    let client = || name("alice");
    let cases = [
        ("alice nothing", Action::Nothing { client: client() }),
        ("alice skips", Action::Skip { client: client() }),
        ("alice vanishes", Action::Vanish { client: client() }),
        ("alice disconnects", Action::Disconnect { client: client(), close: None }),
        ("alice disconnects 1001", Action::Disconnect { client: client(), close: Some((1001, name(""))) }),
        (
            "alice disconnects 4000 so long",
            Action::Disconnect { client: client(), close: Some((4000, name("so long"))) },
        ),
        ("alice closed 1011", Action::Closed { client: client(), code: 1011, reason: None }),
        ("alice closed 1006 text", Action::Closed { client: client(), code: 1006, reason: Some(exact("")) }),
        (
            "alice closed 1011 a reason",
            Action::Closed { client: client(), code: 1011, reason: Some(exact("a reason")) },
        ),
        (
            "alice closed 1011 /database/",
            Action::Closed { client: client(), code: 1011, reason: Some(TextPattern::Regex(regex("database"))) },
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(of_alice(text), expected, "{text}");
    }
}

#[test]
fn statements() {
    let sql = |statement: &str| Action::Sql { database: name("main"), statement: name(statement), expected: None };
    assert_eq!(last("sql main: DELETE FROM message"), sql("DELETE FROM message"));
    assert_eq!(last("sql main: SELECT *\n    FROM a\n  WHERE b = 'x|y'"), sql("SELECT *\n  FROM a\nWHERE b = 'x|y'"));
    assert_eq!(last("sql main:\n  SELECT *\n    FROM a"), sql("SELECT *\n  FROM a"));
}

#[test]
fn files_of_statements() {
    let script = |file: &str| Action::Script { database: name("main"), file: name(file) };
    assert_eq!(last("sql main: file schema.sql"), script("schema.sql"));
    assert_eq!(last("sql main:\n  file  ../a schema.sql  "), script("../a schema.sql"));
}

#[test]
fn rows() {
    let text = "sql main: SELECT 1\n  | id | body  |\n  |----|-------|\n  | 1  | a \\| b\\\\\\n\n  \
        | NULL | ${any} |\n  |\"\"|/a\\|\\d/|\n  | --- | \\s\\/\\${any}\\\" |\n";
    let cell = |text: &str| Cell::Exact(name(text));
    let expected = Table {
        columns: vec![name("id"), name("body")],
        rows: vec![
            vec![cell("1"), cell("a | b\\\n")],
            vec![cell("NULL"), Cell::Any],
            vec![cell(""), Cell::Regex(regex(r"a|\d"))],
            vec![cell("---"), cell(" /${any}\"")],
        ],
    };
    assert_eq!(
        last(text),
        Action::Sql { database: name("main"), statement: name("SELECT 1"), expected: Some(expected) }
    );
}

#[test]
fn the_rule_of_a_table_is_optional() {
    let rows = |text| match last(text) {
        Action::Sql { expected: Some(table), .. } => table.rows.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(rows("sql main: SELECT 1\n  | a |\n  | 1 |"), 1);
    assert_eq!(rows("sql main: SELECT 1\n  | a |\n  |---|"), 0);
    assert_eq!(rows("sql main: SELECT 1\n  | a |\n  | - |"), 1);
}

#[test]
fn time_and_versions() {
    assert_eq!(last("advance 1h 30m"), Action::Advance(Duration::from_secs(5400)));
    assert_eq!(last("advance 365days"), Action::Advance(Duration::from_secs(365 * 86_400)));
    let swap = |app: Option<&str>, file: &str| Action::Swap { app: app.map(name), file: name(file) };
    assert_eq!(last("swap chat-v2.wasm"), swap(None, "chat-v2.wasm"));
    assert_eq!(last("swap chat: chat v2.wasm"), swap(Some("chat"), "chat v2.wasm"));
    assert_eq!(last("swap chat:v2.wasm"), swap(None, "chat:v2.wasm"));
}

#[test]
fn settings() {
    let set = Action::Set { key: name("apps.chat.limits.message-rate"), value: name("\"a = b\"") };
    assert_eq!(last("set apps.chat.limits.message-rate = \"a = b\""), set);
    assert_eq!(last("set apps.chat.limits.message-rate=\"a = b\""), set);
}

#[test]
fn failed_calls() {
    let failed = |call: Option<&str>, error| Action::Failed { call: call.map(name), error };
    assert_eq!(last("failed"), failed(None, None));
    assert_eq!(last("failed  app-timer"), failed(Some("app-timer"), None));
    assert_eq!(last("failed app-timer: told to: twice"), failed(Some("app-timer"), Some(exact("told to: twice"))));
    assert_eq!(last("failed closed :/tra+p/"), failed(Some("closed"), Some(TextPattern::Regex(regex("tra+p")))));
    assert_eq!(last("failed: text \" x\""), failed(None, Some(exact(" x"))));
}

#[test]
fn faults() {
    for (error, words) in StatementFault::ALL {
        let fault = Fault::Statement { database: name("main"), error };
        assert_eq!(last(&format!("fail sql main: {words}")), Action::Fail(fault));
    }
    for (error, words) in CallFault::ALL {
        assert_eq!(last(&format!("fail call: {words}")), Action::Fail(Fault::Call { app: None, error }));
        let fault = Fault::Call { app: Some(name("chat")), error };
        assert_eq!(last(&format!("fail call chat: {words}")), Action::Fail(fault));
    }
    assert_eq!(last("fail instances"), Action::Fail(Fault::Instances { app: None }));
    assert_eq!(last("fail instances chat"), Action::Fail(Fault::Instances { app: Some(name("chat")) }));
    assert_eq!(last(&format!("{ALICE}fail outbox alice")), Action::Fail(Fault::Outbox { client: name("alice") }));
}

#[test]
fn what_no_failed_call_can_be() {
    let forms = "expected `failed`, `failed CALL` or `failed CALL: ERROR`, such as `failed app-timer: /trap/`";
    assert_eq!(error("failed app-timer trap"), format!("1:18: {forms}"));
    assert_eq!(error("failed 5"), format!("1:8: {forms}"));
    assert_eq!(error("failed app-timer:"), "1:18: expected the error after `:`, as a text or as `/regex/`");
    assert_eq!(error("failed app-timer # why"), "1:18: a comment has a line of its own");
    assert_eq!(error("failed app-timer: /(/"), "1:19: the regular expression does not compile: unclosed group");
    let calls = "`open`, `receive`, `closed`, `connection-timer`, `app-timer`, `migrate` or `check`";
    let unknown = |name: &str| format!("1:8: `{name}` is not a call of a module; expected {calls}");
    assert_eq!(error("failed fired"), unknown("fired"));
    assert_eq!(error("failed close: no"), unknown("close") + "; did you mean `closed`?");
}
