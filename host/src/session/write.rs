//! Writing: the messages in the outbox, many with one system call.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hassock_frames::Encoded;
use tokio::time::error::Elapsed;
use tokio_tungstenite::tungstenite::Error;

use crate::app::connection::{Close, Connection, Interruption, Next, Resumption};
use crate::lazy_timeout::lazy_timeout;
use crate::socket::Transport;

/// How many frames are written with one system call.
const FRAMES: usize = 64;

/// A frame of at most so many bytes is copied behind others before they are written. The kernel needs longer for each
/// part of a vectored write than such a copy takes.
const SHORT: usize = 256;

thread_local! {
    /// One for each thread: no write lasts beyond a poll.
    static GATHER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// How many answers to pings may wait for a client that does not read. It gets those to its last pings (RFC 6455, section
/// 5.5.3).
const PONGS: usize = 16;

/// The writing half of a session, with the socket. Every step can be cancelled without losing a message.
pub(super) struct Writer<S> {
    pub(super) socket: S,
    /// The frames that were taken from the outbox, and of the first one the bytes that are written already.
    queue: VecDeque<Encoded>,
    written: usize,
    pongs: VecDeque<Encoded>,
    /// Nothing is queued here or in a buffer of the transport.
    is_flushed: bool,
    /// The client has taken bytes since this was last set to false.
    has_progressed: bool,
    /// The client read no bytes for the maximum time.
    pub(super) is_stuck: bool,
    /// The client was pinged, so an answer may still come.
    pub(super) has_pinged: bool,
    timeout: Duration,
}

impl<S: Transport> Writer<S> {
    pub(super) fn new(socket: S, timeout: Duration) -> Self {
        Self {
            socket,
            queue: VecDeque::new(),
            written: 0,
            pongs: VecDeque::new(),
            is_flushed: true,
            has_progressed: false,
            is_stuck: false,
            has_pinged: false,
            timeout,
        }
    }

    /// Write the messages in the outbox, with one flush at the end. A requested close is returned as the error.
    pub(super) async fn write(&mut self, connection: &Connection) -> Result<(), Close> {
        let is_resumable = connection.resumption().is_some();
        loop {
            // Messages are left only if an earlier write was cancelled.
            if !self.is_flushed
                && let Err(close) = self.flush_in_time(connection).await
            {
                // The connection may have been closed as too slow, which says more than that it is stuck.
                return Err(connection.outbox.take_close().unwrap_or(close));
            }
            if is_resumable && connection.is_unsure() && !connection.outbox.is_closing() {
                // The session goes on writing when it has read the answer.
                return match connection.resumption().is_some_and(Resumption::ask) {
                    true => Box::pin(self.write_now(connection.heartbeat(), connection)).await,
                    false => Ok(()),
                };
            }
            match connection.outbox.next(&mut self.queue) {
                Next::Messages => self.is_flushed = false,
                Next::Close(close) => return Err(close),
                Next::Nothing => return Ok(()),
            }
            if let Some(tap) = connection.tap() {
                self.queue.iter().for_each(|messages| tap.received(messages));
            }
            if is_resumable && connection.note_written(&self.queue) {
                self.queue.push_back(connection.heartbeat());
            }
        }
    }

    /// Use another socket, or none. What was being written is forgotten.
    pub(super) fn change_socket(&mut self, socket: S) {
        *self = Self::new(socket, self.timeout);
    }

    /// Write these messages before all others: what the client gets first, and what it gets again.
    pub(super) async fn write_again(
        &mut self,
        first: Option<Encoded>,
        rest: VecDeque<Encoded>,
        connection: &Connection,
    ) -> Result<(), Close> {
        self.queue.extend(first);
        self.queue.extend(rest);
        self.is_flushed = false;
        self.flush_in_time(connection).await
    }

    /// Answer pings with the next write.
    pub(super) fn queue_pongs(&mut self, pongs: Vec<Encoded>) {
        if pongs.is_empty() {
            return;
        }
        self.pongs.extend(pongs);
        let surplus = self.pongs.len().saturating_sub(PONGS);
        self.pongs.drain(..surplus);
        self.is_flushed = false;
    }

    /// Ping a silent client to find out whether it still responds.
    pub(super) async fn ping(&mut self, connection: &Connection) -> Result<(), Close> {
        self.has_pinged = true;
        self.write_now(Encoded::ping(), connection).await
    }

    /// Write a frame before anything else that is queued.
    pub(super) async fn write_now(&mut self, frame: Encoded, connection: &Connection) -> Result<(), Close> {
        self.queue.push_back(frame);
        self.is_flushed = false;
        self.flush_in_time(connection).await
    }

    /// Write the close frame, as the last one, and perhaps a message before it. Messages that are still queued are dropped,
    /// but not the rest of a frame.
    pub(super) async fn close(&mut self, farewell: Option<Encoded>, frame: Encoded) -> io::Result<()> {
        self.queue.truncate(usize::from(self.written > 0));
        self.pongs.clear();
        self.queue.extend(farewell);
        self.queue.push_back(frame);
        poll_fn(|context| self.poll_flush(context)).await
    }

    async fn flush_in_time(&mut self, connection: &Connection) -> Result<(), Close> {
        let timeout = self.timeout;
        loop {
            self.has_progressed = false;
            let flush = poll_fn(|context| match self.poll_flush(context) {
                Poll::Pending => match connection.interruption(context.waker()) {
                    Some(interruption) => Poll::Ready(Err(interruption)),
                    None => Poll::Pending,
                },
                Poll::Ready(flushed) => Poll::Ready(Ok(flushed)),
            });
            match lazy_timeout(timeout, pin!(flush)).await {
                Ok(Ok(flushed)) => return self.observation(Ok(flushed)),
                Ok(Err(Interruption::Evicted)) => return Err(self.give_up(connection)),
                Ok(Err(Interruption::ClientIsBack)) => return Err(Close::replaced()),
                // A client that reads slowly is not one that is gone. But it must not delay the end of its connection.
                Err(_) if self.has_progressed && !connection.outbox.is_closing() => {}
                Err(elapsed) => return self.observation(Err(elapsed)),
            }
        }
    }

    /// The host needs the memory. The client is in the middle of a frame, so it cannot be told.
    fn give_up(&mut self, connection: &Connection) -> Close {
        self.is_stuck = true;
        (self.queue, self.pongs) = Default::default();
        connection.outbox.abandon();
        Close::out_of_memory()
    }

    fn observation(&mut self, written: Result<io::Result<()>, Elapsed>) -> Result<(), Close> {
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Close::broken(&Error::Io(error))),
            Err(_) => {
                self.is_stuck = true;
                Err(Close::stuck())
            }
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.pongs.is_empty() {
            // Behind the queued frames, of which the first may be half written.
            self.queue.append(&mut self.pongs);
        }
        while !self.queue.is_empty() {
            match ready!(self.poll_write(context))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.advance(written),
            }
        }
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        self.is_flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let written = self.written;
        let mut parts = self.queue.iter().map(Encoded::as_bytes);
        let first = parts.next().and_then(|bytes| bytes.get(written..)).unwrap_or_default();
        let socket = Pin::new(&mut self.socket);
        if self.queue.len() == 1 {
            return socket.poll_write(context, first);
        }
        let parts = std::iter::once(first).chain(parts).take(FRAMES);
        let second = self.queue.get(1).map_or(0, |frame| frame.as_bytes().len());
        if first.len() <= SHORT && second <= SHORT {
            return GATHER.with_borrow_mut(|gathered| {
                gathered.clear();
                parts.take_while(|part| part.len() <= SHORT).for_each(|part| gathered.extend_from_slice(part));
                socket.poll_write(context, gathered)
            });
        }
        let mut slices = [IoSlice::new(&[]); FRAMES];
        let count = slices.iter_mut().zip(parts).map(|(slice, part)| *slice = IoSlice::new(part)).count();
        socket.poll_write_vectored(context, slices.get(..count).unwrap_or_default())
    }

    /// These bytes are written.
    fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        self.has_progressed = true;
        while let Some(first) =
            self.queue.front().map(|frame| frame.as_bytes().len()).filter(|first| *first <= self.written)
        {
            self.written -= first;
            self.queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::*;

    /// A writer whose socket takes so many bytes until they are read, and the other end of the socket.
    fn writer(bytes: usize) -> (Writer<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(bytes);
        (Writer::new(ours, Duration::from_secs(60)), theirs)
    }

    /// Everything that is written until the writer is dropped.
    async fn read_all(mut socket: DuplexStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    fn text(length: usize) -> Encoded {
        Encoded::text(&"x".repeat(length))
    }

    fn bytes(frames: &[Encoded]) -> Vec<u8> {
        frames.iter().flat_map(|frame| frame.as_bytes().to_vec()).collect()
    }

    /// A writer that was cancelled in the middle of the first of two messages, which have 10 and 20 bytes.
    fn half_written() -> (Writer<DuplexStream>, DuplexStream, Connection) {
        let (mut writer, socket) = writer(5);
        let connection = Connection::new(1, 1 << 20);
        [text(10), text(20)].into_iter().for_each(|message| connection.outbox.push(message).unwrap());
        assert!(writer.write(&connection).now_or_never().is_none());
        (writer, socket, connection)
    }

    #[tokio::test]
    async fn frames_stay_whole_however_little_the_socket_takes() {
        for room in [1, 7, 300, 100_000] {
            let (mut writer, socket) = writer(room);
            let connection = Connection::new(1, 1 << 20);
            let messages: Vec<Encoded> = (0..100).map(|number| text(number * 37 % 700)).collect();
            messages.iter().for_each(|message| connection.outbox.push(message.clone()).unwrap());
            let pongs: Vec<Encoded> = (0..PONGS as u8 + 3).map(|number| Encoded::pong(&[number])).collect();
            writer.queue_pongs(pongs.clone());
            let write = async move {
                writer.write(&connection).await.unwrap();
                drop(writer);
            };
            let ((), written) = tokio::join!(write, read_all(socket));
            // The pongs were queued before the messages were taken. Only the last ones are kept.
            assert_eq!(written, bytes(&[&pongs[3..], &messages].concat()), "{room} bytes at a time");
        }
    }

    #[tokio::test]
    async fn a_write_that_was_cancelled_continues_where_it_was() {
        let (mut writer, socket, connection) = half_written();
        connection.outbox.push(text(30)).unwrap();
        let write = async move {
            writer.write(&connection).await.unwrap();
            drop(writer);
        };
        let ((), written) = tokio::join!(write, read_all(socket));
        assert_eq!(written, bytes(&[text(10), text(20), text(30)]));
    }

    /// RFC 6455, section 5.4: no frame comes within another one.
    #[tokio::test]
    async fn a_close_frame_comes_behind_the_frame_that_is_half_written() {
        let (mut writer, socket, _connection) = half_written();
        let close = Encoded::close(None);
        let finish = async {
            writer.close(None, close.clone()).await.unwrap();
            drop(writer);
        };
        let ((), written) = tokio::join!(finish, read_all(socket));
        assert_eq!(written, bytes(&[text(10), close.clone()]));
    }
}
