//! The example `chat`: everything that its README promises, on SQLite and on MariaDB.

use futures_util::SinkExt;
use hassock_tests::{Client, TestDatabase, TestHost, app_with_database, example, refused, within};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

hassock_tests::for_both_engines!(
    members_hear_who_comes_and_goes,
    a_line_reaches_everybody_in_the_room_and_nobody_else,
    a_private_line_reaches_two,
    a_newcomer_gets_the_last_twenty_lines_in_order,
    rooms_have_histories_of_their_own,
    history_survives_the_host,
    a_name_is_taken_while_its_owner_is_there,
    bad_names_and_rooms_are_refused,
    mistakes_are_answered_and_the_connection_stays,
    silence_is_noticed,
    guests_need_no_name,
    any_character_is_accepted,
    rooms_that_look_alike_are_different,
);

async fn chat(store: &TestDatabase) -> TestHost {
    TestHost::start(&app_with_database("chat", &example("chat"), &store.url)).await
}

async fn enter(host: &TestHost, room: &str, name: &str) -> Client {
    host.connect(&format!("/chat?room={room}&name={name}")).await
}

async fn say(client: &mut Client, line: Value) {
    client.send(line.to_string()).await;
}

/// Say something and wait until the speaker hears it: then it is stored, and all others get it before what comes next.
async fn say_and_hear(client: &mut Client, name: &str, text: &str) {
    say(client, json!({ "say": text })).await;
    assert_eq!(client.json().await, json!({ "from": name, "say": text }));
}

async fn present(client: &mut Client) -> Value {
    say(client, json!({ "who": true })).await;
    client.json().await["present"].take()
}

/// Read messages until this one comes.
async fn until(client: &mut Client, expected: &Value) {
    within(&expected.to_string(), async { while client.json().await != *expected {} }).await;
}

/// The members of a room hear who joins and who leaves, and can ask who is there.
async fn members_hear_who_comes_and_goes(store: TestDatabase) {
    let host = chat(&store).await;
    let mut alice = enter(&host, "lobby", "alice").await;
    assert_eq!(present(&mut alice).await, json!(["alice"]));
    let mut bob = enter(&host, "lobby", "bob").await;
    assert_eq!(alice.json().await, json!({ "joined": "bob" }));
    let carol = enter(&host, "lobby", "carol").await;
    for member in [&mut alice, &mut bob] {
        assert_eq!(member.json().await, json!({ "joined": "carol" }));
    }
    assert_eq!(present(&mut bob).await, json!(["alice", "bob", "carol"]));
    carol.close().await;
    for member in [&mut alice, &mut bob] {
        assert_eq!(member.json().await, json!({ "left": "carol" }));
    }
    drop(bob);
    assert_eq!(alice.json().await, json!({ "left": "bob" }));
    assert_eq!(present(&mut alice).await, json!(["alice"]));
}

/// All members of a room get a line, its speaker too; those of other rooms do not.
async fn a_line_reaches_everybody_in_the_room_and_nobody_else(store: TestDatabase) {
    let host = chat(&store).await;
    let mut alice = enter(&host, "lobby", "alice").await;
    let mut bob = enter(&host, "lobby", "bob").await;
    let mut carol = enter(&host, "kitchen", "carol").await;
    assert_eq!(alice.json().await, json!({ "joined": "bob" }));
    for text in ["hi", "", "a \"quoted\" line"] {
        say_and_hear(&mut alice, "alice", text).await;
        assert_eq!(bob.json().await, json!({ "from": "alice", "say": text }));
    }
    // The first line that she hears is her own.
    say_and_hear(&mut carol, "carol", "alone").await;
    assert_eq!(present(&mut carol).await, json!(["carol"]));
    say_and_hear(&mut bob, "bob", "hi alice").await;
    assert_eq!(alice.json().await, json!({ "from": "bob", "say": "hi alice" }));
}

