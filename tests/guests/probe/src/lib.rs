//! Does what a test wants: each message is a command in JSON, and the answer is the result. Text that is not a JSON
//! object or string is echoed, and so is binary.
//!
//! A timer with the name `every N` is set again for N seconds later, and sends when it fired. One with the name `long`
//! takes 30 milliseconds.
//!
//! With the setting `events`, each open, timer and close is a row of the table `event`; a timer of the
//! app has connection 0. The table is in the database `main`, or in the one that the setting `events-in` names. With the setting `closed` = `slow`, a close takes 50 milliseconds. With the setting `check`, its self-test reads (`read`) or writes (`write`) that table.

use std::cell::Cell;
use std::time::Duration;

use hassock_sdk::prelude::*;
use serde::Deserialize;
use serde_json::json;

mod sandbox;
mod timer;
mod transaction;
mod values;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Command {
    Subscribe(String),
    Unsubscribe(String),
    Publish {
        topic: String,
        text: String,
    },
    PublishExcept {
        topic: String,
        text: String,
    },
    /// Subscribe from a position, or with the last messages.
    SubscribeFrom {
        topic: String,
        since: Option<Position>,
        last: Option<u32>,
    },
    /// Publish with options.
    PublishWith {
        topic: String,
        text: String,
        #[serde(default)]
        id: Option<String>,
        #[serde(default)]
        except: Option<u64>,
        #[serde(default)]
        skip_history: bool,
    },
    History {
        topic: String,
        since: Option<Position>,
        limit: u32,
    },
    /// What others are told.
    Presence(serde_json::Value),
    Members {
        topic: String,
        after: Option<u64>,
        limit: u32,
    },
    Subscribers(String),
    SendTo {
        id: u64,
        text: String,
    },
    SendMany(Vec<String>),
    Close {
        code: u16,
        reason: String,
    },
    Attach(serde_json::Value),
    Attachment,
    OutboxFullness,
    Timer(timer::Command),
    AppTimer(timer::Command),
    CancelTimer(String),
    CancelAppTimer(String),
    Query {
        sql: String,
        #[serde(default)]
        values: Vec<serde_json::Value>,
    },
    Execute {
        sql: String,
        #[serde(default)]
        values: Vec<serde_json::Value>,
    },
    /// The names of the columns of a query.
    Columns {
        sql: String,
        #[serde(default)]
        values: Vec<serde_json::Value>,
    },
    /// Begin a transaction and take these steps, see `transaction.rs`.
    Transaction(Vec<transaction::Step>),
    Open(String),
    /// Try what the sandbox should not allow, see `sandbox.rs`.
    Escape(sandbox::Escape),
    Setting(String),
    Now,
    Random,
    /// How many calls this instance has had: state that must not be relied on.
    Calls,
    Log(String),
    Print(String),
    /// Say `asleep`, and sleep for an hour.
    Sleep,
    Fail(String),
    Trap,
}

struct Probe {
    calls: Cell<u32>,
    events: bool,
}

impl Start for Probe {
    fn start() -> Result<Self> {
        let events = settings::get("events").is_some();
        if events {
            events_in()?.execute("CREATE TABLE IF NOT EXISTS event (connection BIGINT, kind TEXT, detail TEXT)", [])?;
        }
        Ok(Self { calls: Cell::new(0), events })
    }
}

impl Handler for Probe {
    type Message<'a> = MessageRef<'a>;

