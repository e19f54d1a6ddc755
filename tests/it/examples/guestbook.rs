//! The example `guestbook`: everything that its README promises, on SQLite and on MariaDB.

use std::collections::BTreeSet;

use futures_util::SinkExt;
use hassock_tests::{Client, TestDatabase, TestHost, app_with_database, example};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

hassock_tests::for_both_engines!(
    entries_are_listed_page_by_page,
    a_deleted_entry_moves_to_the_deleted_ones,
    a_delete_that_fails_half_way_changes_nothing,
    mistakes_are_answered_and_the_connection_stays,
    entries_have_lengths,
    every_reply_has_the_id_of_its_request,
    many_clients_write_at_once,
    any_character_is_accepted,
    entries_survive_the_host,
    a_lost_table_is_an_error_without_details,
);

const OUT_OF_ORDER: &str = "the guestbook is out of order, please try again later";

async fn guestbook(store: &TestDatabase) -> TestHost {
    let config = app_with_database("guestbook", &example("guestbook"), &store.url);
    TestHost::start(&format!("{config}settings = {{ page_size = 3 }}\n")).await
}

async fn ask(client: &mut Client, request: Value) -> Value {
    client.send(request.to_string()).await;
    client.json().await
}

async fn add(client: &mut Client, name: &str, text: &str) -> u64 {
    let reply = ask(client, json!({ "id": 0, "add": { "name": name, "text": text } })).await;
    reply["added"].as_u64().unwrap_or_else(|| panic!("not added: {reply}"))
}

async fn error(client: &mut Client, request: &str) -> String {
    client.send(request).await;
    let reply = client.json().await;
    reply["error"].as_str().unwrap_or_else(|| panic!("{request} is not an error: {reply}")).to_owned()
}

/// A page has the newest entries first, and says how many pages there are; one after the last is empty.
async fn entries_are_listed_page_by_page(store: TestDatabase) {
    let host = guestbook(&store).await;
    let mut client = host.connect("/guestbook").await;
    let empty = ask(&mut client, json!({ "id": 1, "list": { "page": 1 } })).await;
    assert_eq!(empty, json!({ "id": 1, "entries": [], "page": 1, "pages": 1 }));
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(add(&mut client, &format!("name {number}"), &format!("text {number}")).await);
    }
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    let entry = |number: usize| json!({ "id": ids[number], "name": format!("name {number}"), "text": format!("text {number}") });
    let pages: [(u32, &[usize]); 5] = [(1, &[6, 5, 4]), (2, &[3, 2, 1]), (3, &[0]), (4, &[]), (u32::MAX, &[])];
    for (page, numbers) in pages {
        let entries: Vec<_> = numbers.iter().map(|number| entry(*number)).collect();
        let listed = ask(&mut client, json!({ "id": 2, "list": { "page": page } })).await;
        assert_eq!(listed, json!({ "id": 2, "entries": entries, "page": page, "pages": 3 }));
    }
    for number in 7..9 {
        add(&mut client, &format!("name {number}"), "text").await;
    }
    assert_eq!(ask(&mut client, json!({ "list": { "page": 3 } })).await["pages"], 3);
}

/// An entry that is deleted is kept in the table `deleted`; it cannot be deleted twice.
async fn a_deleted_entry_moves_to_the_deleted_ones(store: TestDatabase) {
    let host = guestbook(&store).await;
    let mut client = host.connect("/guestbook").await;
    let zoe = add(&mut client, "Zoe", "hello 😀").await;
    let bob = add(&mut client, "Bob", "hello").await;
    assert_eq!(ask(&mut client, json!({ "id": 3, "delete": zoe })).await, json!({ "id": 3, "deleted": zoe }));
    assert_eq!(store.texts("SELECT name FROM entry").await, ["Bob"]);
    assert_eq!(store.texts("SELECT body FROM deleted").await, ["hello 😀"]);
    assert_eq!(store.texts("SELECT CAST(id AS CHAR) FROM deleted").await, [zoe.to_string()]);
    let listed = ask(&mut client, json!({ "list": { "page": 1 } })).await;
    assert_eq!(listed["entries"], json!([{ "id": bob, "name": "Bob", "text": "hello" }]));
    for absent in [zoe, 0, bob + 1, i64::MAX as u64, u64::MAX] {
        let reply = ask(&mut client, json!({ "id": 4, "delete": absent })).await;
        assert_eq!(reply, json!({ "id": 4, "error": format!("there is no entry {absent}") }));
    }
    assert_eq!(store.texts("SELECT name FROM deleted").await, ["Zoe"]);
    // A number is not used twice, or the two tables would disagree.
    assert!(ask(&mut client, json!({ "delete": bob })).await["deleted"] == bob);
    assert!(add(&mut client, "Carol", "hello").await > bob);
}

