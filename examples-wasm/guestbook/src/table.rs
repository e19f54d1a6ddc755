//! The entries, in the table `entry`, and those that were deleted, in the table `deleted`.

use hassock_guest::prelude::*;
use serde_json::json;

/// Make the tables unless they are there. SQLite and MariaDB write a growing key differently, and each
/// takes the other's word for a grammar error, so this tries one and then the other.
pub fn create(database: &Database) -> Result<()> {
    let create = |key: &str, options: &str| {
        for (table, key) in [("entry", key), ("deleted", "BIGINT PRIMARY KEY")] {
            let columns = format!("id {key}, name VARCHAR(64) NOT NULL, body TEXT NOT NULL");
            let statement = format!("CREATE TABLE IF NOT EXISTS {table} ({columns}) {options}");
            database.execute(&statement, [])?;
        }
        Ok(())
    };
    match create("INTEGER PRIMARY KEY AUTOINCREMENT", "") {
        Err(Error::Sql(sql::Error::Syntax(_))) => create("BIGINT PRIMARY KEY AUTO_INCREMENT", "CHARACTER SET utf8mb4"),
        result => result,
    }
}

/// The number that the new entry got.
pub fn add(database: &Database, name: &str, text: &str) -> Result<u64> {
    let insert = "INSERT INTO entry (name, body) VALUES (?, ?)";
    let id = database.execute(insert, params![name, text])?.last_insert_id;
    id.ok_or_else(|| Error::Value("the new entry got no number".into()))
}

pub fn count(database: &Database) -> Result<u64> {
    database.query("SELECT COUNT(*) AS entries FROM entry", [])?.one()?.get("entries")
}

/// The newest first.
pub fn list(database: &Database, skip: u64, limit: u32) -> Result<Vec<serde_json::Value>> {
    let list = "SELECT id, name, body FROM entry ORDER BY id DESC LIMIT ? OFFSET ?";
    let rows = database.query(list, params![limit, skip])?;
    let entry = |row: &Row| {
        let (id, name, text): (u64, String, String) = (row.get("id")?, row.get("name")?, row.get("body")?);
        Ok(json!({ "id": id, "name": name, "text": text }))
    };
    rows.iter().map(entry).collect()
}

/// Move an entry to the deleted ones. Both statements or neither: an error rolls the transaction back.
pub fn delete(database: &Database, id: u64) -> Result<()> {
    database.transaction(|transaction| {
        let keep = "INSERT INTO deleted (id, name, body) SELECT id, name, body FROM entry WHERE id = ?";
        transaction.execute(keep, params![id])?;
        let deleted = transaction.execute("DELETE FROM entry WHERE id = ?", params![id])?;
        if deleted.affected_rows == 0 {
            return Err(format!("there is no entry {id}").into());
        }
        Ok(())
    })
}
