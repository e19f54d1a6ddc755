//! A stage that keeps what came through it, byte by byte.

use std::path::Path;
use std::time::Duration;

use hassock::transcript::format::{CallFault, Connect, StatementFault};
use hassock::transcript::stage::{Answer, Cost, Inside, LogLine, Message, Received, Rows, Stage, StageError, Wire};
use hassock_tests::raw::Frame;
use hassock_tests::raw::opcode::{FIN, PING, PONG};

/// A stage whose clients keep the bytes that they got.
pub(super) trait Tapped: Stage {
    fn bytes(&self, client: &str) -> Vec<u8>;
}

impl Tapped for Inside {
    fn bytes(&self, client: &str) -> Vec<u8> {
        self.received_bytes(client)
    }
}

impl Tapped for Wire {
    fn bytes(&self, client: &str) -> Vec<u8> {
        self.received_bytes(client)
    }
}

/// What one connection of a client came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tape {
    pub(super) client: String,
    pub(super) answer: Answer,
    /// The head of a 101, without its `date`.
    pub(super) head: String,
    /// All bytes after the head, but for pongs, which only a stage over the wire asks for, and for pings after
    /// the first one in a row, of which there are as many as time passes.
    pub(super) frames: Vec<u8>,
}

/// Plays on another stage.
pub(super) struct Recorder<S> {
    stage: S,
    finished: Vec<Tape>,
    current: Vec<(String, Answer)>,
}

impl<S: Tapped> Recorder<S> {
    pub(super) fn new(stage: S) -> Self {
        Self { stage, finished: Vec::new(), current: Vec::new() }
    }

    /// What came, connection by connection.
    pub(super) fn tapes(mut self) -> Vec<Tape> {
        for (client, answer) in std::mem::take(&mut self.current) {
            self.keep(client, answer);
        }
        self.finished
    }

    fn keep(&mut self, client: String, mut answer: Answer) {
        answer.headers.retain(|(name, _)| name != "date");
        let bytes = self.stage.bytes(&client);
        let accepted = answer.status == 101;
        let (head, frames) = if accepted { split(&bytes) } else { (String::new(), Vec::new()) };
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

/// How long the first frame is with its head; none if it is not all there.
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

impl<S: Tapped> Stage for Recorder<S> {
    fn connect(&mut self, connect: &Connect) -> Result<Answer, StageError> {
        if let Some(at) = self.current.iter().position(|(client, _)| *client == connect.client) {
            let (client, answer) = self.current.remove(at);
            self.keep(client, answer);
        }
        let answer = self.stage.connect(connect)?;
        self.current.push((connect.client.clone(), answer.clone()));
        Ok(answer)
    }

    fn send(&mut self, client: &str, message: Message) -> Result<(), StageError> {
        self.stage.send(client, message)
    }

    fn receive(&mut self, client: &str) -> Result<Option<Received>, StageError> {
        self.stage.receive(client)
    }

    fn poll(&mut self, client: &str) -> Result<Option<Received>, StageError> {
        self.stage.poll(client)
    }

    fn disconnect(&mut self, client: &str, close: Option<(u16, &str)>) -> Result<(), StageError> {
        self.stage.disconnect(client, close)
    }

    fn vanish(&mut self, client: &str) -> Result<(), StageError> {
        self.stage.vanish(client)
    }

    fn sql(&mut self, database: &str, statement: &str) -> Result<Rows, StageError> {
        self.stage.sql(database, statement)
    }

    fn execute_batch(&mut self, database: &str, statements: &str) -> Result<(), StageError> {
        self.stage.execute_batch(database, statements)
    }

    fn advance(&mut self, time: Duration) -> Result<(), StageError> {
        self.stage.advance(time)
    }

    fn swap(&mut self, app: Option<&str>, file: &Path) -> Result<(), StageError> {
        self.stage.swap(app, file)
    }

    fn fail_statement(&mut self, database: &str, fault: StatementFault) -> Result<(), StageError> {
        self.stage.fail_statement(database, fault)
    }

    fn fail_call(&mut self, app: Option<&str>, fault: CallFault) -> Result<(), StageError> {
        self.stage.fail_call(app, fault)
    }

    fn fail_instances(&mut self, app: Option<&str>) -> Result<(), StageError> {
        self.stage.fail_instances(app)
    }

    fn fail_outbox(&mut self, client: &str) -> Result<(), StageError> {
        self.stage.fail_outbox(client)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), StageError> {
        self.stage.set(key, value)
    }

    fn take_log(&mut self) -> Vec<LogLine> {
        self.stage.take_log()
    }

    fn cost(&self) -> Option<Cost> {
        self.stage.cost()
    }
}
