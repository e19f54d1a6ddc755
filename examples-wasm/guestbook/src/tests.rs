use hassock_guest::testing::{Client, TestHost};

use super::*;

fn guestbook() -> TestHost<Guestbook> {
    TestHost::builder().database("main").setting("page_size", "2").build()
}

fn ask(client: &Client, request: Json) -> Json {
    client.send_json(&request);
    let mut replies = client.received_json();
    assert_eq!(replies.len(), 1, "{replies:?}");
    replies.remove(0)
}

fn add(client: &Client, name: &str, text: &str) -> Json {
    ask(client, json!({ "id": 7, "add": { "name": name, "text": text } }))
}

#[test]
fn entries_are_added_and_listed_in_pages() {
    let host = guestbook();
    let client = host.connect("/guestbook").unwrap();
    let empty = json!({ "id": null, "entries": [], "page": 1, "pages": 1 });
    assert_eq!(ask(&client, json!({ "list": { "page": 1 } })), empty);
    for number in 1..=3 {
        assert_eq!(add(&client, " Zoe ", &format!("text {number}")), json!({ "id": 7, "added": number }));
    }
    let entry = |id: u64| json!({ "id": id, "name": "Zoe", "text": format!("text {id}") });
    let first = json!({ "id": "a", "entries": [entry(3), entry(2)], "page": 1, "pages": 2 });
    assert_eq!(ask(&client, json!({ "id": "a", "list": { "page": 1 } })), first);
    let second = json!({ "id": "b", "entries": [entry(1)], "page": 2, "pages": 2 });
    assert_eq!(ask(&client, json!({ "id": "b", "list": { "page": 2 } })), second);
}

#[test]
fn a_deleted_entry_moves() {
    let host = guestbook();
    let client = host.connect("/guestbook").unwrap();
    add(&client, "Zoe", "hello");
    assert_eq!(ask(&client, json!({ "id": 1, "delete": 1 })), json!({ "id": 1, "deleted": 1 }));
    let again = json!({ "id": 2, "error": "there is no entry 1" });
    assert_eq!(ask(&client, json!({ "id": 2, "delete": 1 })), again);
    let count = |table: &str| host.database("main").query(&format!("SELECT * FROM {table}"), []).unwrap().len();
    assert_eq!((count("entry"), count("deleted")), (0, 1));
}

/// Both statements or neither: here the second one fails.
#[test]
fn a_delete_that_fails_halfway_changes_nothing() {
    let host = guestbook();
    let client = host.connect("/guestbook").unwrap();
    add(&client, "Zoe", "hello");
    let trigger = "CREATE TRIGGER no BEFORE DELETE ON entry BEGIN SELECT RAISE(FAIL, 'no'); END";
    host.database("main").execute(trigger, []).unwrap();
    let error = "the guestbook is out of order, please try again later";
    assert_eq!(ask(&client, json!({ "id": 1, "delete": 1 })), json!({ "id": 1, "error": error }));
    assert!(host.database("main").query("SELECT * FROM deleted", []).unwrap().is_empty());
    assert!(host.log()[0].1.starts_with("database: constraint: no"), "{:?}", host.log());
}

#[test]
fn mistakes_are_told_and_the_connection_stays() {
    let host = guestbook();
    let client = host.connect("/guestbook").unwrap();
    let error = json!({ "id": 7, "error": "a name has 1 to 64 characters, a text 1 to 2000" });
    assert_eq!(add(&client, " ", "text"), error);
    assert_eq!(add(&client, "Zoe", &"x".repeat(2001)), error);
    assert!(ask(&client, json!({ "list": { "page": 0 } }))["error"].is_string());
    assert!(ask(&client, json!({ "id": 1, "burn": true }))["error"].is_string());
    client.send("no JSON");
    assert_eq!(client.received_json()[0]["id"], Json::Null);
    assert_eq!(client.closed(), None);
}

/// The same handler with MariaDB's word for a growing key, which SQLite takes for a grammar error.
#[test]
fn the_tables_are_made_in_either_database() {
    use hassock_guest::testing::Answer;
    let script = |statement: &str, _: &[Value]| match statement {
        statement if statement.contains(" AUTOINCREMENT") => Err(sql::Error::Syntax("AUTOINCREMENT".into())),
        statement if statement.starts_with("CREATE TABLE") => Ok(Answer::changed(0)),
        _ => Ok(Answer::inserted(5)),
    };
    let host = TestHost::<Guestbook>::builder().scripted("main", script).build();
    let client = host.connect("/guestbook").unwrap();
    assert_eq!(add(&client, "Zoe", "hello"), json!({ "id": 7, "added": 5 }));
}

#[test]
fn a_page_size_of_zero_is_refused() {
    let host = TestHost::<Guestbook>::builder().database("main").setting("page_size", "0").build();
    let refused = host.connect("/guestbook").unwrap_err();
    assert_eq!(refused.status(), 500);
    assert_eq!(host.log()[0].1, "open failed: the setting `page_size` must be at least 1");
}