/// Deleting is two statements: if the second fails, the first is undone, and the connection to the database is
/// as good as before. Invariant 8.
async fn a_delete_that_fails_half_way_changes_nothing(store: TestDatabase) {
    let host = guestbook(&store).await;
    let mut client = host.connect("/guestbook").await;
    let zoe = add(&mut client, "Zoe", "hello").await;
    let refuse = store
        .pick("BEGIN SELECT RAISE(ABORT, 'no'); END", "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'");
    store.execute(&format!("CREATE TRIGGER keep BEFORE DELETE ON entry {refuse}")).await;
    for _ in 0..40 {
        let reply = ask(&mut client, json!({ "id": 5, "delete": zoe })).await;
        assert_eq!(reply, json!({ "id": 5, "error": OUT_OF_ORDER }));
    }
    assert_eq!(store.texts("SELECT name FROM entry").await, ["Zoe"]);
    assert_eq!(store.texts("SELECT name FROM deleted").await, [] as [&str; 0]);
    store.execute("DROP TRIGGER keep").await;
    assert_eq!(ask(&mut client, json!({ "delete": zoe })).await["deleted"], zoe);
    assert_eq!(store.texts("SELECT name FROM deleted").await, ["Zoe"]);
}

/// A message that is not a request gets a reply that says so, and the database is not used.
async fn mistakes_are_answered_and_the_connection_stays(store: TestDatabase) {
    let host = guestbook(&store).await;
    let mut client = host.connect("/guestbook").await;
    for mistake in ["hello", "", "{", "null", "1", "[]", "[{\"list\":{\"page\":1}}]", "\"list\""] {
        client.send(mistake).await;
        let reply = client.json().await;
        assert!(reply["error"].is_string() && reply["id"].is_null() && reply.get("id").is_some(), "{mistake}: {reply}");
    }
    for mistake in [
        "{}",
        r#"{"id":1}"#,
        r#"{"id":1,"frobnicate":1}"#,
        r#"{"id":1,"add":{}}"#,
        r#"{"id":1,"add":{"name":"Zoe"}}"#,
        r#"{"id":1,"add":{"name":"Zoe","text":1}}"#,
        r#"{"id":1,"list":{}}"#,
        r#"{"id":1,"list":{"page":-1}}"#,
        r#"{"id":1,"list":{"page":"1"}}"#,
        r#"{"id":1,"delete":-1}"#,
        r#"{"id":1,"delete":1.5}"#,
        r#"{"id":1,"delete":18446744073709551616}"#,
        r#"{"id":1,"delete":1,"list":{"page":1}}"#,
    ] {
        let message = error(&mut client, mistake).await;
        assert!(!message.is_empty() && message != OUT_OF_ORDER, "{mistake}: {message}");
    }
    assert_eq!(error(&mut client, r#"{"id":1,"list":{"page":0}}"#).await, "pages are counted from 1");
    client.socket.send(Message::binary(vec![0xff])).await.unwrap();
    assert!(client.json().await["error"].is_string());
    client.socket.send(Message::binary(r#"{"id":9,"list":{"page":1}}"#)).await.unwrap();
    assert_eq!(client.json().await, json!({ "id": 9, "entries": [], "page": 1, "pages": 1 }));
}

/// A name has 1 to 64 characters and a text 1 to 2000, however many bytes; spaces around them do not count.
async fn entries_have_lengths(store: TestDatabase) {
    let host = guestbook(&store).await;
    let mut client = host.connect("/guestbook").await;
    let long = |times| "😀".repeat(times);
    for (name, text) in
        [("", "text"), ("  \t", "text"), ("name", ""), ("name", " \n"), (&long(65), "text"), ("name", &long(2001))]
    {
        let request = json!({ "add": { "name": name, "text": text } }).to_string();
        assert_eq!(error(&mut client, &request).await, "a name has 1 to 64 characters, a text 1 to 2000");
    }
    add(&mut client, &format!(" {}\n", long(64)), &format!("\t{} ", long(2000))).await;
    assert_eq!(store.texts("SELECT name FROM entry").await, [long(64)]);
    assert_eq!(store.texts("SELECT body FROM entry").await, [long(2000)]);
}

/// The `id` of a request, any JSON, comes back in its reply, and replies come in order.
async fn every_reply_has_the_id_of_its_request(store: TestDatabase) {
    let host = guestbook(&store).await;
    let mut client = host.connect("/guestbook").await;
    let ids =
        [json!(1), json!("one"), json!(null), json!(-1.5), json!({ "a": [1, "😀"] }), json!(true), json!(u64::MAX)];
    for id in &ids {
        client.send(json!({ "id": id, "list": { "page": 1 } }).to_string()).await;
        client.send(json!({ "id": id, "delete": 1 }).to_string()).await;
    }
    for id in &ids {
        let (listed, deleted) = (client.json().await, client.json().await);
        assert_eq!((&listed["id"], &deleted["id"]), (id, id));
        assert!(listed["pages"] == 1 && deleted["error"] == "there is no entry 1", "{listed} {deleted}");
    }
    assert_eq!(ask(&mut client, json!({ "list": { "page": 1 } })).await["id"], Value::Null);
}

/// Clients that write at the same time get different numbers, and all their entries are stored.
async fn many_clients_write_at_once(store: TestDatabase) {
    let host = guestbook(&store).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let mut client = host.connect("/guestbook").await;
        tasks.spawn(async move {
            let mut ids = Vec::new();
            for entry in 0..8 {
                ids.push(add(&mut client, &format!("client {number}"), &format!("entry {entry}")).await);
            }
            ids
        });
    }
    let mut ids = BTreeSet::new();
    while let Some(of_one) = tasks.join_next().await {
        ids.extend(of_one.unwrap());
    }
    assert_eq!(ids.len(), 128);
    let stored = store.texts("SELECT CAST(id AS CHAR) FROM entry").await;
    assert_eq!(stored.iter().map(|id| id.parse().unwrap()).collect::<BTreeSet<u64>>(), ids);
}

/// Text that looks like SQL, and text in any script, is stored as it is.
async fn any_character_is_accepted(store: TestDatabase) {
    let host = guestbook(&store).await;
    let mut client = host.connect("/guestbook").await;
    for text in ["'); DROP TABLE entry; --", "\\' \" ` ? %s ${X}", "a\0b\u{1}\u{7f}", "שלום", "👩‍👩‍👧‍👦 e\u{301}"]
    {
        let id = add(&mut client, text, text).await;
        let listed = ask(&mut client, json!({ "list": { "page": 1 } })).await;
        assert_eq!(listed["entries"][0], json!({ "id": id, "name": text, "text": text }));
    }
}

/// After a restart of the host, the entries are still there, and numbers go on. Invariant 3.
async fn entries_survive_the_host(store: TestDatabase) {
    let first = guestbook(&store).await;
    let mut client = first.connect("/guestbook").await;
    let before = add(&mut client, "Zoe", "before").await;
    drop(client);
    assert_eq!(first.drain().await, 0);
    let second = guestbook(&store).await;
    let mut client = second.connect("/guestbook").await;
    assert!(add(&mut client, "Zoe", "after").await > before);
    let listed = ask(&mut client, json!({ "list": { "page": 1 } })).await;
    assert_eq!((&listed["entries"][0]["text"], &listed["entries"][1]["text"]), (&json!("after"), &json!("before")));
}

/// A fault of the database is for the log, not for clients: they get an error without details, and stay connected.
async fn a_lost_table_is_an_error_without_details(store: TestDatabase) {
    let host = guestbook(&store).await;
    let mut client = host.connect("/guestbook").await;
    add(&mut client, "Zoe", "hello").await;
    store.execute("DROP TABLE entry").await;
    for request in
        [r#"{"id":1,"list":{"page":1}}"#, r#"{"id":1,"delete":1}"#, r#"{"id":1,"add":{"name":"x","text":"y"}}"#]
    {
        assert_eq!(error(&mut client, request).await, OUT_OF_ORDER);
    }
}

/// A page size of zero cannot be served: every client is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_size_of_zero_refuses_every_client() {
    let config = app_with_database("guestbook", &example("guestbook"), "sqlite::memory:");
    let host = TestHost::start(&format!("{config}settings = {{ page_size = 0 }}\n")).await;
    assert_eq!(hassock_tests::refused(&host.address(), "/guestbook", |_| {}).await.0, 500);
}
