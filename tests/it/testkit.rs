//! The harness for tests of one's own: a whole host without sockets, servers and clocks.

use std::time::Duration;

use hassock::testkit::{Connect, DatabaseError, TestHost};
use hassock_tests::example;
use serde_json::json;

#[test]
fn two_clients_talk_and_time_passes_when_it_is_told_to() {
    let host = TestHost::load(example("chat")).unwrap();
    let alice = host.connect("/chat?name=alice");
    let bob = host.connect("/chat?name=bob");
    alice.expect_json(&json!({ "joined": "bob" }));
    alice.send_text(r#"{"say":"hi"}"#);
    alice.expect_json(&json!({ "from": "alice", "say": "hi" }));
    bob.expect_json(&json!({ "say": "hi", "from": "alice" }));
    host.advance(Duration::from_secs(59));
    bob.expect_nothing();
    host.advance(Duration::from_secs(1));
    bob.expect_json(&json!({ "away": "alice" }));
    bob.expect_json(&json!({ "away": "bob" }));
    let rows = host.database("main").unwrap().run("SELECT author, body FROM message").unwrap();
    assert_eq!(rows.rows.len(), 1);
    host.fail_statement("main", DatabaseError::ConnectionLost("as the test wants it".to_owned())).unwrap();
    bob.send_text(r#"{"say":"lost"}"#);
    assert_eq!(bob.closed().0, 1011);
    let refused = host.request(&Connect::to("/chat?name=alice")).unwrap().err().unwrap();
    assert_eq!(refused.status, 409);
    println!("{:?} {:#?}", host.cost(), host.take_log());
}
