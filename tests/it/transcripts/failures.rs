//! What a failed transcript reports, and the exit code.

use super::{Folder, assert_said};

/// The probe, with one transcript `x.transcript`.
fn folder(transcript: &str) -> Folder {
    Folder::guest("probe").with("x.transcript", transcript)
}

async fn fails(transcript: &str, said: &[&str]) {
    assert_said(&folder(transcript).test("probe.wasm x.transcript").await, 1, said);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_whether_all_pass_some_fail_or_some_cannot_be_played() {
    let folder = Folder::guest("probe");
    folder.put("good.transcript", "connect a /\na > x\na < x\n");
    folder.put("bad.transcript", "connect a /\na > x\na < y\n");
    folder.put("broken.transcript", "connect a\n");
    for (files, code, said) in [
        ("good.transcript", 0, "\n1 passed, 0 failed in "),
        ("good.transcript bad.transcript", 1, "\n1 passed, 1 failed in "),
        ("good.transcript broken.transcript", 2, "\n1 passed, 1 could not be played in "),
        // What could not be played counts more than what failed.
        ("", 2, "\n1 passed, 1 failed, 1 could not be played in "),
    ] {
        let finished = folder.test(&format!("probe.wasm {files}")).await;
        assert_said(&finished, code, &[said]);
        let last = finished.stderr.lines().last().unwrap();
        let expected = ["", "1 transcript failed", "1 transcript could not be played"][code as usize];
        assert!(last == expected || (code == 0 && last.starts_with("loading ")), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_told_with_its_line_and_shown() {
    let said = "x.transcript:4: `a` got another message than expected, at $.b[1]\n  | a < {\"a\":1,\"b\":[1,3]}\n";
    let sent = "# begin\nconnect a /\na > [] {\"a\": 1}\na < ";
    fails(&format!("{sent}[] {{\"a\":2}}\n").replace("[] ", "x"), &["x.transcript:4: `a` got another message"]).await;
    let json = "# begin\nconnect a /\na > text \" {\\\"a\\\": 1, \\\"b\\\": [1, 2]}\"\na < {\"a\": 1, \"b\": [1, 3]}\n";
    fails(json, &[said, "  - expected\n  + got\n", "\n  -     3\n  +     2\n"]).await;
    fails("connect a /\na > hex 00 01\na < hex 00 02\n", &["  expected: hex 00 02\n  got:      hex 00 01\n"]).await;
    fails("connect a /\na > x\na < hex 78\n", &["  expected: hex 78\n  got:      x\n"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_come_or_came_too_much_is_told() {
    let cases = [
        ("a < x", "x.transcript:2: `a` got no message; its connection is open"),
        ("a closed 1000", "x.transcript:2: the connection of `a` was not closed; it is open"),
        ("a > x\na nothing", "x.transcript:3: `a` got 1 message: x, but nothing was expected"),
        (
            "a > x\na disconnects",
            "x.transcript:3: `a` got 1 message that no step expects: x; add `a < …`, or `a skips`",
        ),
        ("a > x\nconnect b /", "x.transcript:3: `a` got 1 message that no step expects: x"),
        ("a > \"trap\"", "x.transcript:2: `a` was closed with 1011 the application failed"),
        ("connect b / refused 403", "x.transcript:2: `b` was accepted; it was expected to be refused"),
        ("connect b /?open=refuse", "x.transcript:2: `b` was expected to be accepted; it was refused 403 not you"),
        ("connect b /?open=refuse refused 404", "expected: refused 404\n  got:      refused 403\n"),
        ("connect b /?open=refuse refused 403 go", "expected: refused 403 go\n  got:      refused 403 not you\n"),
        ("connect b /?open=header\n  < x-room: hall", "expected: x-room: hall\n  got:      x-room: lobby"),
        ("a disconnects\na > x", "x.transcript:3: `a` is not connected: it has left"),
        (
            "a > \"trap\"\na closed 1011\na > x",
            "x.transcript:4: `a` is not connected: its connection was closed with 1011",
        ),
        ("a > \"trap\"\na closed 1000", "the connection of `a` was closed in another way than expected"),
        ("a > {\"fail\": \"x\"}\na closed 1011 /database/", "expected: closed 1011 /database/\n"),
    ];
    for (steps, said) in cases {
        fails(&format!("connect a /\n{steps}\n"), &[said]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_differ_are_shown() {
    let transcript = "connect a /\nsql main: SELECT 1 AS n, 'x' AS t\n  | n | t |\n  |---|---|\n  | 2 | x |\n";
    let said = "x.transcript:2: the rows of database `main` are not those that were expected";
    fails(transcript, &[said, "\n  - | 2 | x |\n  + | 1 | x |\n"]).await;
}

/// The report shows what the module logged and printed before, and where it trapped, with the names of functions.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_comes_with_the_log_and_the_backtrace() {
    let transcript = "connect a /\na > {\"log\": \"on the way\"}\na skips\na > {\"print\": \"nearly there\"}\n\
        a > \"trap\"\na skips\na < x\n";
    let finished = folder(transcript).test("probe.wasm x.transcript").await;
    let said = [
        "x.transcript:7: `a` got no message; its connection was closed with 1011 the application failed (version ",
        "  log:\n",
        "    WARN  on the way app=probe",
        "nearly there app=probe",
        "    ERROR the module trapped: panicked at probe/src/lib.rs:",
        ": told to app=probe ",
        "\n      at probe.wasm!",
        "\n      <- probe.wasm!probe::Probe::",
        "\n      <- probe.wasm!hassock:host/packed-handler@0.1.0#receive-packed\n",
    ];
    assert_said(&finished, 1, &said);
}

/// The lines are in the order in which transcripts finish, the table is in the order of their names.
#[tokio::test(flavor = "multi_thread")]
async fn each_has_a_line_and_a_row_of_costs() {
    let folder = Folder::guest("probe");
    for number in 0..9 {
        folder.put(&format!("{number}.transcript"), "connect a /\na > x\na < x\nsql main: SELECT 1\n");
    }
    let finished = folder.test("probe.wasm").await;
    assert_said(&finished, 0, &["\n9 passed, 0 failed in ", "TRANSCRIPT", "CALLS", "STATEMENTS"]);
    let (lines, table) = finished.stdout.split_once("TRANSCRIPT").unwrap();
    assert_eq!(lines.lines().filter(|line| line.starts_with("ok ./")).count(), 9, "{lines}");
    let rows: Vec<_> = table.lines().skip(1).filter_map(|row| row.split_once(".transcript")).collect();
    let names: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, (0..9).map(|number| format!("./{number}")).collect::<Vec<_>>());
    // Statements of the transcript itself are not a cost of the module.
    assert!(rows.iter().all(|(_, costs)| costs.trim_start().starts_with("2 ") && costs.ends_with(" 0")), "{rows:?}");
}
