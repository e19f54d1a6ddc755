//! Tests of the host that tests use. Most of them run a closure as a call of a handler.

mod databases;
mod fan_out;
mod isolation;
mod opening;
mod outboxes;
mod sessions;
mod times;

use std::cell::RefCell;

use super::{Connect, MockClient, MockHost, MockHostBuilder, Received};
use crate::prelude::*;

/// What a call of the handler does.
type Job<T> = Box<dyn FnOnce(Connection) -> T>;

thread_local! {
    static MESSAGE: RefCell<Option<Job<Result<()>>>> = const { RefCell::new(None) };
    static OPEN: RefCell<Option<Job<Result<Acceptance, Refusal>>>> = const { RefCell::new(None) };
    static CLOSED: RefCell<Option<Job<Result<()>>>> = const { RefCell::new(None) };
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Does what it is told, and notes what it gets.
struct Puppet;

impl Start for Puppet {
    fn start() -> Result<Self> {
        note("start");
        Ok(Self)
    }
}

impl Handler for Puppet {
    type Message<'a> = MessageRef<'a>;

    fn on_open(&self, connection: Connection, _: &Request) -> Result<Acceptance, Refusal> {
        OPEN.take().map_or_else(|| Ok(Acceptance::new()), |job| job(connection))
    }

    fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
        match MESSAGE.take() {
            Some(job) => job(connection),
            None if message.as_text() == Some("fail") => bail!("told to fail"),
            None if message.as_text() == Some("mistake") => bail!(ClientError::new("not that")),
            None => {
                note(&format!("{connection} says {}", message.as_text().unwrap_or("bytes")));
                Ok(())
            }
        }
    }

    fn on_close(&self, connection: Connection, closing: &Closing) -> Result<()> {
        let by = format!("{:?}", closing.by);
        note(&format!("{connection} closed {} {}", closing.code, by.trim_start_matches("ClosedBy::")));
        if let Some(job) = CLOSED.take() {
            job(connection)?;
        }
        Ok(())
    }

    fn on_resume(&self, connection: Connection, request: &Request) -> Result<()> {
        note(&format!("{connection} resumed {}", request.path()));
        match request.path() {
            "/fail" => bail!("told to fail"),
            _ => connection.send("welcome back"),
        }
    }

    fn on_connection_timer(&self, connection: Connection, timer: &Timer) -> Result<()> {
        note_timer(&connection.to_string(), timer)
    }

    fn on_app_timer(&self, timer: &Timer) -> Result<()> {
        note_timer("app", timer)
    }

    fn check() -> Result<()> {
        let database = Database::open("main")?;
        info!("{} of {} hear", topics::subscribers("t").len(), database.query("SELECT 1", [])?.len());
        timers::set("kept", std::time::Duration::ZERO, &())?;
        database.execute("CREATE TABLE t (a)", []).map(drop)
    }

    fn migrate(from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>> {
        match from_version {
            "grow" => Ok(vec![0; (64 << 10) + 1]),
            "fail" => bail!("cannot read it"),
            _ => Ok([from_version.as_bytes(), &attachment].concat()),
        }
    }
}

fn note_timer(owner: &str, timer: &Timer) -> Result<()> {
    let payload: Option<String> = timer.payload()?;
    note(&format!("{owner} timer {} {}", timer.name(), payload.unwrap_or_default()));
    match timer.name() {
        "again" => timers::set("again", std::time::Duration::ZERO, &()),
        "fail" => bail!("told to fail"),
        _ => Ok(()),
    }
}

fn note(what: &str) {
    SEEN.with_borrow_mut(|seen| seen.push(what.to_owned()));
}

/// What the handler has noted since the last time, except for its starts.
fn seen() -> Vec<String> {
    SEEN.take().into_iter().filter(|what| what != "start").collect()
}

fn host() -> MockHost<Puppet> {
    MockHost::new()
}

fn builder() -> MockHostBuilder<Puppet> {
    MockHost::builder()
}

fn client(host: &MockHost<Puppet>) -> MockClient {
    host.connect("/")
}

/// What a call failed with.
fn failed<E: std::error::Error + Send + Sync + 'static, T>(result: Result<T>) -> E {
    match result.map(drop).map_err(|error| error.downcast::<E>()) {
        Err(Ok(error)) => error,
        Err(Err(error)) => panic!("another error: {error}"),
        Ok(()) => panic!("no error"),
    }
}

/// Do this in a call of the handler, for a message of that client. Returns the result.
fn within<T: 'static>(client: &MockClient, job: impl FnOnce(Connection) -> T + 'static) -> T {
    let result = std::rc::Rc::new(RefCell::new(None));
    let slot = std::rc::Rc::clone(&result);
    MESSAGE.set(Some(Box::new(move |connection| {
        slot.replace(Some(job(connection)));
        Ok(())
    })));
    client.send("");
    result.take().unwrap()
}

/// Have the next `on_message` do this, and return its result.
fn receiving(job: impl FnOnce(Connection) -> Result<()> + 'static) {
    MESSAGE.set(Some(Box::new(job)));
}

/// Have the next `on_open` do this.
fn opening(job: impl FnOnce(Connection) -> Result<Acceptance, Refusal> + 'static) {
    OPEN.set(Some(Box::new(job)));
}

/// Have the next `on_close` do this.
fn closing(job: impl FnOnce(Connection) -> Result<()> + 'static) {
    CLOSED.set(Some(Box::new(job)));
}

fn texts(client: &MockClient) -> Vec<String> {
    client.messages().iter().map(|message| message.as_text().unwrap_or("bytes").to_owned()).collect()
}

/// The lines of the log, as they are printed.
fn log(host: &MockHost<Puppet>) -> Vec<String> {
    host.take_log().iter().map(ToString::to_string).collect()
}
