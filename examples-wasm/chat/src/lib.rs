//! Rooms with presence, history and private messages. README.md has the protocol.

use std::time::{Duration, SystemTime};

use hassock_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Any, json};

/// For both SQLite and MariaDB. Rooms are bytes, so that no collation treats two rooms as the same.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS message (room VARBINARY(64) NOT NULL, sent BIGINT NOT NULL, \
    id VARBINARY(40) NOT NULL, author VARCHAR(32) NOT NULL, body TEXT NOT NULL, PRIMARY KEY (room, sent, id), \
    UNIQUE (room, id))";
const LAST: &str = "SELECT author AS `from`, body AS say FROM message WHERE room = ? ORDER BY sent DESC LIMIT 20";
const LINES: &str = "SELECT CAST(id AS CHAR(40)) AS id, author AS `from`, body AS say FROM message WHERE room = ? \
    ORDER BY sent DESC LIMIT 50";
const ADD: &str = "INSERT INTO message (room, sent, id, author, body) VALUES (?, ?, ?, ?, ?)";

/// What a client sends: `say`, perhaps with an `id`; `to` and `say`; or `who`. It may also ask for the `history`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    say: Option<String>,
    to: Option<String>,
    who: Option<bool>,
    id: Option<String>,
    history: Option<bool>,
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
    /// Tell the others what is of interest only now.
    fn tell_room(&self, what: &Any) -> Result<()> {
        Publish::new(self.topic(), Message::json(what)?).skip_history().publish().map(drop)
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

impl Chat {
    /// Store a line and tell it to the room, once for each id: a client that has got no answer says it again.
    fn say(&self, connection: Connection, member: &Member, say: &str, id: Option<String>) -> Result<()> {
        let now = clock::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as i64;
        let id = id.unwrap_or_else(|| format!("{now}-{connection}"));
        ensure!((1..=40).contains(&id.len()), ClientError::new("an id has 1 to 40 bytes"));
        match self.database.execute(ADD, params![member.room.as_bytes(), now, id.as_bytes(), &member.name, say]) {
            // A line that is stored already may not have been told: an instance may end between the two.
            Err(error) if !matches!(error.downcast_ref(), Some(SqlError::Constraint(_))) => return Err(error),
            _ => {}
        }
        let line = Message::json(&json!({ "from": member.name, "say": say }))?;
        Publish::new(member.topic(), line).id(id).publish().map(drop)
    }
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
        connection.set_presence(&member.name)?;
        // Join the room before the history is read, so that no line is lost in between. A line may come both ways.
        connection.subscribe(&member.topic())?;
        let history: Vec<Any> = self.database.query_as(LAST, params![member.room.as_bytes()])?;
        if !history.is_empty() {
            connection.send_json(&json!({ "history": history.iter().rev().collect::<Vec<_>>() }))?;
        }
        connection.set_timer("away", self.away_after, &())?;
        let joined = Message::json(&json!({ "joined": member.name }))?;
        Publish::new(member.topic(), joined).except(connection).skip_history().publish()?;
        Ok(Acceptance::new().attachment(&member)?)
    }

    fn on_message(&self, connection: Connection, Json(line): Json<Line>) -> Result<()> {
        connection.set_timer("away", self.away_after, &())?;
        let member: Member = connection.attachment()?;
        match line {
            Line { say: Some(say), .. } if say.len() > 8000 => bail!(ClientError::new("the line is too long")),
            Line { say: Some(say), to: None, who: None, id, history: None } => self.say(connection, &member, &say, id),
            Line { say: Some(say), to: Some(to), who: None, id: None, history: None } => {
                let line = json!({ "from": member.name, "to": to, "say": say });
                let reached = |(mate, _): (Connection, String)| mate == connection || mate.send_json(&line).is_ok();
                let is_told = member.room_mates().find(|(_, name)| *name == to).is_some_and(reached);
                ensure!(is_told, ClientError::new(format!("nobody here is called {to}")));
                connection.send_json(&line)
            }
            Line { say: None, to: None, who: Some(true), id: None, history: None } => {
                let present: Vec<_> = member.room_mates().map(|(_, name)| name).collect();
                connection.send_json(&json!({ "present": present }))
            }
            _ => bail!(ClientError::new("send `say`, `to` and `say`, or `who`")),
        }
    }

    /// What a client of `hassock.v1` asks: the history, or whether a message has arrived.
    fn on_request(&self, connection: Connection, Json(line): Json<Line>) -> Result<Message> {
        if line.history != Some(true) {
            self.on_message(connection, Json(line))?;
            return Message::json(&json!({ "done": true }));
        }
        let member: Member = connection.attachment()?;
        let lines: Vec<Any> = self.database.query_as(LINES, params![member.room.as_bytes()])?;
        Message::json(&json!({ "history": lines.iter().rev().collect::<Vec<_>>() }))
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
