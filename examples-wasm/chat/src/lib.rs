//! Rooms with presence, history and private messages. README.md has the protocol.

use std::time::{Duration, SystemTime};

use hassock_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Any, json};

/// For both SQLite and MariaDB. Rooms are bytes, so that no collation treats two rooms as the same.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS message (room VARBINARY(64) NOT NULL, sent BIGINT NOT NULL, \
    author VARCHAR(32) NOT NULL, body TEXT NOT NULL, PRIMARY KEY (room, sent, author))";
const LAST: &str = "SELECT author AS `from`, body AS say FROM message WHERE room = ? ORDER BY sent DESC LIMIT 20";
const ADD: &str = "INSERT INTO message (room, sent, author, body) VALUES (?, ?, ?, ?)";

/// What a client sends: `say`, `to` and `say`, or `who`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    say: Option<String>,
    to: Option<String>,
    who: Option<bool>,
}

/// What the host keeps with each connection.
#[derive(Serialize, Deserialize)]
struct Member {
    name: String,
    room: String,
}

impl Member {
    fn topic(&self) -> String {
        format!("room:{}", self.room)
    }
    fn tell_room(&self, what: &Any) -> Result<()> {
        topics::publish_json(&self.topic(), what).map(drop)
    }
    /// The members of the room, in the order in which they came.
    fn room_mates(&self) -> impl Iterator<Item = (Connection, String)> {
        let name = |mate: Connection| mate.attachment().map(|member: Self| (mate, member.name)).ok();
        topics::subscribers(&self.topic()).into_iter().filter_map(name)
    }
}

struct Chat {
    database: Database,
    away_after: Duration,
}

impl Start for Chat {
    fn start() -> Result<Self> {
        let database = Database::open("main")?;
        database.execute(TABLE, [])?;
        Ok(Self { database, away_after: Duration::from_secs(settings::get_parsed("away_after")?.unwrap_or(60)) })
    }
}

impl Handler for Chat {
    type Message<'a> = Json<Line>;

    fn on_open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
        let room = request.query_value("room").unwrap_or_else(|| "lobby".into());
        let name = request.query_value("name").unwrap_or_else(|| format!("guest-{connection}"));
        if !(1..=32).contains(&name.chars().count()) || !(1..=64).contains(&room.len()) {
            return Err(Refusal::new(400, "a name has 1 to 32 characters, a room 1 to 64 bytes"));
        }
        let member = Member { name, room };
        // Two clients that ask for a name at the same moment can both get it: neither is in the room yet.
        if member.room_mates().any(|(_, name)| name == member.name) {
            return Err(Refusal::new(409, format!("{} is taken", member.name)));
        }
        // Join the room before the history is read, so that no line is lost in between. A line may come both ways.
        connection.subscribe(&member.topic())?;
        let history: Vec<Any> = self.database.query_as(LAST, params![member.room.as_bytes()])?;
        if !history.is_empty() {
            connection.send_json(&json!({ "history": history.iter().rev().collect::<Vec<_>>() }))?;
        }
        connection.set_timer("away", self.away_after, &())?;
        connection.publish_except(&member.topic(), Message::json(&json!({ "joined": member.name }))?)?;
        Ok(Acceptance::new().attachment(&member)?)
    }

    fn on_message(&self, connection: Connection, Json(line): Json<Line>) -> Result<()> {
        connection.set_timer("away", self.away_after, &())?;
        let member: Member = connection.attachment()?;
        match line {
            Line { say: Some(say), .. } if say.len() > 8000 => bail!(ClientError::new("the line is too long")),
            Line { say: Some(say), to: None, who: None } => {
                let now = clock::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as i64;
                self.database.execute(ADD, params![member.room.as_bytes(), now, &member.name, &say])?;
                member.tell_room(&json!({ "from": member.name, "say": say }))
            }
            Line { say: Some(say), to: Some(to), who: None } => {
                let line = json!({ "from": member.name, "to": to, "say": say });
                let reached = |(mate, _): (Connection, String)| mate == connection || mate.send_json(&line).is_ok();
                let is_told = member.room_mates().find(|(_, name)| *name == to).is_some_and(reached);
                ensure!(is_told, ClientError::new(format!("nobody here is called {to}")));
                connection.send_json(&line)
            }
            Line { say: None, to: None, who: Some(true) } => {
                let present: Vec<_> = member.room_mates().map(|(_, name)| name).collect();
                connection.send_json(&json!({ "present": present }))
            }
            _ => bail!(ClientError::new("send `say`, `to` and `say`, or `who`")),
        }
    }

    fn on_close(&self, connection: Connection, _: &Closing) -> Result<()> {
        let member: Member = connection.attachment()?;
        member.tell_room(&json!({ "left": member.name }))
    }

    fn on_connection_timer(&self, connection: Connection, _: &Timer) -> Result<()> {
        let member: Member = connection.attachment()?;
        member.tell_room(&json!({ "away": member.name }))
    }
}

hassock_sdk::export!(Chat);

#[cfg(test)]
mod tests;
