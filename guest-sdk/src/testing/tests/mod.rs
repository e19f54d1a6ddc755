//! Tests of the host that tests use. Most of them run a closure as a call of a handler.

mod databases;
mod fan_out;
mod isolation;
mod opening;
mod outboxes;
mod sessions;
mod times;

use std::cell::RefCell;

use super::{Builder, Client, TestHost};
use crate::prelude::*;

/// What a call of the handler does.
type Job<T> = Box<dyn FnOnce(Connection) -> T>;

thread_local! {
    static MESSAGE: RefCell<Option<Job<Result<()>>>> = const { RefCell::new(None) };
    static OPEN: RefCell<Option<Job<Result<Acceptance, Refusal>>>> = const { RefCell::new(None) };
    static CLOSED: RefCell<Option<Job<()>>> = const { RefCell::new(None) };
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Does what it is told, and notes what it gets.
struct Puppet;

impl Handler for Puppet {
    fn start() -> Result<Self> {
        note("start");
        Ok(Self)
    }

    fn open(&self, connection: Connection, _: &Request) -> Result<Acceptance, Refusal> {
        OPEN.take().map_or_else(|| Ok(Acceptance::new()), |job| job(connection))
    }

    fn message(&self, connection: Connection, message: Message) -> Result<()> {
        match MESSAGE.take() {
            Some(job) => job(connection),
            None if message.as_text() == Some("fail") => Err("told to fail".into()),
            None => {
                note(&format!("{connection} says {}", message.as_text().unwrap_or("bytes")));
                Ok(())
            }
        }
    }

    fn closed(&self, connection: Connection, closing: &Closing) {
        let by = format!("{:?}", closing.by);
        note(&format!("{connection} closed {} {}", closing.code, by.trim_start_matches("ClosedBy::")));
        if let Some(job) = CLOSED.take() {
            job(connection);
        }
    }

    fn timer(&self, connection: Option<Connection>, name: &str, payload: &[u8]) -> Result<()> {
        let owner = connection.map_or_else(|| "app".to_owned(), |connection| connection.to_string());
        note(&format!("{owner} timer {name} {}", String::from_utf8_lossy(payload)));
        match name {
            "again" => timers::set("again", std::time::Duration::ZERO, []),
            "fail" => Err("told to fail".into()),
            _ => Ok(()),
        }
    }

    fn check() -> Result<()> {
        let database = Database::open("main")?;
        info!("{} of {} hear", topics::subscribers("t").len(), database.query("SELECT 1", [])?.len());
        timers::set("kept", std::time::Duration::ZERO, [])?;
        database.execute("CREATE TABLE t (a)", []).map(drop)
    }

    fn migrate(from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>> {
        match from_version {
            "grow" => Ok(vec![0; (64 << 10) + 1]),
            "fail" => Err("cannot read it".into()),
            _ => Ok([from_version.as_bytes(), &attachment].concat()),
        }
    }
}

fn note(what: &str) {
    SEEN.with_borrow_mut(|seen| seen.push(what.to_owned()));
}

/// What the handler has noted since the last time, but for its starts.
fn seen() -> Vec<String> {
    SEEN.take().into_iter().filter(|what| what != "start").collect()
}

fn host() -> TestHost<Puppet> {
    TestHost::new()
}

fn builder() -> Builder<Puppet> {
    TestHost::builder()
}

fn client(host: &TestHost<Puppet>) -> Client {
    host.connect("/").unwrap()
}

/// Do this in a call of the handler, for a message of that client; returns what it gives.
fn within<T: 'static>(client: &Client, job: impl FnOnce(Connection) -> T + 'static) -> T {
    let result = std::rc::Rc::new(RefCell::new(None));
    let slot = std::rc::Rc::clone(&result);
    MESSAGE.set(Some(Box::new(move |connection| {
        slot.replace(Some(job(connection)));
        Ok(())
    })));
    client.send("");
    result.take().unwrap()
}

/// Have the next `open` do this.
fn opening(job: impl FnOnce(Connection) -> Result<Acceptance, Refusal> + 'static) {
    OPEN.set(Some(Box::new(job)));
}

/// Have the next `closed` do this.
fn closing(job: impl FnOnce(Connection) + 'static) {
    CLOSED.set(Some(Box::new(job)));
}

fn texts(client: &Client) -> Vec<String> {
    client.received().iter().map(|message| message.as_text().unwrap_or("bytes").to_owned()).collect()
}
