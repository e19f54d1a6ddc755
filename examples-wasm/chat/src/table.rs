//! The lines that were said, in the table `message`.

use hassock_guest::prelude::*;
use serde_json::json;

/// A newcomer gets this many lines to read.
const LAST_LINES: &str = "SELECT author, body FROM message WHERE room = ? ORDER BY id DESC LIMIT 20";

/// Make the table unless it is there. SQLite and MariaDB write a growing key differently, and each takes
/// the other's word for a grammar error, so this tries one and then the other. Rooms are compared byte by
/// byte, which MariaDB does with bytes only. The unique key is there for its index: `id` alone is unique.
pub fn create(database: &Database) -> Result<()> {
    let create = |key: &str, room: &str, options: &str| {
        let table = format!(
            "CREATE TABLE IF NOT EXISTS message (
                id {key}, room {room}(64) NOT NULL, author VARCHAR(32) NOT NULL,
                body TEXT NOT NULL, UNIQUE (room, id)
            ) {options}"
        );
        database.execute(&table, []).map(drop)
    };
    match create("INTEGER PRIMARY KEY AUTOINCREMENT", "VARCHAR", "") {
        Err(Error::Sql(sql::Error::Syntax(_))) => {
            create("BIGINT PRIMARY KEY AUTO_INCREMENT", "VARBINARY", "CHARACTER SET utf8mb4")
        }
        result => result,
    }
}

pub fn add(database: &Database, room: &str, author: &str, body: &str) -> Result<()> {
    let insert = "INSERT INTO message (room, author, body) VALUES (?, ?, ?)";
    database.execute(insert, params![room, author, body]).map(drop)
}

/// The last lines of a room, oldest first.
pub fn last_lines(database: &Database, room: &str) -> Result<Vec<serde_json::Value>> {
    let rows = database.query(LAST_LINES, params![room])?;
    let line = |row: &Row| {
        let (author, body): (String, String) = (row.get("author")?, row.get("body")?);
        Ok(json!({ "from": author, "say": body }))
    };
    rows.iter().rev().map(line).collect()
}
