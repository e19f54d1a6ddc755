use hassock_sdk::testing::{MockClient, MockHost};

use super::*;

fn guestbook() -> MockHost<Guestbook> {
    MockHost::builder().database("main").setting("page_size", "2").build()
}

fn ask(client: &MockClient, request: Any) -> Any {
    client.send_json(&request);
    let mut replies = client.messages_json();
    assert_eq!(replies.len(), 1, "{replies:?}");
    replies.remove(0)
}

fn add(client: &MockClient, name: &str, text: &str) -> Any {
    ask(client, json!({ "id": 7, "add": { "name": name, "text": text } }))
}

#[test]
fn entries_are_added_and_listed_in_pages() {
    let host = guestbook();
    let client = host.connect("/guestbook");
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
    let client = host.connect("/guestbook");
    add(&client, "Zoe", "hello");
    assert_eq!(ask(&client, json!({ "id": 1, "delete": 1 })), json!({ "id": 1, "deleted": 1 }));
    let again = json!({ "id": 2, "error": "there is no entry 1" });
    assert_eq!(ask(&client, json!({ "id": 2, "delete": 1 })), again);
    let count = |table: &str| host.database("main").query(&format!("SELECT * FROM {table}"), []).unwrap().len();
    assert_eq!((count("entry"), count("deleted")), (0, 1));
}

/// Both statements take effect or neither: here the second one fails.
#[test]
fn a_delete_that_fails_halfway_changes_nothing() {
    let host = guestbook();
    let client = host.connect("/guestbook");
    add(&client, "Zoe", "hello");
    let trigger = "CREATE TRIGGER no BEFORE DELETE ON entry BEGIN SELECT RAISE(FAIL, 'no'); END";
    host.database("main").execute(trigger, []).unwrap();
    let error = "the guestbook is out of order, please try again later";
    assert_eq!(ask(&client, json!({ "id": 1, "delete": 1 })), json!({ "id": 1, "error": error }));
    assert!(host.database("main").query("SELECT * FROM deleted", []).unwrap().is_empty());
    assert!(host.take_log()[0].text.starts_with("database: constraint: no"));
}

#[test]
fn mistakes_are_told_and_the_connection_stays() {
    let host = guestbook();
    let client = host.connect("/guestbook");
    let error = json!({ "id": 7, "error": "a name has 1 to 64 characters, a text 1 to 2000" });
    assert_eq!(add(&client, " ", "text"), error);
    assert_eq!(add(&client, "Zoe", &"x".repeat(2001)), error);
    assert!(ask(&client, json!({ "list": { "page": 0 } }))["error"].is_string());
    assert!(ask(&client, json!({ "id": 1, "burn": true }))["error"].is_string());
    client.send_text("no JSON");
    assert_eq!(client.messages_json()[0]["id"], Any::Null);
    assert_eq!(client.closing(), None);
}

/// The same handler with MariaDB's word for an auto-increment key, which SQLite reports as a syntax error.
#[test]
fn the_tables_are_made_in_either_database() {
    use hassock_sdk::testing::Scripted;
    let script = |statement: &str, _: &[Value]| match statement {
        statement if statement.contains(" AUTOINCREMENT") => Err(SqlError::Syntax("AUTOINCREMENT".into())),
        statement if statement.starts_with("CREATE TABLE") => Ok(Scripted::changed(0)),
        _ => Ok(Scripted::inserted(5)),
    };
    let host = MockHost::<Guestbook>::builder().scripted("main", script).build();
    let client = host.connect("/guestbook");
    assert_eq!(add(&client, "Zoe", "hello"), json!({ "id": 7, "added": 5 }));
}

#[test]
fn a_page_size_of_zero_is_refused() {
    let host = MockHost::<Guestbook>::builder().database("main").setting("page_size", "0").build();
    let refused = host.request("/guestbook").unwrap_err();
    assert_eq!(refused.status, 500);
    assert_eq!(host.take_log()[0].text, "open failed: the setting `page_size` must be at least 1");
}
