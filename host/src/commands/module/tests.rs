use super::{messages, table};
use crate::app::versions::{AppReport, Counts, Outcome, PinOutcome, Refusal, VersionReport, VersionStatus};

fn version(name: &str, state: VersionStatus) -> VersionReport {
    VersionReport {
        version: name.to_owned(),
        state,
        canary_percent: None,
        reason: None,
        age_seconds: 190,
        connections: 0,
        calls: 0,
        failures: 0,
        mean_micros: 0.0,
        p99_micros: 0.0,
        by_export: Vec::new(),
    }
}

fn reports() -> Vec<AppReport> {
    let canary = VersionReport {
        canary_percent: Some(2.5),
        connections: 4,
        calls: 1_200,
        mean_micros: 12.34,
        p99_micros: 80.0,
        ..version("0123456789ab", VersionStatus::Canary)
    };
    let serving = VersionReport {
        age_seconds: 200_000,
        connections: 10_321,
        calls: 123_456_789,
        failures: 12,
        mean_micros: 8.5,
        p99_micros: 1_520.0,
        ..version("ba9876543210", VersionStatus::Serving)
    };
    let failed = VersionReport {
        reason: Some("3 of 40 calls failed\nthe last: the module trapped: \u{1b}[31mred".to_owned()),
        ..version("111111111111", VersionStatus::RolledBack)
    };
    let chat = AppReport {
        app: "chat".to_owned(),
        path: "/chat/*".to_owned(),
        swap: "live".to_owned(),
        versions: vec![canary, serving, failed],
        file_version: "0123456789ab".to_owned(),
        last_refusal: Some(Refusal {
            age_seconds: 7_300,
            kind: "imports".to_owned(),
            message: "the module imports a\nthe module imports b".to_owned(),
        }),
        counts: Counts::default(),
    };
    let echo = AppReport {
        app: "echo".to_owned(),
        path: "/echo".to_owned(),
        swap: "pin".to_owned(),
        versions: vec![version("222222222222", VersionStatus::Serving)],
        file_version: "222222222222".to_owned(),
        last_refusal: None,
        counts: Counts::default(),
    };
    vec![chat, echo]
}

#[test]
fn the_list_is_a_table_an_app() {
    let expected = "\
chat  /chat/*  swap live
  VERSION       AGE  STATE        CONNECTIONS      CALLS  FAILURES     MEAN      P99
  0123456789ab   3m  canary 2.5%            4       1200         0  12.3 µs  80.0 µs
  ba9876543210   2d  serving            10321  123456789        12  8.50 µs  1.52 ms
  111111111111   3m  rolled back            0          0         0        -        -
    because 3 of 40 calls failed
    the last: the module trapped: \\u{1b}[31mred
  refused 2h ago (imports): the module imports a
    the module imports b
  the module's file holds 0123456789ab: a restart would serve that

echo  /echo  swap pin
  VERSION       AGE  STATE    CONNECTIONS  CALLS  FAILURES  MEAN  P99
  222222222222   3m  serving            0      0         0     -    -
";
    assert_eq!(table::apps(&reports()), expected);
}

#[test]
fn figures_are_in_units_for_people() {
    for (seconds, expected) in
        [(0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (3_600, "1h"), (86_399, "23h"), (86_400, "1d")]
    {
        assert_eq!(messages::age(seconds), expected);
    }
    for (micros, expected) in [
        (0.0, "0 ns"),
        (0.85, "850 ns"),
        (0.9994, "999 ns"),
        (0.9996, "1.00 µs"),
        (9.994, "9.99 µs"),
        (9.996, "10.0 µs"),
        (99.96, "100 µs"),
        (999.4, "999 µs"),
        (999.6, "1.00 ms"),
        (4_560.0, "4.56 ms"),
        (999_600.0, "1.00 s"),
        (61_000_000.0, "61.0 s"),
    ] {
        assert_eq!(messages::span(micros), expected);
    }
}

fn outcome(state: VersionStatus, previous: Option<&str>) -> Outcome {
    Outcome {
        app: "chat".to_owned(),
        version: "0123456789ab".to_owned(),
        previous: previous.map(ToOwned::to_owned),
        state,
        canary_percent: (state == VersionStatus::Canary).then_some(10.0),
        notes: Vec::new(),
    }
}

#[test]
fn what_was_done_is_said_in_a_sentence() {
    let before = Some("ba9876543210");
    for (outcome, expected) in [
        (
            outcome(VersionStatus::Serving, before),
            "chat serves 0123456789ab now (before: ba9876543210); open connections stay\n",
        ),
        (outcome(VersionStatus::Serving, None), "chat serves 0123456789ab now; open connections stay\n"),
        (outcome(VersionStatus::Serving, Some("0123456789ab")), "chat serves 0123456789ab already\n"),
        (
            outcome(VersionStatus::Canary, before),
            "chat serves 0123456789ab to 10% of connections now (the others: ba9876543210); `hassock module promote chat` \
             gives it to all, `hassock module rollback chat` takes it back\n",
        ),
    ] {
        assert_eq!(messages::deployed(&outcome), expected);
    }
    let noted =
        Outcome { notes: vec!["One.".to_owned(), "Two.\u{7}".to_owned()], ..outcome(VersionStatus::Serving, before) };
    assert_eq!(
        messages::rolled_back(&noted),
        "chat serves 0123456789ab; ba9876543210 was taken back; open connections stay\nOne.\nTwo.\\u{7}\n"
    );
}

#[test]
fn a_pin_is_said_in_a_sentence() {
    let pin = |swap: &str, pin_for_seconds| {
        messages::pinned(&PinOutcome { app: "chat".to_owned(), swap: swap.to_owned(), pin_for_seconds })
    };
    assert_eq!(pin("live", None), "chat: a deploy moves open connections to the new version\n");
    assert_eq!(pin("pin", Some(5_400)), "chat: open connections stay on their version for 1h 30m after a deploy\n");
    assert_eq!(pin("pin", None), "chat: open connections stay on their version\n");
}
