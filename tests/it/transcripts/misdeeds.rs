//! Modules that loop, trap, flood, sleep or use too much memory: the transcript fails and says why; the others pass.

use hassock_tests::marked;

use super::{Folder, assert_said};

/// A folder with the module `faults` and a config with low bounds.
fn faults(more: &str) -> Folder {
    let config = format!(
        "[databases.main]\nurl = \"sqlite::memory:\"\n[apps.faults]\npath = \"/faults\"\nmodule = \"faults.wasm\"\n\
         databases = {{ main = \"read-write\" }}\n{more}\n[apps.faults.limits]\ncpu_time = \"500ms\"\nmemory = \"8MiB\"\n\
         call_timeout = \"10s\"\n"
    );
    Folder::guest("faults").with("hassock.toml", config)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_misdeed_fails_its_own_transcript() {
    let folder = faults("");
    let misdeeds = [
        ("spin", "a > spin\na < spin", "the call computed for longer than `cpu_time` = 500ms"),
        ("trap", "a > trap\na < trap", "the module trapped: panicked at "),
        ("hog", "a > hog\na < hog", "the module needed more than `memory` = 8.0 MiB"),
        ("overflow", "a > overflow\na < overflow", "the module trapped: wasm trap: "),
        ("flood", "a > flood\na closed 1000", "`a` got a message; its connection was expected to be closed"),
        ("sleep", "a > sleep\na < sleep", "its connection is open; a call of the module waits for time to pass"),
        ("nap", "a > sleep\na closed 1011", "it is open; a call of the module waits for time to pass"),
        ("slept", "a > sleep\nadvance 1h\na < sleep", "the call took longer than `call_timeout` = 10s"),
        ("leak", "a > leak and sleep\nadvance 1h\na < leaked", "`a` got "),
        ("opens", "connect b /faults?open=spin", "`b` was expected to be accepted; it was refused 503 "),
        ("waits", "connect b /faults?open=sleep", "the call took longer than `call_timeout` = 10s"),
    ];
    for (name, steps, _) in misdeeds {
        folder.put(&format!("{name}.transcript"), format!("connect a /faults\n{steps}\n"));
    }
    folder.put("good.transcript", "connect a /faults\na > hi\na < hi\n");
    let finished = folder.test("--no-build .").await;
    assert_said(&finished, 1, &["1 passed, 11 failed in ", "ok ./good.transcript "]);
    let reports: Vec<&str> = finished.stdout.split("FAILED ").collect();
    for (name, _, said) in misdeeds {
        let file = format!("./{name}.transcript\n");
        let report = reports.iter().find(|report| report.starts_with(&file));
        let report = report.unwrap_or_else(|| panic!("{name} is not in {}", finished.stdout));
        assert!(report.contains(said), "`{said}` is not in: {report}");
    }
}

/// A fault that a step expects passes, because modules are tested with faults.
#[tokio::test(flavor = "multi_thread")]
async fn misdeeds_that_are_expected_pass() {
    let folder = faults("").with(
        "x.transcript",
        "connect a /faults\na > spin\na closed 1011\nconnect a /faults\na > sleep\nadvance 10s\na closed 1011\n\
         connect a /faults?open=trap refused 500\nconnect a /faults\na > flood\na skips\na closed 3000\nconnect a /faults\na > hi\na < hi\n",
    );
    assert_said(&folder.test("--no-build .").await, 0, &["1 passed"]);
}

/// An instance is created when a step needs it. If this fails, the program goes on to the next transcript.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_does_not_start_fails_each_transcript() {
    for (misdeed, said) in [
        ("trap", "the module trapped"),
        ("spin", "computed for longer than `cpu_time` = 500ms"),
        ("hog", "needed more than `memory`"),
        ("sleep", "took longer than `call_timeout`"),
    ] {
        let folder = faults(&format!("settings = {{ start = \"{misdeed}\" }}"));
        folder.put("x.transcript", "connect a /faults\n");
        folder.put("y.transcript", "connect a /faults\n");
        let finished = folder.test("--no-build .").await;
        assert_said(&finished, 1, &[said, "./x.transcript:1: ", "./y.transcript:1: ", "\n0 passed, 2 failed in "]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_test_that_fails_or_never_ends_is_told() {
    let folder = Folder::new().with("x.transcript", "connect a /\n");
    for (mark, said) in [
        ("m check-error", "the check says no"),
        ("m check-trap", "the check was told to"),
        ("m check-spin", "`cpu_time` = 1s"),
        ("m check-sleep", "`call_timeout` = 30s"),
    ] {
        folder.put("m.wasm", marked(mark));
        assert_said(&folder.test("m.wasm").await, 2, &[said]);
    }
}

/// The same in the middle of a transcript: a bad version does not replace the one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_to_a_bad_version_fails_its_step() {
    let folder = Folder::new().with("m.wasm", marked("first"));
    folder.put("spin.wasm", marked("second check-spin"));
    folder.put("good.wasm", marked("third"));
    folder.put("sleep.wasm", marked("second check-sleep"));
    folder.put("sleep.transcript", "connect a /\nswap sleep.wasm\n");
    folder.put("swap.transcript", "connect a /\na > x\na < first x\nswap good.wasm\na > x\na < third x\n");
    folder.put("bad.transcript", "connect a /\nswap spin.wasm\n");
    let said = [
        "ok ./swap.transcript",
        "./bad.transcript:2: the step cannot be played: ",
        "`cpu_time` = 1s",
        "./sleep.transcript:2: the step cannot be played: ",
        "`call_timeout` = 30s",
    ];
    assert_said(&folder.test("m.wasm").await, 1, &said);
}
