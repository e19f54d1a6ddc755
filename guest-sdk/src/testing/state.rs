//! What a host keeps: connections with their topics and attachments, timers, settings, databases, the clock
//! and the log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::answer::Answer;
use super::client::Received;
use super::database::{Access, Store};
use super::history::Histories;
use super::limits::Limits;
use super::log::LogLine;
use super::outbox::Outbox;
use super::timers::Timers;
use crate::history::Published;
use crate::log::Level;
use crate::{ClosedBy, Closing, Message};

#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) now: SystemTime,
    /// The time that a module has read last.
    last_reading: SystemTime,
    pub(super) log: Vec<LogLine>,
    pub(super) databases: BTreeMap<String, Rc<Store>>,
    /// The highest access that a module gets to any database: during a self-test, read-only.
    pub(super) most_access: Access,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) timers: Timers,
    pub(super) histories: Histories,
    /// Messages that were published with an id, by topic and id.
    pub(super) published: BTreeMap<(String, String), Published>,
    last_id: u64,
}

/// A connection. It is kept after it has ended, because the test may still ask about it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) phase: Phase,
    pub(super) outbox: Outbox,
    /// What the client has received and the test has not taken yet.
    pub(super) received: VecDeque<Message>,
    pub(super) attachment: Vec<u8>,
    /// What others are told about it.
    pub(super) presence: Option<String>,
    pub(super) topics: BTreeSet<String>,
    /// None until the module has accepted it.
    pub(super) answer: Option<Answer>,
    pub(super) closed: Option<Closing>,
    /// Whether the test has taken the end of the connection.
    pub(super) end_taken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The module is asked whether it accepts the connection.
    Opening,
    Open,
    /// The module is told that the connection has ended.
    Ending,
    /// Modules no longer know the connection.
    Gone,
}

impl Connection {
    /// What the client takes next. A client that had stopped reading reads again.
    pub(super) fn receive(&mut self) -> Option<Received> {
        self.outbox.resume();
        if let Some(message) = self.received.pop_front() {
            return Some(Received::Message(message));
        }
        let Closing { code, reason, by } = self.closed.clone()?;
        let taken = std::mem::replace(&mut self.end_taken, true);
        (!taken && by != ClosedBy::Client).then_some(Received::Closed { code, reason })
    }

    /// All messages that the client has not taken yet.
    pub(super) fn messages(&mut self) -> Vec<Message> {
        self.outbox.resume();
        self.received.drain(..).collect()
    }
}

impl State {
    pub(super) fn new(limits: Limits, now: SystemTime) -> Self {
        Self {
            limits,
            settings: BTreeMap::new(),
            now,
            last_reading: SystemTime::UNIX_EPOCH,
            log: Vec::new(),
            databases: BTreeMap::new(),
            most_access: Access::ReadWrite,
            connections: BTreeMap::new(),
            timers: Timers::default(),
            histories: Histories::default(),
            published: BTreeMap::new(),
            last_id: 0,
        }
    }

    /// The time as a module reads it: at least a microsecond later than at the last reading. Real clocks also move
    /// between two readings, and modules rely on that.
    pub(super) fn read_clock(&mut self) -> SystemTime {
        self.last_reading = self.now.max(self.last_reading + Duration::from_micros(1));
        self.last_reading
    }

    /// What a version sees during its self-test: the same settings, time and databases, which it can only read, and
    /// nothing else.
    pub(super) fn for_self_test(&self) -> Self {
        let mut state = Self::new(self.limits.clone(), self.now);
        state.settings.clone_from(&self.settings);
        state.databases.clone_from(&self.databases);
        state.most_access = Access::ReadOnly;
        state
    }

    /// Add a line to the log, and print it, so that a test that fails shows it.
    pub(super) fn log(&mut self, level: Level, line: &str) {
        println!("log: {level}: {line}");
        self.log.push(LogLine { level, text: line.to_owned() });
    }

    /// A connection that the module has not accepted yet.
    pub(super) fn new_connection(&mut self) -> u64 {
        self.last_id += 1;
        let connection = Connection {
            phase: Phase::Opening,
            outbox: Outbox::new(self.limits.outbox_bytes),
            received: VecDeque::new(),
            attachment: Vec::new(),
            presence: None,
            topics: BTreeSet::new(),
            answer: None,
            closed: None,
            end_taken: false,
        };
        self.connections.insert(self.last_id, connection);
        self.last_id
    }

    /// The connection with this id, if modules know it.
    pub(super) fn known(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&id).filter(|connection| connection.phase != Phase::Gone)
    }

    /// Deliver what is queued to the clients that read.
    pub(super) fn deliver(&mut self) {
        let open = self.connections.values_mut().filter(|connection| connection.phase == Phase::Open);
        open.for_each(|connection| connection.received.extend(connection.outbox.take()));
    }

    /// A connection that is to be closed.
    pub(super) fn next_to_close(&self) -> Option<(u64, Closing)> {
        let open = self.connections.iter().filter(|(_, connection)| connection.phase == Phase::Open);
        open.filter_map(|(id, connection)| Some((*id, connection.outbox.closing()?.clone()))).next()
    }

    /// The subscribers of a topic, ascending.
    pub(super) fn subscribers<'a>(&'a mut self, topic: &'a str) -> impl Iterator<Item = (u64, &'a mut Connection)> {
        let subscribed = move |(_, connection): &(&u64, &mut Connection)| connection.topics.contains(topic);
        self.connections.iter_mut().filter(subscribed).map(|(id, connection)| (*id, connection))
    }

    /// Detach a connection: nothing more is sent to it, and its subscriptions and timers end.
    pub(super) fn detach(&mut self, id: u64, phase: Phase) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.phase = phase;
            connection.outbox.shut();
            connection.topics.clear();
        }
        self.timers.cancel_all(id);
    }
}
