use std::time::Duration;

use super::*;
use crate::backend::LogLine;
use crate::compare::Mismatch;
use crate::play::Reason;

pub(crate) fn passed() -> Finished {
    Finished {
        file: "chat.transcript".to_owned(),
        steps: 12,
        corrections: 0,
        verdict: Verdict::Passed,
        cost: Some(Cost { calls: 31, cpu_time: Duration::from_micros(2_100), peak_memory: 1_363_149, statements: 9 }),
        time: Duration::from_millis(4),
    }
}

pub(crate) fn failed() -> Finished {
    let mismatch = Mismatch::new("hi <b>", "ho \u{1b}[2J");
    let log = vec![
        LogLine { level: "INFO", text: "a call".to_owned() },
        LogLine { level: "ERROR", text: "trapped app=chat backtrace=inner <- outer".to_owned() },
    ];
    let failure = Failure {
        line: 7,
        step: "alice < hi <b>".to_owned(),
        reason: Reason::Message { client: "alice".to_owned(), mismatch },
        log,
    };
    Finished { file: "a.transcript".to_owned(), verdict: Verdict::Failed(failure), ..passed() }
}

pub(crate) fn unreadable() -> Finished {
    let message = "expected `>` & more".to_owned();
    let verdict = Verdict::Error { line: Some(3), column: Some(9), message };
    Finished { file: "b.transcript".to_owned(), verdict, cost: None, steps: 0, ..passed() }
}

/// Without colours.
fn strip(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_line_for_each_file() {
    let line = |result| strip(&line(&result));
    let figures = "12 steps, 31 calls, 2.1 ms CPU, 1.3 MiB, 9 statements";
    assert_eq!(line(passed()), format!("ok chat.transcript  {figures}  (4.0 ms)\n"));
    let one = Cost { calls: 1, cpu_time: Duration::from_micros(50), peak_memory: 65_536, statements: 1 };
    let one = Finished { steps: 1, cost: Some(one), corrections: 1, ..passed() };
    let figures = "1 step, 1 call, 50 µs CPU, 64 KiB, 1 statement, 1 correction";
    assert_eq!(line(one), format!("ok chat.transcript  {figures}  (4.0 ms)\n"));
    assert_eq!(line(Finished { cost: None, ..passed() }), "ok chat.transcript  12 steps  (4.0 ms)\n");
    assert_eq!(line(failed()), "FAILED a.transcript\n");
    assert_eq!(line(unreadable()), "ERROR b.transcript\n");
}

#[test]
fn a_failure_in_full() {
    let expected = "\
a.transcript:7: `alice` got another message than expected
  | alice < hi <b>
  expected: hi <b>
  got:      ho \\u{1b}[2J
  log:
    INFO  a call
    ERROR trapped app=chat
      at inner
      <- outer
";
    assert_eq!(strip(&failure(&failed())), expected);
    assert_eq!(failure(&unreadable()), "b.transcript:3:9: expected `>` & more\n");
    assert_eq!(failure(&passed()), "");
}

#[test]
fn frames_that_are_quoted_among_other_fields() {
    let line = LogLine { level: "WARN", text: r#"x backtrace="a <- b <- c" call=open"#.to_owned() };
    assert_eq!(people::with_frames(&line), "WARN  x call=open\n  at a\n  <- b\n  <- c");
}

#[test]
fn a_table_of_costs() {
    let expected = "\
TRANSCRIPT       CALLS     CPU   MEMORY  STATEMENTS
chat.transcript     31  2.1 ms  1.3 MiB           9
a.transcript        31  2.1 ms  1.3 MiB           9
";
    assert_eq!(costs(&[passed(), failed(), unreadable()]), expected);
    assert_eq!(costs(&[unreadable()]), "");
}

#[test]
fn a_line_at_the_end() {
    let time = Duration::from_millis(213);
    assert_eq!(summary(&[passed(), passed(), passed(), failed()], time), "3 passed, 1 failed in 0.21s\n");
    assert_eq!(summary(&[passed(), unreadable()], time), "1 passed, 1 could not be played in 0.21s\n");
    let corrected = Finished { corrections: 2, ..passed() };
    assert_eq!(summary(&[passed(), corrected], time), "2 passed (1 of them corrected), 0 failed in 0.21s\n");
}

#[test]
fn json_for_programs() {
    let value = |result: &Finished| serde_json::from_str::<serde_json::Value>(&object(result)).unwrap();
    let cost = serde_json::json!({"calls": 31, "cpu_seconds": 0.0021, "peak_memory": 1_363_149, "statements": 9});
    let expected = serde_json::json!({
        "file": "a.transcript", "outcome": "failed", "line": 7,
        "message": "`alice` got another message than expected", "expected": "hi <b>", "got": "ho \u{1b}[2J",
        "log": ["INFO  a call", "ERROR trapped app=chat\n  at inner\n  <- outer"],
        "cost": cost, "steps": 12, "corrections": 0, "seconds": 0.004,
    });
    assert_eq!(value(&failed()), expected);
    let passed = value(&passed());
    assert_eq!((&passed["outcome"], &passed["line"]), (&"passed".into(), &serde_json::Value::Null));
    let error = value(&unreadable());
    assert_eq!(
        (&error["outcome"], &error["line"], &error["message"]),
        (&"error".into(), &3.into(), &"expected `>` & more".into())
    );
    assert!(!object(&failed()).contains('\n'));
}
