//! Requests and replies over JSON, each with the `id` of its request. README.md has the protocol.

use hassock_guest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

mod table;

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
        table::create(&database)?;
        let page_size = settings::get_parsed("page_size")?.unwrap_or(10);
        if page_size == 0 {
            return Err(Error::Setting("the setting `page_size` must be at least 1".into()));
        }
        Ok(Self { database, page_size })
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
        Ok(json!({ "added": table::add(&self.database, name, text)? }))
    }

    fn list(&self, page: u32) -> Result<Json> {
        let pages = table::count(&self.database)?.div_ceil(self.page_size.into()).max(1);
        let skip = u64::from(page).checked_sub(1).ok_or("pages are counted from 1")?;
        let skip = skip * u64::from(self.page_size);
        let entries = table::list(&self.database, skip, self.page_size)?;
        Ok(json!({ "entries": entries, "page": page, "pages": pages }))
    }

    fn delete(&self, entry: u64) -> Result<Json> {
        table::delete(&self.database, entry)?;
        Ok(json!({ "deleted": entry }))
    }
}

/// What the client may know of an error: its own mistakes. The rest is for the log.
fn tell(error: Error) -> String {
    match error {
        Error::Text(_) | Error::Json(_) => error.to_string(),
        _ => {
            error!("{error}");
            "the guestbook is out of order, please try again later".into()
        }
    }
}

hassock_guest::export!(Guestbook);