/// A private line is for its addressee and its speaker, within their room; it is not kept. One for somebody who is not
/// there gets an error.
async fn a_private_line_reaches_two(store: TestDatabase) {
    let host = chat(&store).await;
    let mut alice = enter(&host, "lobby", "alice").await;
    let mut bob = enter(&host, "lobby", "bob").await;
    let mut carol = enter(&host, "lobby", "carol").await;
    let mut dave = enter(&host, "kitchen", "dave").await;
    for newcomer in ["bob", "carol"] {
        assert_eq!(alice.json().await, json!({ "joined": newcomer }));
    }
    assert_eq!(bob.json().await, json!({ "joined": "carol" }));
    say(&mut alice, json!({ "to": "bob", "say": "psst" })).await;
    for member in [&mut alice, &mut bob] {
        assert_eq!(member.json().await, json!({ "from": "alice", "to": "bob", "say": "psst" }));
    }
    say(&mut alice, json!({ "to": "alice", "say": "note" })).await;
    assert_eq!(alice.json().await, json!({ "from": "alice", "to": "alice", "say": "note" }));
    for absent in ["dave", "nobody", ""] {
        say(&mut alice, json!({ "to": absent, "say": "psst" })).await;
        assert_eq!(alice.json().await, json!({ "error": format!("nobody here is called {absent}") }));
    }
    // The next line that each of them hears is not a private one.
    say_and_hear(&mut alice, "alice", "aloud").await;
    for member in [&mut bob, &mut carol] {
        assert_eq!(member.json().await, json!({ "from": "alice", "say": "aloud" }));
    }
    say_and_hear(&mut dave, "dave", "alone").await;
    let mut erin = enter(&host, "lobby", "erin").await;
    assert_eq!(erin.json().await, json!({ "history": [{ "from": "alice", "say": "aloud" }] }));
}

/// A newcomer gets the last twenty lines, oldest first, before anything else; nothing if there are none.
async fn a_newcomer_gets_the_last_twenty_lines_in_order(store: TestDatabase) {
    let host = chat(&store).await;
    let mut alice = enter(&host, "lobby", "alice").await;
    let mut bob = enter(&host, "lobby", "bob").await;
    until(&mut alice, &json!({ "joined": "bob" })).await;
    for number in 0..25 {
        let (member, other, name) =
            if number % 2 == 0 { (&mut alice, &mut bob, "alice") } else { (&mut bob, &mut alice, "bob") };
        say_and_hear(member, name, &number.to_string()).await;
        assert_eq!(other.json().await["say"], number.to_string());
    }
    let from = |number| if number % 2 == 0 { "alice" } else { "bob" };
    let line = |number: i32| json!({ "from": from(number), "say": number.to_string() });
    let mut carol = enter(&host, "lobby", "carol").await;
    assert_eq!(carol.json().await, json!({ "history": (5..25).map(line).collect::<Vec<_>>() }));
    assert_eq!(present(&mut carol).await, json!(["alice", "bob", "carol"]));
    assert_eq!(store.texts("SELECT body FROM message ORDER BY sent").await.len(), 25);
}

/// A room's history is its own.
async fn rooms_have_histories_of_their_own(store: TestDatabase) {
    let host = chat(&store).await;
    for room in ["lobby", "kitchen"] {
        say_and_hear(&mut enter(&host, room, "alice").await, "alice", room).await;
    }
    for room in ["lobby", "kitchen"] {
        let mut bob = enter(&host, room, "bob").await;
        // That alice has left may come first: bob joins the room before its history is read.
        until(&mut bob, &json!({ "history": [{ "from": "alice", "say": room }] })).await;
    }
    let mut bob = enter(&host, "cellar", "bob").await;
    assert_eq!(present(&mut bob).await, json!(["bob"]));
}

/// After a restart of the host, what was said is still there, but the members are not. Invariant 3.
async fn history_survives_the_host(store: TestDatabase) {
    let first = chat(&store).await;
    let mut alice = enter(&first, "lobby", "alice").await;
    say_and_hear(&mut alice, "alice", "before").await;
    let drain = tokio::spawn(first.drain());
    assert_eq!(alice.closed().await.code, 1001);
    drop(alice);
    assert_eq!(drain.await.unwrap(), 0);
    let second = chat(&store).await;
    let mut alice = enter(&second, "lobby", "alice").await;
    assert_eq!(alice.json().await, json!({ "history": [{ "from": "alice", "say": "before" }] }));
    say_and_hear(&mut alice, "alice", "after").await;
    assert_eq!(store.texts("SELECT body FROM message ORDER BY sent").await, ["before", "after"]);
}

