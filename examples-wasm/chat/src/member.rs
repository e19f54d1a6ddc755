//! Who is in a room, and how members reach each other.

use hassock_guest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// What the host keeps with each connection.
#[derive(Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub room: String,
}

impl Member {
    pub fn topic(&self) -> String {
        format!("room:{}", self.room)
    }

    pub fn tell_room(&self, what: &Json) -> Result<()> {
        topics::publish_json(&self.topic(), what).map(drop)
    }

    /// Who is in the room, in the order in which they came, but for those that leave in this moment.
    pub fn room_mates(&self) -> impl Iterator<Item = (Connection, String)> {
        let name = |mate: Connection| mate.attachment().map(|member: Self| (mate, member.name)).ok();
        topics::subscribers(&self.topic()).into_iter().filter_map(name)
    }

    pub fn find(&self, name: &str) -> Option<Connection> {
        self.room_mates().find(|(_, mate)| mate == name).map(|(mate, _)| mate)
    }

    pub fn whisper(&self, connection: Connection, to: &str, say: &str) -> Result<()> {
        let line = json!({ "from": self.name, "to": to, "say": say });
        match self.find(to).map(|mate| (mate, mate.send_json(&line))) {
            Some((mate, Ok(_))) if mate == connection => Ok(()),
            Some((_, Ok(_))) => connection.send_json(&line).map(drop),
            Some((_, Err(_))) => complain(connection, &format!("{to} cannot be reached now")),
            None => complain(connection, &format!("nobody here is called {to}")),
        }
    }
}

/// Tell a client what it did wrong.
pub fn complain(connection: Connection, error: &str) -> Result<()> {
    connection.send_json(&json!({ "error": error })).map(drop)
}
