//! Requests and replies over JSON, each with the `id` of its request. README.md has the protocol.

use hassock_sdk::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value as Any, json};

/// What a client asks for; the request also has an `id`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Add { name: String, text: String },
    List { page: u32 },
    Delete(u64),
}

struct Guestbook {
    database: Database,
    page_size: u32,
}

impl Start for Guestbook {
    fn start() -> Result<Self> {
        let database = Database::open("main")?;
        create_tables(&database)?;
        let page_size = settings::get_parsed("page_size")?.unwrap_or(10);
        ensure!(page_size > 0, "the setting `page_size` must be at least 1");
        Ok(Self { database, page_size })
    }
}

impl Handler for Guestbook {
    type Message<'a> = Json<Map<String, Any>>;

    fn on_message(&self, connection: Connection, Json(mut request): Self::Message<'_>) -> Result<()> {
        let id = request.remove("id").unwrap_or_default();
        let mut reply = self.act(request.into()).unwrap_or_else(|error| json!({ "error": tell(&error) }));
        if let Some(reply) = reply.as_object_mut() {
            reply.insert("id".to_owned(), id);
        }
        connection.send_json(&reply)
    }

    fn on_client_error(&self, connection: Connection, error: ClientError) -> Result<()> {
        connection.send_json(&json!({ "id": null, "error": error.to_string() }))
    }
}

impl Guestbook {
    fn act(&self, action: Any) -> Result<Any> {
        match serde_json::from_value(action).map_err(|error| ClientError::new(error.to_string()))? {
            Action::Add { name, text } => self.add(name.trim(), text.trim()),
            Action::List { page } => self.list(page),
            Action::Delete(entry) => self.delete(entry),
        }
    }

    fn add(&self, name: &str, text: &str) -> Result<Any> {
        let fits = (1..=64).contains(&name.chars().count()) && (1..=2000).contains(&text.chars().count());
        ensure!(fits, ClientError::new("a name has 1 to 64 characters, a text 1 to 2000"));
        let added = self.database.execute("INSERT INTO entry (name, body) VALUES (?, ?)", params![name, text])?;
        Ok(json!({ "added": added.last_insert_id }))
    }

    /// List the entries of a page, the newest first.
    fn list(&self, page: u32) -> Result<Any> {
        let count: u64 = self.database.query("SELECT COUNT(*) FROM entry", [])?.one()?.get_as()?;
        let skip = page.checked_sub(1).ok_or_else(|| ClientError::new("pages are counted from 1"))?;
        let skip = u64::from(skip) * u64::from(self.page_size);
        let select = "SELECT id, name, body AS text FROM entry ORDER BY id DESC LIMIT ? OFFSET ?";
        let entries: Vec<Any> = self.database.query_as(select, params![self.page_size, skip])?;
        Ok(json!({ "entries": entries, "page": page, "pages": count.div_ceil(self.page_size.into()).max(1) }))
    }

    /// Move an entry to the deleted ones. Both statements take effect or neither: an error rolls the transaction back.
    fn delete(&self, id: u64) -> Result<Any> {
        self.database.transaction(|transaction| {
            let keep = "INSERT INTO deleted (id, name, body) SELECT id, name, body FROM entry WHERE id = ?";
            transaction.execute(keep, params![id])?;
            let deleted = transaction.execute("DELETE FROM entry WHERE id = ?", params![id])?;
            ensure!(deleted.affected_rows > 0, ClientError::new(format!("there is no entry {id}")));
            Ok(json!({ "deleted": id }))
        })
    }
}

/// SQLite and MariaDB have different words for an auto-increment key; each reports the other's as a syntax error.
fn create_tables(database: &Database) -> Result<()> {
    let columns = "name VARCHAR(64) NOT NULL, body TEXT NOT NULL";
    let entry = |key| database.execute(&format!("CREATE TABLE IF NOT EXISTS entry (id {key}, {columns})"), []);
    match entry("INTEGER PRIMARY KEY AUTOINCREMENT") {
        Err(error) if matches!(error.downcast_ref(), Some(SqlError::Syntax(_))) => {
            entry("BIGINT PRIMARY KEY AUTO_INCREMENT")?
        }
        result => result?,
    };
    let deleted = format!("CREATE TABLE IF NOT EXISTS deleted (id BIGINT PRIMARY KEY, {columns})");
    database.execute(&deleted, []).map(drop)
}

/// What the client may know about an error: its own mistakes. Other errors go into the log.
fn tell(error: &Error) -> String {
    match error.downcast_ref::<ClientError>() {
        Some(mistake) => mistake.to_string(),
        None => {
            error!("{error:#}");
            "the guestbook is out of order, please try again later".into()
        }
    }
}

hassock_sdk::export!(Guestbook);

#[cfg(test)]
mod tests;
