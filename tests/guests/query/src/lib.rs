//! The benchmark of SQL queries: a message is the id of a person, and is answered with the name of that person.

use hassock_sdk::prelude::*;

struct Query {
    database: Database,
}

impl Start for Query {
    fn start() -> Result<Self> {
        Ok(Self { database: Database::open("main")? })
    }
}

impl Handler for Query {
    type Message<'a> = &'a str;

    fn on_message(&self, connection: Connection, id: &str) -> Result<()> {
        let id: i64 = id.parse()?;
        let name: String = self.database.query("SELECT name FROM person WHERE id = ?", params![id])?.one()?.get_as()?;
        connection.send(name)
    }
}

hassock_sdk::export!(Query);
