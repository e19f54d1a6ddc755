//! Rooms with presence, history and private messages. README.md has the protocol.

use std::time::{Duration, SystemTime};

use hassock_guest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// For SQLite and MariaDB alike. Rooms are bytes, so that no collation takes two of them for one.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS message (room VARBINARY(64) NOT NULL, sent BIGINT NOT NULL, \
    author VARCHAR(32) NOT NULL, body TEXT NOT NULL, PRIMARY KEY (room, sent, author))";
const LAST: &str = "SELECT author, body FROM message WHERE room = ? ORDER BY sent DESC LIMIT 20";
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
    fn tell_room(&self, what: &Json) -> Result<()> {
        topics::publish_json(&self.topic(), what).map(drop)
    }
    /// Who is in the room, in the order in which they came.
    fn room_mates(&self) -> impl Iterator<Item = (Connection, String)> {
        let name = |mate: Connection| mate.attachment().map(|member: Self| (mate, member.name)).ok();
        topics::subscribers(&self.topic()).into_iter().filter_map(name)
    }
}

struct Chat {
    database: Database,
    away_after: Duration,
}

impl Handler for Chat {
    fn start() -> Result<Self> {
        let database = Database::open("main")?;
        database.execute(TABLE, [])?;
        let seconds = settings::get_parsed("away_after")?.unwrap_or(60);
        Ok(Self { database, away_after: Duration::from_secs(seconds) })
    }

    fn open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
        let room = request.query_value("room").unwrap_or_else(|| "lobby".into());
        let name = request.query_value("name").unwrap_or_else(|| format!("guest-{connection}"));
        if !(1..=32).contains(&name.chars().count()) || !(1..=64).contains(&room.len()) {
            return Err(Refusal::new(400, "a name has 1 to 32 characters, a room 1 to 64 bytes"));
        }
        let member = Member { name, room };
        // Two who ask for one name at the same moment could both get it: neither is in the room yet.
        if member.room_mates().any(|(_, name)| name == member.name) {
            return Err(Refusal::new(409, format!("{} is taken", member.name)));
        }
        let rows = self.database.query(LAST, params![member.room.as_bytes()])?;
        let said = |row: &Row| Ok(json!({ "from": row.get::<String>("author")?, "say": row.get::<String>("body")? }));
        if !rows.is_empty() {
            let history = rows.iter().rev().map(said).collect::<Result<Vec<Json>>>()?;
            connection.send_json(&json!({ "history": history }))?;
        }
        connection.set_timer("away", self.away_after, [])?;
        member.tell_room(&json!({ "joined": member.name }))?;
        Ok(Acceptance::new().topic(member.topic()).attachment(&member)?)
    }

    fn message(&self, connection: Connection, message: Message) -> Result<()> {
        connection.set_timer("away", self.away_after, [])?;
        let member: Member = connection.attachment()?;
        // To return an error would close the connection; a client that errs is told so and stays.
        let complain = |error: String| connection.send_json(&json!({ "error": error })).map(drop);
        match message.parse_json::<Line>() {
            Ok(Line { say: Some(say), .. }) if say.len() > 8000 => complain("the line is too long".into()),
            Ok(Line { say: Some(say), to: None, who: None }) => {
                let now = clock::now().duration_since(SystemTime::UNIX_EPOCH).map_err(Error::other)?.as_nanos() as i64;
                self.database.execute(ADD, params![member.room.as_bytes(), now, &member.name, &say])?;
                member.tell_room(&json!({ "from": member.name, "say": say }))
            }
            Ok(Line { say: Some(say), to: Some(to), who: None }) => {
                let line = json!({ "from": member.name, "to": to, "say": say });
                let reached = |(mate, _): (Connection, String)| mate == connection || mate.send_json(&line).is_ok();
                match member.room_mates().find(|(_, name)| *name == to).is_some_and(reached) {
                    true => connection.send_json(&line).map(drop),
                    false => complain(format!("nobody here is called {to}")),
                }
            }
            Ok(Line { say: None, to: None, who: Some(true) }) => {
                let present: Vec<_> = member.room_mates().map(|(_, name)| name).collect();
                connection.send_json(&json!({ "present": present })).map(drop)
            }
            Ok(_) => complain("send `say`, `to` and `say`, or `who`".into()),
            Err(error) => complain(error.to_string()),
        }
    }

    fn closed(&self, connection: Connection, _: &Closing) {
        let tell = |member: Member| member.tell_room(&json!({ "left": member.name }));
        let _ = connection.attachment().and_then(tell).inspect_err(|error| warn!("{connection} left unseen: {error}"));
    }

    fn timer(&self, connection: Option<Connection>, _: &str, _: &[u8]) -> Result<()> {
        let member: Member = connection.ok_or("only connections have timers here")?.attachment()?;
        member.tell_room(&json!({ "away": member.name }))
    }
}

hassock_guest::export!(Chat);

#[cfg(test)]
mod tests;
