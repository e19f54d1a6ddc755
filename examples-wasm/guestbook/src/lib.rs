//! Requests and replies over JSON, each with the `id` of its request. README.md has the protocol.

use hassock_guest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

/// What a client asks for; an `id` stands beside it.
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

impl Handler for Guestbook {
    fn start() -> Result<Self> {
        let database = Database::open("main")?;
        create_tables(&database)?;
        match settings::get_parsed("page_size")?.unwrap_or(10) {
            0 => Err(Error::Setting("the setting `page_size` must be at least 1".into())),
            page_size => Ok(Self { database, page_size }),
        }
    }

    fn message(&self, connection: Connection, message: Message) -> Result<()> {
        // A client that makes a mistake gets a reply that says so; to return an error would close.
        let (id, answer) = match message.parse_json() {
            Ok(request) => self.answer(request),
            Err(error) => (Json::Null, Err(error)),
        };
        let mut reply = answer.unwrap_or_else(|error| json!({ "error": tell(error) }));
        if let Some(reply) = reply.as_object_mut() {
            reply.insert("id".into(), id);
        }
        connection.send_json(&reply).map(drop)
    }
}

impl Guestbook {
    /// The `id` of the request, and the reply to what stands beside it.
    fn answer(&self, mut request: Map<String, Json>) -> (Json, Result<Json>) {
        let id = request.remove("id").unwrap_or_default();
        let answer = match serde_json::from_value(request.into()) {
            Ok(Action::Add { name, text }) => self.add(name.trim(), text.trim()),
            Ok(Action::List { page }) => self.list(page),
            Ok(Action::Delete(entry)) => self.delete(entry),
            Err(error) => Err(error.into()),
        };
        (id, answer)
    }

    fn add(&self, name: &str, text: &str) -> Result<Json> {
        if !(1..=64).contains(&name.chars().count()) || !(1..=2000).contains(&text.chars().count()) {
            return Err("a name has 1 to 64 characters, a text 1 to 2000".into());
        }
        let added = self.database.execute("INSERT INTO entry (name, body) VALUES (?, ?)", params![name, text])?;
        Ok(json!({ "added": added.last_insert_id }))
    }

    /// The newest first.
    fn list(&self, page: u32) -> Result<Json> {
        let count: u64 = self.database.query("SELECT COUNT(*) AS n FROM entry", [])?.one()?.get("n")?;
        let skip = page.checked_sub(1).ok_or("pages are counted from 1")?;
        let skip = u64::from(skip) * u64::from(self.page_size);
        let select = "SELECT id, name, body FROM entry ORDER BY id DESC LIMIT ? OFFSET ?";
        let rows = self.database.query(select, params![self.page_size, skip])?;
        let entry = |row: &Row| {
            let (id, name, text): (u64, String, String) = (row.get("id")?, row.get("name")?, row.get("body")?);
            Ok(json!({ "id": id, "name": name, "text": text }))
        };
        let entries = rows.iter().map(entry).collect::<Result<Vec<Json>>>()?;
        Ok(json!({ "entries": entries, "page": page, "pages": count.div_ceil(self.page_size.into()).max(1) }))
    }

    /// Move an entry to the deleted ones. Both statements or neither: an error rolls the transaction back.
    fn delete(&self, id: u64) -> Result<Json> {
        self.database.transaction(|transaction| {
            let keep = "INSERT INTO deleted (id, name, body) SELECT id, name, body FROM entry WHERE id = ?";
            transaction.execute(keep, params![id])?;
            match transaction.execute("DELETE FROM entry WHERE id = ?", params![id])?.affected_rows {
                0 => Err(format!("there is no entry {id}").into()),
                _ => Ok(json!({ "deleted": id })),
            }
        })
    }
}

/// SQLite and MariaDB write a growing key differently, and each takes the other's word for a grammar error.
fn create_tables(database: &Database) -> Result<()> {
    let columns = "name VARCHAR(64) NOT NULL, body TEXT NOT NULL";
    let entry = |key| database.execute(&format!("CREATE TABLE IF NOT EXISTS entry (id {key}, {columns})"), []);
    match entry("INTEGER PRIMARY KEY AUTOINCREMENT") {
        Err(Error::Sql(sql::Error::Syntax(_))) => entry("BIGINT PRIMARY KEY AUTO_INCREMENT")?,
        result => result?,
    };
    let deleted = format!("CREATE TABLE IF NOT EXISTS deleted (id BIGINT PRIMARY KEY, {columns})");
    database.execute(&deleted, []).map(drop)
}

/// What the client may know of an error: its own mistakes. The rest is for the log.
fn tell(error: Error) -> String {
    if matches!(error, Error::Text(_) | Error::Json(_)) {
        return error.to_string();
    }
    error!("{error}");
    "the guestbook is out of order, please try again later".into()
}

hassock_guest::export!(Guestbook);

#[cfg(test)]
mod tests;
