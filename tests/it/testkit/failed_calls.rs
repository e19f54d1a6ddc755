//! Calls that failed, also those that no client notices.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use hassock::testkit::{CallFault, TestHost};
use hassock_tests::guest;
use serde_json::{Value as Json, json};

use super::{ok, probe};

fn app_timer(name: &str) -> Json {
    json!({ "app-timer": { "name": name, "after_ms": 1000, "text": "" } })
}

#[test]
fn a_timer_of_the_app_that_fails_is_seen() {
    let host = probe().build().unwrap();
    let client = host.connect("/");
    for name in ["trap", "fail"] {
        ok(&client, &app_timer(name));
    }
    host.expect_no_failed_calls();
    host.advance(Duration::from_secs(2));
    let failed = host.take_failed_calls();
    let errors: Vec<&str> = failed.iter().map(|call| call.error.as_str()).collect();
    assert!(errors[0].starts_with("the module trapped: panicked at "), "{errors:?}");
    assert_eq!(errors[1], "the module returned an error: told to");
    for call in &failed {
        assert_eq!((call.call.as_str(), call.app.as_str(), call.connection), ("app-timer", "probe", None));
    }
    assert!(failed[0].backtrace.contains("probe.wasm!"), "{}", failed[0].backtrace);
    assert_eq!(failed[1].backtrace, "");
    host.expect_no_failed_calls();
    client.expect_nothing();
}

#[test]
fn a_closed_that_panics_is_seen() {
    let host = TestHost::builder().module(guest("faults")).build().unwrap();
    let client = host.connect("/");
    client.disconnect(Some((4000, "trap in closed"))).unwrap();
    let failed = host.failed("closed");
    assert_eq!((failed.connection, failed.close_code), (Some(client.id()), None));
    assert!(failed.to_string().contains(", connection 1) failed: the module trapped: "), "{failed}");
    host.expect_no_failed_calls();
}

#[test]
fn a_call_that_closes_its_connection_is_seen_with_the_code() {
    let host = TestHost::builder().module(guest("faults")).set("error_close_code", "4001").build().unwrap();
    let client = host.connect("/");
    client.send_text("error");
    assert_eq!(client.closed().0, 4001);
    let failed = host.failed("receive");
    assert_eq!((failed.connection, failed.close_code), (Some(client.id()), Some(4001)));
    let client = host.connect("/");
    host.fail_call(None, CallFault::Busy).unwrap();
    client.send_text("x");
    assert_eq!((client.closed().0, host.failed("receive").close_code), (1013, Some(1013)));
}

#[test]
fn what_has_not_failed_is_told() {
    let host = probe().build().unwrap();
    let message = |what: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(what)).unwrap_err();
        panic.downcast_ref::<String>().cloned().unwrap_or_default()
    };
    assert_eq!(message(&|| drop(host.failed("fired"))), "expected that a call `fired` has failed, got no failed call");
    let client = host.connect("/");
    client.send_json(&json!({ "fail": "on purpose" }));
    assert_eq!(client.closed().0, 1011);
    let told = message(&|| host.expect_no_failed_calls());
    assert!(
        told.starts_with("expected that no call has failed, got the call `receive` of `probe` (version "),
        "{told}"
    );
}
