//! Connections of an app that works well, while something attacks its host: they may not notice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

use crate::raw::opcode::{CLOSE, FIN, PING, TEXT};
use crate::{Raw, eventually, raw, within};

/// How many there are.
const CONNECTIONS: usize = 100;

/// Connections that send numbered messages at a fixed pace, whether answers come or not, and that expect each of them
/// back in order. A connection that waited for an answer before it sent the next message would send nothing while the
/// host pauses, and so would measure each pause only once.
pub struct Bystanders {
    readers: JoinSet<()>,
    sender: thread::JoinHandle<Vec<Connection>>,
    shared: Arc<Shared>,
    running: Running,
}

/// Ends the sender with the bystanders, so that a test that has failed does not complain of a host that is gone, too.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Relaxed);
    }
}

/// The half of a connection that sends.
struct Connection {
    writing: OwnedWriteHalf,
    number: usize,
    sent: u64,
}

/// What the threads and tasks know together.
struct Shared {
    running: AtomicBool,
    progress: Vec<Progress>,
    /// From a message to its answer, in nanoseconds.
    times: Mutex<Histogram<u64>>,
}

/// What has happened on a connection.
#[derive(Default)]
struct Progress {
    /// When the messages were sent that have not been answered yet.
    waiting: Mutex<VecDeque<Instant>>,
    answered: AtomicU64,
}

impl Bystanders {
    /// Connect all of them to a path that echoes, and send so many messages a second, of all together.
    ///
    /// # Panics
    /// If one is refused.
    pub async fn start(address: &str, path: &str, per_second: u32) -> Self {
        let progress = (0..CONNECTIONS).map(|_| Progress::default()).collect();
        let shared = Arc::new(Shared { running: AtomicBool::new(true), progress, times: Mutex::new(histogram()) });
        let (mut readers, mut connections) = (JoinSet::new(), Vec::new());
        for number in 0..CONNECTIONS {
            // The host sends nothing before the first message, so there is nothing behind the answer.
            let (reading, writing) = Raw::open(address, path).await.stream.into_split();
            readers.spawn(read(BufReader::new(reading), number, Arc::clone(&shared)));
            connections.push(Connection { writing, number, sent: 0 });
        }
        let sending = Arc::clone(&shared);
        // A thread, because the timers of the runtime count milliseconds.
        let sender = thread::spawn(move || send(connections, per_second, &sending));
        Self { readers, sender, running: Running(Arc::clone(&shared)), shared }
    }

    /// Wait until each of them has this many answers more than now.
    ///
    /// # Panics
    /// If one of them misses an answer, gets another one, or is closed.
    pub async fn get_answers(&mut self, count: u64) {
        let answered = |progress: &Progress| progress.answered.load(Ordering::Relaxed);
        let goals: Vec<_> = self.shared.progress.iter().map(|progress| answered(progress) + count).collect();
        let (shared, readers) = (Arc::clone(&self.shared), tokio::sync::Mutex::new(&mut self.readers));
        eventually("answers for all bystanders", || async {
            if let Some(ended) = readers.lock().await.try_join_next() {
                panic!("a bystander has ended: {ended:?}");
            }
            shared.progress.iter().zip(&goals).all(|(progress, goal)| answered(progress) >= *goal)
        })
        .await;
    }

    /// The times from each message to its answer, in nanoseconds, since this was last asked for.
    pub fn take_times(&self) -> Histogram<u64> {
        std::mem::replace(&mut *self.shared.times.lock(), histogram())
    }

    /// Stop to send, and close the connections when each of them has all its answers.
    ///
    /// # Panics
    /// If one of them misses an answer, gets another one, or was closed by the host.
    pub async fn stop(mut self) {
        drop(self.running);
        let sender = tokio::task::spawn_blocking(|| self.sender.join());
        let Ok(Ok(connections)) = within("the sender", sender).await else { panic!("the sender has failed") };
        for mut connection in connections {
            let progress = &self.shared.progress[connection.number];
            let complete = || async { progress.answered.load(Ordering::Relaxed) == connection.sent };
            tokio::select! {
                () = eventually("the last answers of a bystander", complete) => {}
                Some(Err(error)) = self.readers.join_next() => panic!("a bystander has failed: {error}"),
            }
            let closed = connection.writing.write_all(&raw::close(1000, "")).await;
            closed.unwrap_or_else(|error| panic!("a bystander cannot close: {error}"));
        }
        within("the end of the bystanders", self.readers.join_all()).await;
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).unwrap_or_else(|error| panic!("no histogram: {error}"))
}

fn message(connection: usize, number: u64) -> String {
    format!("{connection}: {number}")
}

/// Send in turns until it is stopped.
fn send(mut connections: Vec<Connection>, per_second: u32, shared: &Shared) -> Vec<Connection> {
    let (begin, mut total) = (Instant::now(), 0_u64);
    while shared.running.load(Ordering::Relaxed) {
        for connection in &mut connections {
            let due = begin + Duration::from_nanos(total * 1_000_000_000 / u64::from(per_second));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let frame = raw::text(&message(connection.number, connection.sent));
            shared.progress[connection.number].waiting.lock().push_back(Instant::now());
            match connection.writing.try_write(&frame) {
                Ok(written) if written == frame.len() => {}
                other => panic!("the host reads nothing of a bystander: {other:?}"),
            }
            connection.sent += 1;
            total += 1;
        }
    }
    connections
}

/// Read the answers until the host has answered the close.
async fn read(mut reading: BufReader<OwnedReadHalf>, number: usize, shared: Arc<Shared>) {
    let progress = &shared.progress[number];
    let mut payload = Vec::new();
    for answer in 0.. {
        let first = frame(&mut reading, &mut payload).await;
        if first == FIN | CLOSE {
            let is_ours = !shared.running.load(Ordering::Relaxed) && payload == 1000_u16.to_be_bytes();
            assert!(is_ours, "the host has closed bystander {number}: {payload:?}");
            return;
        }
        let expected = message(number, answer);
        let is_expected = first == FIN | TEXT && payload == expected.as_bytes();
        assert!(is_expected, "instead of `{expected}`: {first}, {}", String::from_utf8_lossy(&payload));
        let sent = progress.waiting.lock().pop_front().unwrap_or_else(|| panic!("an answer without a message"));
        let time = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
        shared.times.lock().record(time).unwrap_or_else(|error| panic!("{time} ns: {error}"));
        progress.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// The next short frame that is not a ping: its first byte.
async fn frame(reading: &mut BufReader<OwnedReadHalf>, payload: &mut Vec<u8>) -> u8 {
    loop {
        let mut head = [0; 2];
        let read = async {
            reading.read_exact(&mut head).await?;
            payload.resize(usize::from(head[1]), 0);
            reading.read_exact(payload).await
        };
        read.await.unwrap_or_else(|error| panic!("the host has left a bystander: {error}"));
        if head[0] != FIN | PING {
            return head[0];
        }
    }
}
