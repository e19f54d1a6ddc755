//! What a failed expectation says.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hassock::testkit::Client;
use serde_json::json;

use super::probe;

/// The text of the panic.
fn panics(expect: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(expect)).expect_err("it passes");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_failed_expectation_says_what_was_there_instead() {
    let host = probe().build().unwrap();
    let client = host.connect("/");
    client.send_text("a");
    assert_eq!(panics(|| client.expect_text("b")), "expected the text \"b\", got the text \"a\"");
    assert_eq!(panics(|| client.expect_text("b")), "expected the text \"b\", got nothing");
    client.send_binary([10, 11]);
    assert_eq!(panics(|| client.expect_json(&json!({ "x": 1 }))), "expected {\"x\":1}, got hex 0a 0b");
    client.send_text("[1]");
    assert_eq!(panics(|| client.expect_json(&json!([2]))), "expected [2], got the text \"[1]\"");
    client.send_text("a");
    assert_eq!(panics(|| client.expect_binary(&[1])), "expected hex 01, got the text \"a\"");
    client.send_text("a");
    assert_eq!(panics(|| client.expect_nothing()), "expected nothing, got the text \"a\"");
    assert_eq!(panics(|| drop(client.closed())), "expected the connection to be closed, got nothing");
    client.send_json(&json!({ "close": { "code": 3000, "reason": "enough" } }));
    assert_eq!(panics(|| client.expect_nothing()), "expected nothing, got the end of the connection, 3000 \"enough\"");
}

#[test]
fn a_connection_that_is_over_is_not_a_silent_one() {
    let host = probe().build().unwrap();
    let ends: [fn(&Client); 2] = [
        |client| client.disconnect(None).unwrap(),
        |client| client.send_json(&json!({ "close": { "code": 3000, "reason": "" } })),
    ];
    for end in ends {
        let client = host.connect("/");
        end(&client);
        // This takes the close: now nothing comes, but the connection is not open.
        let _ = client.receive();
        let said = panics(|| client.send_text("after"));
        assert_eq!(said, "the message was not sent: the connection is closed");
    }
}

#[test]
fn a_refused_connect_says_why() {
    let host = probe().build().unwrap();
    let said = panics(|| drop(host.connect("/?open=refuse")));
    assert_eq!(said, "/?open=refuse was refused with 403: not you");
    // A test that catches the panic can go on.
    let client = host.connect("/");
    client.send_text("on");
    client.expect_text("on");
}
