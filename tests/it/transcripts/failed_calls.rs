//! Calls of modules that fail: a transcript fails unless a step expects it.

use serde_json::Value as Json;

use super::{Folder, assert_said};

/// Sets a timer of the app `probe` that fails as its name says.
fn app_timer(name: &str) -> String {
    format!(
        "connect a /\na > {{\"app-timer\": {{\"name\": \"{name}\", \"after_ms\": 1000, \"text\": \"\"}}}}\na skips\n\
         advance 2s\n"
    )
}

fn probe(transcript: &str) -> Folder {
    Folder::guest("probe").with("x.transcript", transcript)
}

fn faults(transcript: &str) -> Folder {
    Folder::guest("faults").with("x.transcript", transcript)
}

/// The module `faults` panics in `closed` for this reason.
const TRAP_IN_CLOSED: &str = "connect a /\na disconnects 4000 trap in closed\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_of_the_app_that_panics_fails_the_transcript() {
    let finished = probe(&app_timer("trap")).test("probe.wasm").await;
    let said = [
        "FAILED ./x.transcript\n",
        "x.transcript:4: the call `app-timer` of `probe` (version ",
        ") failed: the module trapped: panicked at ",
        "; no step expects that; if it should fail, add `failed app-timer`\n  | advance 2s\n",
        "  log:\n",
        "    ERROR the module trapped: panicked at probe/src/lib.rs:",
        ": told to app=probe ",
        "\n      at probe.wasm!",
        "\n      <- probe.wasm!hassock:host/timer-handler@0.1.0#app-timer\n",
        "\n0 passed, 1 failed in ",
    ];
    assert_said(&finished, 1, &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_of_the_app_that_returns_an_error_fails_the_transcript() {
    let finished = probe(&app_timer("fail")).test("probe.wasm").await;
    let said = ") failed: the module returned an error: told to; no step expects that; if it should fail, add `failed app-timer`";
    assert_said(&finished, 1, &["x.transcript:4: the call `app-timer` of `probe` (version ", said]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_that_panics_fails_the_transcript() {
    let finished = faults(TRAP_IN_CLOSED).test("faults.wasm").await;
    let said = [
        "x.transcript:2: the call `closed` of `faults` (version ",
        ", connection 1) failed: the module trapped: panicked at ",
        "; no step expects that; if it should fail, add `failed closed`\n  | a disconnects 4000 trap in closed\n",
        "\n      at faults.wasm!",
    ];
    assert_said(&finished, 1, &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_the_reason_and_the_log() {
    let finished = faults(TRAP_IN_CLOSED).test("faults.wasm --json --junit report.xml").await;
    assert_said(&finished, 1, &[]);
    let object: Json = serde_json::from_str(finished.stdout.trim()).unwrap();
    assert_eq!((object["outcome"].as_str(), object["line"].as_u64()), (Some("failed"), Some(2)));
    assert!(object["message"].as_str().unwrap().starts_with("the call `closed` of `faults` (version "), "{object}");
    let log = object["log"].as_array().unwrap();
    assert!(log.iter().any(|line| line.as_str().unwrap().contains("\n  at faults.wasm!")), "{object}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_call_that_a_step_expects_passes() {
    for expected in ["failed", "failed app-timer", "failed app-timer: /panicked at .*: told to/", "failed: /trapped/"] {
        let finished = probe(&format!("{}{expected}\n", app_timer("trap"))).test("probe.wasm").await;
        assert_said(&finished, 0, &["1 passed, 0 failed"]);
    }
    let error = "failed app-timer: the module returned an error: told to\n";
    assert_said(&probe(&(app_timer("fail") + error)).test("probe.wasm").await, 0, &["1 passed"]);
    let closed = format!("{TRAP_IN_CLOSED}failed closed: /trap/\n");
    assert_said(&faults(&closed).test("faults.wasm").await, 0, &["1 passed"]);
}

/// A failure that other steps expect needs no `failed` step, but a step can expect its error too.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_a_refusal_and_a_fault_expect_their_failed_call() {
    let transcript = "connect a /\na > trap\na closed 1011\nconnect b /?open=trap refused 500\n\
        connect c /\nfail call: trap\nc disconnects\nconnect d /\nd > error\nd closed 1011\n\
        failed receive: the module returned an error: told to\n";
    assert_said(&faults(transcript).test("faults.wasm").await, 0, &["1 passed"]);
    let two = "connect a /\nfail call: trap\na disconnects 4000 trap in closed\nconnect b /\n\
        b disconnects 4000 trap in closed\n";
    let said = ["x.transcript:5: the call `closed` of `faults` (version "];
    assert_said(&faults(two).test("faults.wasm").await, 1, &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_failure_than_expected_is_shown() {
    let steps = app_timer("fail");
    for (step, said) in [
        (
            "failed closed",
            "  expected: failed closed\n  got:      failed app-timer: the module returned an error: told to\n",
        ),
        (
            "failed app-timer: no",
            "  expected: failed app-timer: no\n  got:      failed app-timer: the module returned an error: told to\n",
        ),
        ("failed app-timer\nfailed app-timer", "  expected: failed app-timer\n  got:      nothing\n"),
    ] {
        let finished = probe(&format!("{steps}{step}\n")).test("probe.wasm").await;
        assert_said(&finished, 1, &[": no call has failed as expected\n", said]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_call_is_blessed() {
    let folder = probe(&format!("{}# the end\n", app_timer("fail")));
    assert_said(&folder.test("probe.wasm --bless").await, 0, &["1 passed (1 of them corrected)"]);
    let expected = format!("{}failed app-timer: the module returned an error: told to\n# the end\n", app_timer("fail"));
    assert_eq!(folder.text("x.transcript"), expected);
    assert_said(&folder.test("probe.wasm").await, 0, &["1 passed, 0 failed"]);
}