    fn on_open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
        self.event(connection.id(), "open", request.path())?;
        let mut acceptance = Acceptance::new();
        match request.query_value("open").as_deref() {
            Some("refuse") => {
                return Err(Refusal::new(403, "not you").header("x-why", "because"));
            }
            Some("greet") => connection.send("welcome")?,
            Some("describe") => {
                connection.send_json(&json!({
                    "path": request.path(),
                    "query": request.query(),
                    "header": request.header("x-test"),
                    "traceparent": request.header("traceparent"),
                    "subprotocols": request.subprotocols(),
                    "remote": request.remote_address(),
                    "secure": request.secure(),
                }))?;
            }
            Some("claims") => match request.claims_text() {
                Some(claims) => connection.send(claims)?,
                // A browser hides the status of a handshake from its page, but not the code of a close.
                None => connection.close(4401, "log in first")?,
            },
            Some("offered") => connection.send(request.header("sec-websocket-protocol").unwrap_or_default())?,
            Some("close") => connection.close(3001, "at once")?,
            Some("strange-status") => return Err(Refusal::new(200, "?")),
            Some("many-fields") => {
                let fields = 0..30_000;
                return Err(
                    fields.fold(Refusal::new(403, "?"), |refusal, field| refusal.header(format!("x-{field}"), ""))
                );
            }
            Some("strange-header") => acceptance = acceptance.header("Sec-WebSocket-Accept", "mine"),
            Some("strange-subprotocol") => acceptance = acceptance.subprotocol("nobody-asked"),
            Some("header") => acceptance = acceptance.header("x-room", "lobby"),
            Some("slow") => std::thread::sleep(Duration::from_millis(300)),
            _ => {}
        }
        if let Some(first) = request.subprotocols().first() {
            acceptance = acceptance.subprotocol(first);
        }
        if let Some(topic) = request.query_value("topic") {
            acceptance = acceptance.topic(topic);
        }
        Ok(acceptance.attachment(&json!({ "opened": connection.id() }))?)
    }

    fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
        self.calls.set(self.calls.get() + 1);
        let command = message.as_text().filter(|text| text.starts_with(['{', '"'])).map(serde_json::from_str);
        let Some(command) = command else {
            return connection.send(message);
        };
        let answer = match self.run(connection, command?) {
            Ok(answer) => json!({ "ok": answer }),
            Err(error) if error.to_string().starts_with("fail: ") => return Err(error),
            Err(error) => values::error(&error),
        };
        // A command may close the connection; then it cannot answer.
        let _ = connection.send_json(&answer);
        Ok(())
    }

    fn on_resume(&self, connection: Connection, request: &Request) -> Result<()> {
        self.event(connection.id(), "resumed", request.path())?;
        match request.query_value("resume").as_deref() {
            Some("greet") => connection.send("welcome back"),
            Some("fail") => bail!("told to"),
            _ => Ok(()),
        }
    }

    fn on_close(&self, connection: Connection, closing: &Closing) -> Result<()> {
        if settings::get("closed").as_deref() == Some("slow") {
            std::thread::sleep(Duration::from_millis(50));
        }
        let detail = format!("{} {:?} {}", closing.code, closing.by, closing.reason);
        self.event(connection.id(), "closed", &detail)
    }

    fn on_connection_timer(&self, connection: Connection, timer: &Timer) -> Result<()> {
        let fired = fired(timer)?;
        self.event(connection.id(), "timer", timer.name())?;
        if timer.name() == "close" {
            return connection.close(4000, "told to");
        }
        match timer.name().strip_prefix("every ") {
            Some(seconds) => {
                connection.set_timer(timer.name(), Duration::from_secs(seconds.parse().unwrap_or(1)), &"")?;
                connection.send_json(&json!({ "at": now() }))
            }
            None => connection.send(fired),
        }
    }

    fn on_app_timer(&self, timer: &Timer) -> Result<()> {
        let fired = fired(timer)?;
        self.event(0, "timer", timer.name())?;
        topics::publish("timers", fired).map(drop)
    }

    /// All topics but `secret` and `trap`.
    fn on_subscribe(&self, _: Connection, topic: &str) -> Result<()> {
        match topic {
            "secret" => bail!(ClientError::new("not this one")),
            "broken" => bail!("told to"),
            "trap" => panic!("told to"),
            _ => Ok(()),
        }
    }

    /// A command, and its answer.
    fn on_request(&self, connection: Connection, message: MessageRef<'_>) -> Result<Message> {
        let Some(command) = message.as_text().map(serde_json::from_str) else { return Ok(message.into_message()) };
        let command = command.map_err(|error| ClientError::new(error.to_string()))?;
        Message::json(&self.run(connection, command)?)
    }

    fn check() -> Result<()> {
        let Some(deed) = settings::get("check") else { return Ok(()) };
        let database = Database::open("main")?;
        match deed.as_str() {
            "read" => database.query("SELECT kind FROM event", []).map(drop),
            _ => database.execute("INSERT INTO event (connection, kind, detail) VALUES (0, 'check', '')", []).map(drop),
        }
    }
}

fn gap(gap: Option<history::Gap>) -> Option<String> {
    gap.map(|gap| format!("{gap:?}").to_lowercase())
}

fn publish(
    topic: String,
    text: String,
    id: Option<String>,
    except: Option<u64>,
    skip_history: bool,
) -> Result<serde_json::Value> {
    let mut publish = Publish::new(topic, text);
    if let Some(id) = id {
        publish = publish.id(id);
    }
    if let Some(connection) = except {
        publish = publish.except(Connection::from_id(connection));
    }
    if skip_history {
        publish = publish.skip_history();
    }
    let published = publish.publish()?;
    Ok(json!({ "reached": published.reached, "position": published.position, "duplicate": published.is_duplicate }))
}

