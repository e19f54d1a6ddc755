//! A backend that keeps all bytes that its clients get.

use std::path::Path;
use std::time::Duration;

use hassock::commands::test::{InProcess, Remote};
use hassock_tests::raw::Frame;
use hassock_tests::raw::opcode::{FIN, PING, PONG};
use hassock_transcript::backend::{
    Answer, Backend, BackendError, CallFault, Connect, Cost, FailedCall, LogLine, Message, Publication, Received, Rows,
    StatementFault,
};
use hassock_transcript::spoken::{PROTOCOL, Spoken};

/// A backend that keeps the bytes that its clients got.
pub(super) trait Tapped: Backend {
    fn bytes(&self, client: &str) -> Vec<u8>;
}

impl Tapped for InProcess {
    fn bytes(&self, client: &str) -> Vec<u8> {
        self.received_bytes(client)
    }
}

impl Tapped for Remote {
    fn bytes(&self, client: &str) -> Vec<u8> {
        self.received_bytes(client)
    }
}

/// What one connection of a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tape {
    pub(super) client: String,
    pub(super) answer: Answer,
    /// The head of a 101, without its `date`.
    pub(super) head: String,
    /// All bytes after the head, or the messages of a client that speaks `hassock.v1`; without pongs, which only a backend over sockets asks for, and without repeated pings,
    /// because their number depends on the time.
    pub(super) frames: Vec<u8>,
}

/// Plays on another backend.
pub(super) struct Recorder<B> {
    backend: B,
    finished: Vec<Tape>,
    current: Vec<(String, Answer)>,
}

impl<B: Tapped> Recorder<B> {
    pub(super) fn new(backend: B) -> Self {
        Self { backend, finished: Vec::new(), current: Vec::new() }
    }

    /// The tapes, connection by connection.
    pub(super) fn tapes(mut self) -> Vec<Tape> {
        for (client, answer) in std::mem::take(&mut self.current) {
            self.keep(client, answer);
        }
        self.finished
    }

    fn keep(&mut self, client: String, mut answer: Answer) {
        answer.headers.retain(|(name, _)| name != "date");
        let bytes = self.backend.bytes(&client);
        let accepted = answer.status == 101;
        let (head, mut frames) = if accepted { split(&bytes) } else { (String::new(), Vec::new()) };
        if answer.headers.iter().any(|(_, value)| value == PROTOCOL) {
            frames = without_positions(&frames);
        }
        self.finished.push(Tape { client, answer, head, frames });
    }
}

fn split(bytes: &[u8]) -> (String, Vec<u8>) {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let head = head.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    (head.collect(), without_pongs(&bytes[end..]))
}

fn without_pongs(bytes: &[u8]) -> Vec<u8> {
    let (mut rest, mut kept, mut last) = (bytes, Vec::new(), 0);
    while let Some(length) = first_frame(rest) {
        let (frame, after) = rest.split_at(length);
        rest = after;
        let kind = frame[0];
        if kind == FIN | PONG || (kind == FIN | PING && last == kind) {
            continue;
        }
        last = kind;
        kept.extend_from_slice(frame);
    }
    assert!(rest.is_empty(), "half a frame at the end: {rest:?}");
    kept
}

/// The payloads of a client that speaks `hassock.v1`, without heartbeats, and without the positions and ids in the headers: they
/// are different each time.
fn without_positions(bytes: &[u8]) -> Vec<u8> {
    let messages = frames(bytes).into_iter().filter(|frame| matches!(frame.first & 0x0f, 1 | 2));
    let spoken = messages.map(|frame| match frame.first & 0x0f {
        1 => Spoken::read(Message::Text(String::from_utf8(frame.payload).unwrap())).unwrap(),
        _ => Spoken::read(Message::Binary(frame.payload)).unwrap(),
    });
    let told = spoken.filter(|spoken| spoken.kind() != Some("heartbeat"));
    let plain = told.map(|mut spoken| {
        for field in ["position", "id"] {
            if let Some(value) = spoken.header.get_mut(field) {
                *value = field.into();
            }
        }
        format!("{spoken:?}\n")
    });
    plain.collect::<String>().into_bytes()
}

/// The length of the first frame with its head; none if it is incomplete.
fn first_frame(bytes: &[u8]) -> Option<usize> {
    let (head, payload) = hassock_tests::raw::length(bytes)?;
    Some(head + payload).filter(|length| *length <= bytes.len())
}

/// The frames of a tape.
pub(super) fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((head, payload)) = hassock_tests::raw::length(bytes) {
        let payload = bytes[head..head + payload].to_vec();
        frames.push(Frame { first: bytes[0], payload: payload.clone() });
        bytes = &bytes[head + payload.len()..];
    }
    frames
}

impl<B: Tapped> Backend for Recorder<B> {
    fn connect(&mut self, name: &str, request: &Connect) -> Result<Answer, BackendError> {
        if let Some(at) = self.current.iter().position(|(client, _)| client == name) {
            let (client, answer) = self.current.remove(at);
            self.keep(client, answer);
        }
        let answer = self.backend.connect(name, request)?;
        self.current.push((name.to_owned(), answer.clone()));
        Ok(answer)
    }

    fn send(&mut self, client: &str, message: Message) -> Result<(), BackendError> {
        self.backend.send(client, message)
    }

    fn receive(&mut self, client: &str) -> Result<Option<Received>, BackendError> {
        self.backend.receive(client)
    }

    fn poll(&mut self, client: &str) -> Result<Option<Received>, BackendError> {
        self.backend.poll(client)
    }

    fn disconnect(&mut self, client: &str, close: Option<(u16, &str)>) -> Result<(), BackendError> {
        self.backend.disconnect(client, close)
    }

    fn vanish(&mut self, client: &str) -> Result<(), BackendError> {
        self.backend.vanish(client)
    }

    fn sql(&mut self, database: &str, statement: &str) -> Result<Rows, BackendError> {
        self.backend.sql(database, statement)
    }

    fn execute_batch(&mut self, database: &str, statements: &str) -> Result<(), BackendError> {
        self.backend.execute_batch(database, statements)
    }

    fn publish(&mut self, publication: &Publication) -> Result<Option<String>, BackendError> {
        self.backend.publish(publication)
    }

    fn advance(&mut self, time: Duration) -> Result<(), BackendError> {
        self.backend.advance(time)
    }

    fn swap(&mut self, app: Option<&str>, file: &Path) -> Result<(), BackendError> {
        self.backend.swap(app, file)
    }

    fn fail_sql(&mut self, database: &str, fault: StatementFault) -> Result<(), BackendError> {
        self.backend.fail_sql(database, fault)
    }

    fn fail_call(&mut self, app: Option<&str>, fault: CallFault) -> Result<(), BackendError> {
        self.backend.fail_call(app, fault)
    }

    fn fail_instances(&mut self, app: Option<&str>) -> Result<(), BackendError> {
        self.backend.fail_instances(app)
    }

    fn fail_outbox(&mut self, client: &str) -> Result<(), BackendError> {
        self.backend.fail_outbox(client)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), BackendError> {
        self.backend.set(key, value)
    }

    fn take_failed_calls(&mut self) -> Vec<FailedCall> {
        self.backend.take_failed_calls()
    }

    fn client_of(&self, connection: u64) -> Option<&str> {
        self.backend.client_of(connection)
    }

    fn take_log(&mut self) -> Vec<LogLine> {
        self.backend.take_log()
    }

    fn cost(&self) -> Option<Cost> {
        self.backend.cost()
    }
}
