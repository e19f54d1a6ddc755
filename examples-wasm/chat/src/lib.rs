//! Rooms with presence, history and private messages. README.md has the protocol.

use std::time::Duration;

use hassock_guest::prelude::*;
use serde::Deserialize;
use serde_json::json;

mod member;
mod table;

use member::{Member, complain};

/// The longest line, in bytes of UTF-8.
const MAX_SAY: usize = 8000;

/// What a client sends: `say`, `to` and `say`, or `who`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    say: Option<String>,
    to: Option<String>,
    #[serde(default)]
    who: bool,
}

struct Chat {
    database: Database,
    away_after: Duration,
}

impl Handler for Chat {
    fn start() -> Result<Self> {
        let database = Database::open("main")?;
        table::create(&database)?;
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
        // Two who ask for one name at the same time could both get it, as neither is in the room yet.
        // To rule that out, keep the names in a table with a unique key.
        if member.find(&member.name).is_some() {
            return Err(Refusal::new(409, format!("{} is taken", member.name)));
        }
        let history = table::last_lines(&self.database, &member.room)?;
        if !history.is_empty() {
            connection.send_json(&json!({ "history": history }))?;
        }
        connection.set_timer("away", self.away_after, [])?;
        member.tell_room(&json!({ "joined": member.name }))?;
        Ok(Acceptance::new().topic(member.topic()).attachment(&member)?)
    }

    fn message(&self, connection: Connection, message: Message) -> Result<()> {
        connection.set_timer("away", self.away_after, [])?;
        let member: Member = connection.attachment()?;
        let line: Line = match message.parse_json() {
            Ok(line) => line,
            // To return the error would close the connection; a client that errs is told so and stays.
            Err(error) => return complain(connection, &error.to_string()),
        };
        match (line.say, line.to, line.who) {
            (Some(say), _, _) if say.len() > MAX_SAY => complain(connection, "the line is too long"),
            (Some(say), None, false) => {
                table::add(&self.database, &member.room, &member.name, &say)?;
                member.tell_room(&json!({ "from": member.name, "say": say }))
            }
            (Some(say), Some(to), false) => member.whisper(connection, &to, &say),
            (None, None, true) => {
                let names: Vec<String> = member.room_mates().map(|(_, name)| name).collect();
                connection.send_json(&json!({ "present": names })).map(drop)
            }
            _ => complain(connection, "send `say`, `to` and `say`, or `who`"),
        }
    }

    fn closed(&self, connection: Connection, _: &Closing) {
        let tell = |member: Member| member.tell_room(&json!({ "left": member.name }));
        if let Err(error) = connection.attachment().and_then(tell) {
            warn!("nobody was told that {connection} left: {error}");
        }
    }

    fn timer(&self, connection: Option<Connection>, _: &str, _: &[u8]) -> Result<()> {
        let member: Member = connection.ok_or("only connections have timers here")?.attachment()?;
        member.tell_room(&json!({ "away": member.name }))
    }
}

hassock_guest::export!(Chat);