fn fired(timer: &Timer) -> Result<Message> {
    match timer.name() {
        "trap" => panic!("told to"),
        "fail" => bail!("told to"),
        "long" => std::thread::sleep(Duration::from_millis(30)),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        _ => {}
    }
    Message::json(&json!({ "fired": timer.name(), "text": timer.payload::<String>()? }))
}

fn events_in() -> Result<Database> {
    Database::open(settings::get("events-in").as_deref().unwrap_or("main"))
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Probe {
    fn run(&self, connection: Connection, command: Command) -> Result<serde_json::Value> {
        Ok(match command {
            Command::Subscribe(topic) => json!(connection.subscribe(&topic)?),
            Command::Unsubscribe(topic) => json!(connection.unsubscribe(&topic)?),
            Command::Publish { topic, text } => json!(topics::publish(&topic, text)?),
            Command::PublishExcept { topic, text } => json!(connection.publish_except(&topic, text)?),
            Command::SubscribeFrom { topic, since, last } => {
                let start = since.map(StartAt::Since).or(last.map(StartAt::Last)).unwrap_or(StartAt::Now);
                let subscribed = connection.subscribe_from(&topic, start)?;
                json!({ "position": subscribed.position, "missing": gap(subscribed.missing) })
            }
            Command::PublishWith { topic, text, id, except, skip_history } => {
                publish(topic, text, id, except, skip_history)?
            }
            Command::History { topic, since, limit } => {
                let page = history::history(&topic, since, limit)?;
                let texts = page.messages.iter().map(|kept| json!([kept.position, kept.message.as_text(), kept.id]));
                let texts: Vec<_> = texts.collect();
                json!({ "messages": texts, "latest": page.latest, "missing": gap(page.missing) })
            }
            Command::Presence(value) => json!(connection.set_presence(&value)?),
            Command::Members { topic, after, limit } => {
                let members = topics::members(&topic, after.map(Connection::from_id), limit).into_iter();
                let members: Vec<_> = members.map(|member| json!([member.connection, member.data])).collect();
                json!({ "count": topics::count(&topic), "members": members })
            }
            Command::Subscribers(topic) => json!(topics::subscribers(&topic)),
            Command::SendTo { id, text } => json!(Connection::from_id(id).send(text)?),
            Command::SendMany(texts) => json!(connection.send_many(texts.into_iter().map(Message::from))?),
            Command::Close { code, reason } => json!(connection.close(code, &reason)?),
            Command::Attach(value) => json!(connection.set_attachment(&value)?),
            Command::Attachment => connection.attachment()?,
            Command::Timer(command) => command.set_for(connection)?,
            Command::AppTimer(command) => command.set()?,
            Command::Sleep => {
                connection.send("asleep")?;
                // What was sent leaves before anything else that the module asks for.
                connection.outbox_fullness()?;
                json!(std::thread::sleep(Duration::from_secs(3600)))
            }
            Command::OutboxFullness => json!(connection.outbox_fullness()?),
            Command::CancelTimer(name) => json!(connection.cancel_timer(&name)),
            Command::CancelAppTimer(name) => json!(timers::cancel(&name)),
            Command::Query { sql, values } => {
                let rows = Database::open("main")?.query(&sql, values::from_json(values)?)?;
                values::to_json(&rows)
            }
            Command::Execute { sql, values } => {
                let done = Database::open("main")?.execute(&sql, values::from_json(values)?)?;
                json!({ "affected": done.affected_rows, "id": done.last_insert_id })
            }
            Command::Columns { sql, values } => {
                json!(Database::open("main")?.query(&sql, values::from_json(values)?)?.columns())
            }
            Command::Transaction(steps) => transaction::run(steps)?,
            Command::Escape(escape) => sandbox::run(escape)?,
            Command::Open(name) => Database::open(&name).map(|_| json!("open"))?,
            Command::Setting(key) => json!(settings::get(&key)),
            Command::Now => json!(now()),
            Command::Random => {
                json!(std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 1))
            }
            Command::Calls => json!(self.calls.get()),
            Command::Log(text) => {
                warn!("{text}");
                json!(null)
            }
            Command::Print(text) => {
                println!("{text}");
                json!(null)
            }
            Command::Fail(reason) => bail!("fail: {reason}"),
            Command::Trap => panic!("told to"),
        })
    }

    fn event(&self, connection: u64, kind: &str, detail: &str) -> Result<()> {
        if self.events {
            let sql = "INSERT INTO event (connection, kind, detail) VALUES (?, ?, ?)";
            events_in()?.execute(sql, params![connection, kind, detail])?;
        }
        Ok(())
    }
}

hassock_sdk::export!(Probe);
