use hassock_guest::testing::{Client, TestHost};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn chat() -> TestHost<Chat> {
    TestHost::builder().database("main").build()
}

fn enter(host: &TestHost<Chat>, room: &str, name: &str) -> Client {
    host.connect(format!("/chat?room={room}&name={name}")).unwrap()
}

/// Say something, a second after what was said before.
fn say(host: &TestHost<Chat>, client: &Client, text: &str) {
    host.advance(SECOND);
    client.send_json(&json!({ "say": text }));
}

#[test]
fn members_hear_each_other_and_who_comes_and_goes() {
    let host = chat();
    let (alice, bob, carol) = (enter(&host, "a", "alice"), enter(&host, "a", "bob"), enter(&host, "b", "carol"));
    say(&host, &alice, "hi");
    bob.send_json(&json!({ "who": true }));
    let hi = json!({ "from": "alice", "say": "hi" });
    assert_eq!(bob.received_json(), [hi.clone(), json!({ "present": ["alice", "bob"] })]);
    bob.vanish();
    assert_eq!(alice.received_json(), [json!({ "joined": "bob" }), hi, json!({ "left": "bob" })]);
    assert_eq!(carol.received_json(), Vec::<Json>::new());
    assert_eq!(alice.topics(), ["room:a"]);
}

#[test]
fn a_private_line_reaches_two_and_is_not_kept() {
    let host = chat();
    let (alice, bob, carol) = (enter(&host, "a", "alice"), enter(&host, "a", "bob"), enter(&host, "a", "carol"));
    for client in [&alice, &bob, &carol] {
        client.received();
    }
    alice.send_json(&json!({ "to": "bob", "say": "psst" }));
    alice.send_json(&json!({ "to": "dave", "say": "psst" }));
    let line = json!({ "from": "alice", "to": "bob", "say": "psst" });
    assert_eq!(alice.received_json(), [line.clone(), json!({ "error": "nobody here is called dave" })]);
    assert_eq!((bob.received_json(), carol.received_json()), (vec![line], vec![]));
    assert!(host.database("main").query("SELECT * FROM message", []).unwrap().is_empty());
}

#[test]
fn a_newcomer_gets_the_last_twenty_lines_in_order_also_of_another_instance() {
    let host = chat();
    let alice = enter(&host, "a", "alice");
    (0..25).for_each(|number| say(&host, &alice, &number.to_string()));
    say(&host, &enter(&host, "b", "bob"), "elsewhere");
    host.restart();
    let history: Vec<Json> = (5..25).map(|number| json!({ "from": "alice", "say": number.to_string() })).collect();
    assert_eq!(enter(&host, "a", "carol").received_json(), [json!({ "history": history })]);
}

#[test]
fn names_and_rooms_are_checked() {
    let host = chat();
    let refused = |target: &str| host.connect(target).map(|client| client.connection().id()).unwrap_err().status();
    let _alice = enter(&host, "a", "alice");
    assert_eq!(refused("/chat?room=a&name=alice"), 409);
    assert_eq!((refused("/chat?name="), refused("/chat?room=")), (400, 400));
    assert_eq!(refused(&format!("/chat?name={}", "x".repeat(33))), 400);
    enter(&host, "b", "alice");
    let guest = host.connect("/chat").unwrap();
    guest.send_json(&json!({ "who": true }));
    assert_eq!(guest.received_json(), [json!({ "present": [format!("guest-{}", guest.connection())] })]);
}

#[test]
fn silence_is_noticed_once() {
    let host = TestHost::<Chat>::builder().database("main").setting("away_after", "5").build();
    let alice = enter(&host, "a", "alice");
    host.advance(4 * SECOND);
    say(&host, &alice, "still here");
    alice.received();
    host.advance(4 * SECOND);
    assert_eq!(alice.received(), []);
    host.advance(60 * SECOND);
    assert_eq!(alice.received_json(), [json!({ "away": "alice" })]);
}

#[test]
fn mistakes_are_answered_and_the_connection_stays() {
    let host = chat();
    let alice = enter(&host, "a", "alice");
    for wrong in ["", "[]", "{}", r#"{"shout":"hi"}"#, r#"{"who":true,"say":"hi"}"#] {
        alice.send(wrong);
    }
    alice.send_json(&json!({ "say": "x".repeat(8001) }));
    assert!(alice.received_json().iter().all(|answer| answer["error"].is_string()));
    assert_eq!(alice.closed(), None);
}

#[test]
fn a_database_that_fails_closes_who_speaks_and_refuses_who_comes() {
    let host = chat();
    let (alice, bob) = (enter(&host, "a", "alice"), enter(&host, "a", "bob"));
    host.fail_next_statement("main", sql::Error::Timeout);
    say(&host, &alice, "hi");
    assert_eq!(alice.closed().unwrap().code, 1011);
    assert_eq!(bob.received_json(), [json!({ "left": "alice" })]);
    host.fail_next_statement("main", sql::Error::ConnectionLost("gone".into()));
    assert_eq!(host.connect("/chat").unwrap_err().status(), 500);
    assert_eq!(host.log().last().unwrap().1, "open failed: database: connection lost: gone");
}