/// Two members of a room cannot have the same name; in different rooms, or one after the other, they can.
async fn a_name_is_taken_while_its_owner_is_there(store: TestDatabase) {
    let host = chat(&store).await;
    let mut alice = enter(&host, "lobby", "alice").await;
    let taken = refused(&host.address(), "/chat?room=lobby&name=alice", |_| {}).await;
    assert_eq!(taken, (409, "alice is taken".to_owned()));
    let other = enter(&host, "kitchen", "alice").await;
    let mut bob = enter(&host, "lobby", "bob").await;
    // The client that was refused never joined.
    assert_eq!(alice.json().await, json!({ "joined": "bob" }));
    alice.close().await;
    assert_eq!(bob.json().await, json!({ "left": "alice" }));
    let _alice = enter(&host, "lobby", "alice").await;
    assert_eq!(bob.json().await, json!({ "joined": "alice" }));
    other.close().await;
}

/// A name has 1 to 32 characters, however many bytes they are, and a room 1 to 64 bytes.
async fn bad_names_and_rooms_are_refused(store: TestDatabase) {
    let host = chat(&store).await;
    let long = |part: &str, times| part.repeat(times);
    for query in [
        "name=".to_owned(),
        "room=&name=x".to_owned(),
        format!("name={}", long("x", 33)),
        format!("name={}", long("%F0%9F%98%80", 33)),
        format!("name=x&room={}", long("x", 65)),
        format!("name=x&room={}", long("%F0%9F%98%80", 17)),
    ] {
        let (status, body) = refused(&host.address(), &format!("/chat?{query}"), |_| {}).await;
        assert_eq!((status, body.as_str()), (400, "a name has 1 to 32 characters, a room 1 to 64 bytes"), "{query}");
    }
    let mut client = enter(&host, &long("%F0%9F%98%80", 16), &long("%F0%9F%98%80", 32)).await;
    say_and_hear(&mut client, &"😀".repeat(32), "at the limit").await;
}

