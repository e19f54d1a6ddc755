use hassock_sdk::testing::{MockClient, MockHost};

use serde_json::Value as Any;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn chat() -> MockHost<Chat> {
    MockHost::builder().database("main").build()
}

fn enter(host: &MockHost<Chat>, room: &str, name: &str) -> MockClient {
    host.connect(format!("/chat?room={room}&name={name}"))
}

/// Say something, a second after what was said before.
fn say(host: &MockHost<Chat>, client: &MockClient, text: &str) {
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
    assert_eq!(bob.messages_json(), [hi.clone(), json!({ "present": ["alice", "bob"] })]);
    bob.vanish();
    assert_eq!(alice.messages_json(), [json!({ "joined": "bob" }), hi, json!({ "left": "bob" })]);
    assert_eq!(carol.messages_json(), Vec::<Any>::new());
    assert_eq!(alice.topics(), ["room:a"]);
}

#[test]
fn a_private_line_reaches_two_and_is_not_kept() {
    let host = chat();
    let (alice, bob, carol) = (enter(&host, "a", "alice"), enter(&host, "a", "bob"), enter(&host, "a", "carol"));
    for client in [&alice, &bob, &carol] {
        client.messages();
    }
    alice.send_json(&json!({ "to": "bob", "say": "psst" }));
    alice.send_json(&json!({ "to": "dave", "say": "psst" }));
    let line = json!({ "from": "alice", "to": "bob", "say": "psst" });
    assert_eq!(alice.messages_json(), [line.clone(), json!({ "error": "nobody here is called dave" })]);
    assert_eq!((bob.messages_json(), carol.messages_json()), (vec![line], vec![]));
    assert!(host.database("main").query("SELECT * FROM message", []).unwrap().is_empty());
}

#[test]
fn a_newcomer_gets_the_last_twenty_lines_in_order_also_of_another_instance() {
    let host = chat();
    let alice = enter(&host, "a", "alice");
    (0..25).for_each(|number| say(&host, &alice, &number.to_string()));
    say(&host, &enter(&host, "b", "bob"), "elsewhere");
    host.fail_instances();
    let history: Vec<Any> = (5..25).map(|number| json!({ "from": "alice", "say": number.to_string() })).collect();
    assert_eq!(enter(&host, "a", "carol").messages_json(), [json!({ "history": history })]);
}

#[test]
fn a_line_that_is_said_again_is_heard_once() {
    let host = chat();
    let (alice, bob) = (enter(&host, "a", "alice"), enter(&host, "a", "bob"));
    let ask = |question: Any| alice.request(Message::json(&question).unwrap());
    for _ in 0..2 {
        let answer = ask(json!({ "say": "hi", "id": "x" })).unwrap();
        assert_eq!(answer.parse_json::<Any>().unwrap(), json!({ "done": true }));
        // Whatever happens in between.
        host.fail_instances();
    }
    say(&host, &alice, "again");
    let hi = json!({ "from": "alice", "say": "hi" });
    assert_eq!(bob.messages_json(), [hi, json!({ "from": "alice", "say": "again" })]);
    let history = ask(json!({ "history": true })).unwrap().parse_json::<Any>().unwrap();
    assert_eq!(history["history"][0], json!({ "id": "x", "from": "alice", "say": "hi" }));
    assert_eq!(history["history"].as_array().unwrap().len(), 2);
    for wrong in [json!({ "say": "hi", "id": "" }), json!({ "say": "hi", "id": "x".repeat(41) }), json!({})] {
        assert!(ask(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn names_and_rooms_are_checked() {
    let host = chat();
    let refused = |target: &str| host.request(target).map(|client| client.connection().id()).unwrap_err().status;
    let _alice = enter(&host, "a", "alice");
    assert_eq!(refused("/chat?room=a&name=alice"), 409);
    assert_eq!((refused("/chat?name="), refused("/chat?room=")), (400, 400));
    assert_eq!(refused(&format!("/chat?name={}", "x".repeat(33))), 400);
    enter(&host, "b", "alice");
    let guest = host.connect("/chat");
    guest.send_json(&json!({ "who": true }));
    assert_eq!(guest.messages_json(), [json!({ "present": [format!("guest-{}", guest.connection())] })]);
}

#[test]
fn silence_is_noticed_once() {
    let host = MockHost::<Chat>::builder().database("main").setting("away_after", "5").build();
    let alice = enter(&host, "a", "alice");
    host.advance(4 * SECOND);
    say(&host, &alice, "still here");
    alice.messages();
    host.advance(4 * SECOND);
    assert_eq!(alice.messages(), []);
    host.advance(60 * SECOND);
    assert_eq!(alice.messages_json(), [json!({ "away": "alice" })]);
}

#[test]
fn mistakes_are_answered_and_the_connection_stays() {
    let host = chat();
    let alice = enter(&host, "a", "alice");
    for wrong in ["", "[]", "{}", r#"{"shout":"hi"}"#, r#"{"who":true,"say":"hi"}"#] {
        alice.send_text(wrong);
    }
    alice.send_json(&json!({ "say": "x".repeat(8001) }));
    assert!(alice.messages_json().iter().all(|answer| answer["error"].is_string()));
    assert_eq!(alice.closing(), None);
}

#[test]
fn a_database_that_fails_closes_who_speaks_and_refuses_who_comes() {
    let host = chat();
    let (alice, bob) = (enter(&host, "a", "alice"), enter(&host, "a", "bob"));
    host.fail_statement("main", SqlError::Timeout);
    say(&host, &alice, "hi");
    assert_eq!(alice.closing().unwrap().code, 1011);
    assert_eq!(bob.messages_json(), [json!({ "left": "alice" })]);
    host.fail_statement("main", SqlError::ConnectionLost("gone".into()));
    assert_eq!(host.request("/chat").unwrap_err().status, 500);
    assert_eq!(host.take_log().last().unwrap().text, "open failed: database: connection lost: gone");
}
