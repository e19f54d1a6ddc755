//! Invariant 4 in the testkit: whatever a module does, the test ends, and the log says why.

use hassock::testkit::{Connect, Message, TestHost};

use super::{faults, logged};

#[test]
fn each_misdeed_ends_its_call_and_is_logged() {
    let host = faults();
    let bystander = host.connect("/");
    let misdeeds = [
        ("trap", "the application failed", "the module trapped"),
        ("spin", "the application took too long", "`cpu_time` = 100ms"),
        ("hog", "the application failed", "`memory` = 16.0 MiB"),
        ("overflow", "the application failed", "the module trapped"),
        ("error", "the application failed", "told to"),
    ];
    for (misdeed, reason, line) in misdeeds {
        let victim = host.connect("/");
        host.take_log();
        victim.send_text(misdeed);
        let closed = victim.closed();
        assert_eq!(closed.0, 1011, "{misdeed}");
        assert!(closed.1.starts_with(reason), "{misdeed}: {closed:?}");
        let lines = logged(&host, "call=receive");
        assert!(lines.len() == 1 && lines[0].starts_with("ERROR") && lines[0].contains(line), "{misdeed}: {lines:?}");
        let has_frames = lines[0].contains("backtrace=") && lines[0].contains("faults.wasm!faults::");
        assert_eq!(has_frames, ["trap", "spin", "overflow"].contains(&misdeed), "{}", lines[0]);
        bystander.send_text("well");
        bystander.expect_text("well");
    }
}

#[test]
fn a_misdeed_in_open_refuses() {
    let host = faults();
    for (misdeed, status) in [("trap", 500), ("spin", 503), ("hog", 500), ("overflow", 500)] {
        let refused = host.request(&Connect::to(format!("/?open={misdeed}"))).unwrap().err().unwrap();
        assert_eq!(refused.status, status, "{misdeed}");
    }
    host.connect("/").expect_nothing();
}

#[test]
fn a_flood_stops_at_the_outbox() {
    let host = faults();
    let client = host.connect("/");
    client.send_text("flood");
    let fit = (1 << 20) / 1064;
    let messages = client.messages();
    assert_eq!(messages.len(), fit);
    assert!(messages.iter().all(|message| matches!(message, Message::Text(text) if text.len() == 1000)));
    assert_eq!(client.closed(), (3000, format!("{fit} of 1000 bytes each")));
}

#[test]
fn a_huge_result_is_an_error() {
    let host = faults();
    let client = host.connect("/");
    client.send_text("huge");
    let answer = super::text(&client);
    assert!(answer.contains("max_rows"), "{answer}");
    client.send_text("well");
    client.expect_text("well");
}

#[test]
fn the_log_has_what_a_module_says_and_prints() {
    let host = super::probe().build().unwrap();
    let client = host.connect("/");
    host.take_log();
    super::ok(&client, &serde_json::json!({ "log": "careful" }));
    super::ok(&client, &serde_json::json!({ "print": "on stdout" }));
    let lines = host.take_log();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!((lines[0].level, lines[0].text.starts_with("careful")), ("WARN", true), "{lines:?}");
    assert!(lines[1].text.starts_with("on stdout"), "{lines:?}");
    assert!(host.take_log().is_empty(), "the log was taken");
}

#[test]
fn a_chatterer_is_cut_short() {
    let host: TestHost = faults();
    let client = host.connect("/");
    host.take_log();
    client.send_text("chatter");
    client.expect_text("chattered");
    client.send_text("well");
    let lines: Vec<String> = host.take_log().iter().map(ToString::to_string).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("line ")).count(), 100);
    assert!(lines.iter().any(|line| line.contains("suppressed=900")), "{:?}", lines.last());
}
