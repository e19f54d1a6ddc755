//! `--bless`: a transcript is corrected, and nothing else is touched.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::{Folder, assert_said};

/// A time long before this test.
fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

fn make_old(folder: &Folder, name: &str) {
    File::options().append(true).open(folder.path(name)).unwrap().set_modified(long_ago()).unwrap();
}

fn is_untouched(folder: &Folder, name: &str) -> bool {
    folder.path(name).metadata().unwrap().modified().unwrap() == long_ago()
}

fn comments(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.trim_start().starts_with('#') || line.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_transcript_is_corrected_and_passes_then() {
    let folder = Folder::example("chat");
    let original = folder.text("rooms.transcript");
    let joined = "alice < {\"joined\": \"bob\"}\n";
    let present = "{\"present\": [\"alice\", \"bob\"]}";
    assert!(original.contains(joined) && original.contains(present));
    // A message that is not expected, one that differs, and one that does not come.
    let broken = original.replace(joined, "").replace(present, "{\"present\": [\"bob\", \"${any}\", 5]}");
    let broken = broken.replace("carol nothing\n", "# Carol is told.\ncarol < hello\n");
    folder.put("rooms.transcript", &broken);
    assert_said(&folder.test("--no-build . rooms.transcript").await, 1, &["1 failed"]);
    assert_eq!(folder.text("rooms.transcript"), broken);

    let said = ["1 passed (1 of them corrected), 0 failed in ", "3 corrections"];
    assert_said(&folder.test("--no-build . rooms.transcript --bless").await, 0, &said);
    let corrected = folder.text("rooms.transcript");
    assert_eq!(comments(&corrected), comments(&broken));
    let lines: Vec<_> = corrected.lines().collect();
    let inserted = lines.iter().position(|line| *line == "alice < {\"joined\":\"bob\"}").expect("the message");
    assert!(lines[inserted - 1].starts_with("connect bob "), "{corrected}");
    assert!(corrected.contains("bob < {\"present\":[\"alice\",\"${any}\"]}\n"), "{corrected}");
    assert!(!corrected.contains("carol <"), "{corrected}");
    // Every line that was right is unchanged.
    let kept = original.replace(joined, "").replace("carol nothing\n", "");
    let kept = kept.lines().filter(|line| !line.contains(present));
    for line in kept {
        assert!(lines.contains(&line), "`{line}` is not in:\n{corrected}");
    }
    assert_said(&folder.test("--no-build . rooms.transcript").await, 0, &["1 passed, 0 failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_ends_and_rows_are_corrected_too() {
    let broken = "connect a /\nconnect b /?open=refuse refused 404 nobody\nconnect c /?open=header\n  < x-room: hall\n\
        sql main: SELECT 1 AS n, 'x' AS t\n  | n | t |\n  |---|---|\n  | 2 | ${any} |\n\
        a > {\"close\": {\"code\": 3005, \"reason\": \"go\"}}\na closed 1000\n";
    let folder = Folder::guest("probe").with("x.transcript", broken);
    assert_said(&folder.test("probe.wasm --bless").await, 0, &["1 of them corrected"]);
    let corrected = folder.text("x.transcript");
    for line in ["refused 403 not you", "  < x-room: lobby", "| 1   | ${any} |", "a closed 3005"] {
        assert!(corrected.contains(line), "`{line}` is not in:\n{corrected}");
    }
    assert_said(&folder.test("probe.wasm").await, 0, &["1 passed, 0 failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_captured_is_used_everywhere_and_stays() {
    let right = "connect a /\na > {\"query\": {\"sql\": \"SELECT 'refuse'\"}}\n\
        a < {\"ok\": [[{\"text\": \"${how=string}\"}]]}\na > so ${how} it\na < so ${how} it\n\
        connect b /?open=${how} refused 403\n  origin: ${how}\n";
    let broken = "sql main: SELECT '${how}' AS t, 2 AS n\n  | t | n |\n  | ${how} | 1 |\na > $${x}\na < x\n";
    let folder = Folder::guest("probe").with("x.transcript", format!("{right}{broken}"));
    assert_said(&folder.test("probe.wasm --bless").await, 0, &["2 corrections"]);
    let corrected = folder.text("x.transcript");
    assert!(corrected.starts_with(right), "{corrected}");
    for line in ["sql main: SELECT '${how}' AS t, 2 AS n\n", "| ${how} | 2   |\n", "a < $${x}\n"] {
        assert!(corrected.contains(line), "`{line}` is not in:\n{corrected}");
    }
    assert_said(&folder.test("probe.wasm").await, 0, &["1 passed, 0 failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_null_is_not_taken_for_no_value() {
    let sql = "sql main: SELECT 'NULL' AS a, NULL AS b, '\"x\"' AS c\n  | a | b | c |\n";
    let folder = Folder::guest("probe").with("x.transcript", format!("{sql}  | NULL | \"NULL\" | x |\n"));
    assert_said(&folder.test("probe.wasm --bless").await, 0, &["1 of them corrected"]);
    let corrected = folder.text("x.transcript");
    assert!(corrected.contains("| \"NULL\" | NULL | \"\\\\\"x\\\\\"\" |"), "{corrected}");
    assert_said(&folder.test("probe.wasm").await, 0, &["1 passed, 0 failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_when_all_pass() {
    let folder = Folder::example("guestbook");
    let files: Vec<String> =
        folder.transcripts().iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    files.iter().for_each(|file| make_old(&folder, file));
    let finished = folder.test("--no-build . --bless").await;
    assert_said(&finished, 0, &[&format!("\n{} passed, 0 failed in ", files.len())]);
    assert!(files.iter().all(|file| is_untouched(&folder, file)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_when_it_cannot_be_played() {
    let folder = Folder::guest("probe");
    for (text, code) in [
        ("connect a /\na > x\na < y\na > file none.bin\n", 1),
        ("connect a /\na > x\na < y\nswap none.wasm\n", 1),
        ("connect a /\na > x\na < y\nconect b /\n", 2),
    ] {
        folder.put("x.transcript", text);
        make_old(&folder, "x.transcript");
        assert_said(&folder.test("probe.wasm --bless").await, code, &["x.transcript:4"]);
        assert_eq!(folder.text("x.transcript"), text);
        assert!(is_untouched(&folder, "x.transcript"));
    }
}