/// A client that makes a mistake gets an error. Neither it nor any other loses the connection.
async fn mistakes_are_answered_and_the_connection_stays(store: TestDatabase) {
    let host = chat(&store).await;
    let mut alice = enter(&host, "lobby", "alice").await;
    let mut bob = enter(&host, "lobby", "bob").await;
    assert_eq!(alice.json().await, json!({ "joined": "bob" }));
    let too_long = json!({ "say": "x".repeat(8001) }).to_string();
    let mistakes = [
        "hello",
        "",
        "{",
        "null",
        "1",
        "[]",
        "{}",
        r#"{"say":1}"#,
        r#"{"sya":"hi"}"#,
        r#"{"to":"bob"}"#,
        r#"{"say":"hi","who":true}"#,
        r#"{"who":false}"#,
        r#"{"say":"a","say":"b"}"#,
        &too_long,
    ];
    for mistake in mistakes {
        alice.send(mistake).await;
        let answer = alice.json().await;
        assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()), "{mistake}: {answer}");
    }
    alice.socket.send(Message::binary(vec![0xff, 0xfe])).await.unwrap();
    assert!(alice.json().await["error"].is_string());
    alice.socket.send(Message::binary(r#"{"say":"as binary"}"#)).await.unwrap();
    // Of all that, they hear only the line that was correct.
    for member in [&mut alice, &mut bob] {
        assert_eq!(member.json().await, json!({ "from": "alice", "say": "as binary" }));
    }
    say_and_hear(&mut alice, "alice", &"x".repeat(8000)).await;
}

/// A member who says nothing for `away_after` is announced as away once, and again only after saying something.
async fn silence_is_noticed(store: TestDatabase) {
    let config = app_with_database("chat", &example("chat"), &store.url);
    let host = TestHost::start(&format!("{config}settings = {{ away_after = 1 }}\n")).await;
    let mut alice = enter(&host, "lobby", "alice").await;
    let mut bob = enter(&host, "lobby", "bob").await;
    let mut clients = [&mut alice, &mut bob];
    for text in ["here", "back", "back again"] {
        say(clients[0], json!({ "say": text })).await;
        let mut expected = vec![json!({ "from": "alice", "say": text }), json!({ "away": "alice" })];
        if text == "here" {
            // On a busy machine she may have been away before.
            until(clients[0], &expected[0]).await;
            until(clients[1], &expected.remove(0)).await;
        }
        for client in &mut clients {
            for expected in &expected {
                assert_eq!(next_not_of_bob(client).await, *expected);
            }
        }
    }
    alice.close().await;
    assert_eq!(next_not_of_bob(&mut bob).await, json!({ "left": "alice" }));
}

/// Bob is announced as away too, at any point between the messages about alice.
async fn next_not_of_bob(client: &mut Client) -> Value {
    match client.json().await {
        away if away == json!({ "away": "bob" }) => client.json().await,
        other => other,
    }
}

/// A client that gives no name gets one, and one that gives no room is in the lobby.
async fn guests_need_no_name(store: TestDatabase) {
    let host = chat(&store).await;
    let mut alice = enter(&host, "lobby", "alice").await;
    let mut guests = Vec::new();
    for path in ["/chat", "/chat?", "/chat?room=lobby"] {
        let guest = host.connect(path).await;
        let name = alice.json().await["joined"].as_str().unwrap().to_owned();
        assert!(name.strip_prefix("guest-").is_some_and(|number| number.parse::<u64>().is_ok()), "{name}");
        guests.push((name, guest));
    }
    let names: Vec<_> = ["alice"].into_iter().chain(guests.iter().map(|(name, _)| name.as_str())).collect();
    assert_eq!(present(&mut alice).await, json!(names));
    let (name, guest) = guests.last_mut().unwrap();
    say_and_hear(guest, name, "hi").await;
    assert_eq!(alice.json().await, json!({ "from": name, "say": "hi" }));
}

/// Names, rooms and lines of any script are the same afterwards, from the database too.
async fn any_character_is_accepted(store: TestDatabase) {
    let host = chat(&store).await;
    let mut zoe = host.connect("/chat?room=%F0%9F%9B%8B%EF%B8%8F+caf%C3%A9&name=Zo%C3%AB+%F0%9F%98%80").await;
    let lines = ["😀👩‍👩‍👧‍👦", "it's \"a\" \\ `?` ; -- %s ${X} ?", "\0\u{1}\n\t\u{7f}", "שלום مرحبا", "\u{2028}e\u{301}"];
    for line in lines {
        say_and_hear(&mut zoe, "Zoë 😀", line).await;
    }
    let mut other = host.connect("/chat?room=%F0%9F%9B%8B%EF%B8%8F%20caf%C3%A9&name=other").await;
    let expected: Vec<_> = lines.iter().map(|line| json!({ "from": "Zoë 😀", "say": line })).collect();
    assert_eq!(other.json().await, json!({ "history": expected }));
    assert_eq!(present(&mut other).await, json!(["Zoë 😀", "other"]));
}

/// Rooms are compared byte by byte, in the history and for the members.
async fn rooms_that_look_alike_are_different(store: TestDatabase) {
    let host = chat(&store).await;
    let mut members = Vec::new();
    for room in ["cafe", "Cafe", "caf%C3%A9", "cafe+"] {
        let mut member = enter(&host, room, "alice").await;
        say_and_hear(&mut member, "alice", room).await;
        members.push(member);
    }
    for room in ["cafe", "Cafe", "caf%C3%A9", "cafe+"] {
        let mut newcomer = enter(&host, room, "bob").await;
        assert_eq!(newcomer.json().await, json!({ "history": [{ "from": "alice", "say": room }] }), "{room}");
    }
}
