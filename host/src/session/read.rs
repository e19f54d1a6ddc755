//! Reading: everything that has already arrived becomes one batch. A call of the module costs half a microsecond, and a
//! pipelining client would otherwise cause this cost for each message.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use hassock_frames::{Compression, Decoder, Encoded, Incoming, Packed, Payload};
use tokio::io::ReadBuf;
use tokio_tungstenite::tungstenite::Error;

use crate::app::connection::Close;
use crate::config::AppLimits;
use crate::memory_budget::{OutOfMemory, Share};
use crate::socket::Transport;

/// The size of a read buffer in bytes: what one system call can read.
const BUFFER: usize = 64 << 10;

/// How many reads a session may make before other tasks of its thread have a turn. Parts of a message do not fill a
/// batch, and parts without content do not fill a message.
const READS: usize = 4;

thread_local! {
    /// One for each thread instead of one for each connection. A read uses it only until it has decoded what was read, so
    /// an idle connection needs none, and it is filled with zeros once instead of before each read.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into());
}

/// The reading half of a session.
pub(super) struct Reader {
    decoder: Decoder,
    /// What was read and did not fit into a batch any more, from `next` on.
    unread: Vec<u8>,
    next: usize,
    /// Not all that was read has been decoded.
    is_behind: bool,
    /// Something has arrived since this was last set to false, perhaps a part of a frame.
    pub(super) has_heard: bool,
    /// The client has sent its close frame, or something that cannot be decoded. Nothing after that matters.
    pub(super) is_over: bool,
}

/// A batch that was read at once.
#[derive(Default)]
pub(super) struct Batch {
    /// The messages in the order of arrival. Empty if only control frames arrived.
    pub(super) messages: Packed,
    /// The answers to pings. Modules do not see them.
    pub(super) pongs: Vec<Encoded>,
    /// The connection ended after these messages.
    pub(super) end: Option<Close>,
    /// There is nothing more in this poll of the task: the socket has no more data, and wakes the task when more arrives, or
    /// other tasks have a turn before this one goes on.
    pub(super) is_drained: bool,
    /// Bytes in the messages.
    pub(super) bytes: usize,
    /// Control frames count too, because a flood of pings could otherwise keep a read running.
    frames: usize,
}

impl Reader {
    /// `read_ahead` is what was read together with the request.
    pub(super) fn new(max_message: usize, compression: Compression, read_ahead: &[u8]) -> Self {
        Self {
            decoder: Decoder::new(max_message, compression),
            unread: read_ahead.to_vec(),
            next: 0,
            is_behind: !read_ahead.is_empty(),
            has_heard: false,
            is_over: false,
        }
    }

    /// Read until the socket has no more data, a batch is full, or the connection ends. Pending if nothing has arrived.
    /// `share` counts what is in memory afterwards.
    pub(super) fn poll_batch(
        &mut self,
        socket: &mut impl Transport,
        limits: &AppLimits,
        share: &Share,
        context: &mut Context<'_>,
    ) -> Poll<Batch> {
        let batch = self.poll_read(socket, limits, context);
        let read = if let Poll::Ready(batch) = &batch { batch.bytes } else { 0 };
        match share.resize(self.held() + read) {
            Ok(()) => batch,
            Err(OutOfMemory) => {
                self.release(share);
                Poll::Ready(Batch { end: Some(Close::out_of_memory()), ..Batch::default() })
            }
        }
    }

    /// How many bytes are kept for what is not complete, or did not fit into a batch.
    pub(super) fn held(&self) -> usize {
        self.decoder.held() + self.unread.capacity()
    }

    /// A batch that was read is not in memory any more.
    pub(super) fn recount(&self, share: &Share) {
        // Less is never refused.
        let _ = share.resize(self.held());
    }

    /// Keep nothing of what has come: the socket is gone. What was read before is still with the module.
    pub(super) fn forget(&mut self) {
        *self = Self::new(0, Compression::None, &[]);
    }

    /// Keep nothing any more. The connection ends.
    pub(super) fn release(&mut self, share: &Share) {
        (self.decoder, self.is_over) = (Decoder::new(0, Compression::None), true);
        (self.unread, self.is_behind) = (Vec::new(), false);
        // Less is never refused.
        let _ = share.resize(0);
    }

    /// As [`poll_batch`](Self::poll_batch).
    fn poll_read(&mut self, socket: &mut impl Transport, limits: &AppLimits, context: &mut Context<'_>) -> Poll<Batch> {
        let mut batch = Batch::default();
        if self.is_behind {
            let mut unread = std::mem::take(&mut self.unread);
            let mut input = unread.get_mut(self.next..).unwrap_or_default();
            if self.decode(&mut input, &mut batch, limits) {
                let left = input.len();
                self.next = unread.len() - left;
                self.unread = if left == 0 { Vec::new() } else { unread };
                return self.leave(batch, context);
            }
            self.is_behind = false;
        }
        READ.with_borrow_mut(|buffer| {
            for _ in 0..READS {
                let mut read = ReadBuf::new(buffer);
                let end = match Pin::new(&mut *socket).poll_read(context, &mut read) {
                    Poll::Pending if batch.frames == 0 => return Poll::Pending,
                    Poll::Pending => {
                        batch.is_drained = true;
                        return Poll::Ready(batch);
                    }
                    Poll::Ready(Ok(())) if read.filled().is_empty() => Close::lost("the client went away"),
                    Poll::Ready(Err(error)) => Close::broken(&Error::Io(error)),
                    Poll::Ready(Ok(())) => {
                        self.has_heard = true;
                        let mut input = read.filled_mut();
                        if self.decode(&mut input, &mut batch, limits) {
                            (self.unread, self.next) = (input.to_vec(), 0);
                            return self.leave(batch, context);
                        }
                        continue;
                    }
                };
                batch.end = Some(end);
                self.is_over = true;
                return Poll::Ready(batch);
            }
            if batch.frames > 0 {
                return Poll::Ready(batch);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// The batch is full, or decompressing a message takes longer than a turn.
    fn leave(&mut self, mut batch: Batch, context: &mut Context<'_>) -> Poll<Batch> {
        let is_busy = self.decoder.is_busy();
        self.is_behind = is_busy || !self.unread.is_empty();
        if !is_busy {
            return Poll::Ready(batch);
        }
        context.waker().wake_by_ref();
        batch.is_drained = true;
        if batch.frames == 0 { Poll::Pending } else { Poll::Ready(batch) }
    }

    /// Decode what was read. True if the batch is full, a message needs another turn, or the connection ends.
    fn decode(&mut self, input: &mut &mut [u8], batch: &mut Batch, limits: &AppLimits) -> bool {
        while batch.frames < limits.batch_messages && batch.bytes < limits.batch_bytes.bytes() {
            let incoming = match self.decoder.decode(input) {
                Ok(Some(incoming)) => incoming,
                Ok(None) => return self.decoder.is_busy(),
                Err(error) => {
                    batch.end = Some(Close::undecodable(&error));
                    self.is_over = true;
                    return true;
                }
            };
            batch.frames += 1;
            match incoming {
                Incoming::Text(text) => batch.push(text.payload(), input.len()),
                Incoming::Binary(data) => batch.push(Payload::binary(&data), input.len()),
                Incoming::Ping(payload) => batch.pongs.push(Encoded::pong(&payload)),
                Incoming::Pong(_) => {}
                Incoming::Close(frame) => {
                    batch.end = Some(Close::client(frame));
                    self.is_over = true;
                    return true;
                }
            }
        }
        true
    }
}

impl Batch {
    /// A part of a batch that was read: these messages, and the end that came behind them.
    pub(super) fn new(messages: Packed, end: Option<Close>) -> Self {
        Self { messages, end, ..Self::default() }
    }

    /// Add a message. So many bytes behind it have not been decoded yet.
    #[inline]
    fn push(&mut self, message: Payload<'_>, behind: usize) {
        let length = message.as_bytes().len();
        if self.messages.is_empty() {
            // A frame is longer than its message in the packed form, so all that was read fits.
            self.messages.reserve(length + behind);
        }
        self.bytes += length;
        self.messages.push(message);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use hassock_frames::{Deflate, Window};
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::memory_budget::{MemoryBudget, Use};

    /// A frame of a client. Its mask is zeros.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
    }

    async fn batch(reader: &mut Reader, socket: &mut DuplexStream, limits: &AppLimits) -> Batch {
        let share = Arc::<MemoryBudget>::default().share(Use::Input);
        poll_fn(|context| reader.poll_batch(socket, limits, &share, context)).await
    }

    fn texts(batch: &Batch) -> Vec<&str> {
        batch.messages.iter().map(|message| message.as_text().expect("no client has sent binary")).collect()
    }

    #[tokio::test]
    async fn what_does_not_fit_into_a_batch_comes_with_the_next_one() {
        let limits = AppLimits { batch_messages: 3, ..AppLimits::default() };
        let sent: Vec<u8> = ["a", "b", "c", "d"].iter().flat_map(|text| frame(0x81, text.as_bytes())).collect();
        let sent = [sent, frame(0x89, b"ping"), frame(0x81, b"e"), frame(0x88, &[])].concat();
        // Some of it may have been read together with the request.
        for ahead in 0..=sent.len() {
            let (mut ours, mut theirs) = duplex(1 << 10);
            theirs.write_all(&sent[ahead..]).await.unwrap();
            let mut reader = Reader::new(100, Compression::None, &sent[..ahead]);
            let first = batch(&mut reader, &mut ours, &limits).await;
            assert_eq!((texts(&first), first.is_drained), (vec!["a", "b", "c"], false), "{ahead} bytes ahead");
            let second = batch(&mut reader, &mut ours, &limits).await;
            assert_eq!((texts(&second), second.pongs.len()), (vec!["d", "e"], 1));
            assert!(second.end.is_none() && !reader.is_over);
            let last = batch(&mut reader, &mut ours, &limits).await;
            assert_eq!((last.messages.len(), last.end.map(|close| close.code)), (0, Some(1005)));
            assert!(reader.is_over);
        }
    }

    /// A client that sends parts of a message without pause, and never the last one.
    #[tokio::test]
    async fn a_flood_of_parts_does_not_keep_other_tasks_waiting() {
        let limits = AppLimits::default();
        let parts = [frame(0x01, b"a"), frame(0x00, &[]).repeat(300_000), frame(0x80, b"b")].concat();
        let (mut ours, mut theirs) = duplex(parts.len());
        theirs.write_all(&parts).await.unwrap();
        let mut reader = Reader::new(100, Compression::None, &[]);
        let mut polls = 0;
        let share = Arc::<MemoryBudget>::default().share(Use::Input);
        let message = poll_fn(|context| {
            polls += 1;
            reader.poll_batch(&mut ours, &limits, &share, context)
        });
        assert_eq!(texts(&message.await), ["ab"]);
        assert!(polls >= parts.len() / (READS * BUFFER), "{polls} polls for {} bytes", parts.len());
    }

    /// Some KiB that become MiB, again and again.
    #[tokio::test]
    async fn compressed_messages_do_not_keep_other_tasks_waiting() {
        const LENGTH: usize = 8 << 20;
        let limits = AppLimits::default();
        let how = Deflate { window: Window::Full, level: 9, min_bytes: 0 };
        let message = Encoded::binary(&vec![0; LENGTH]).deflated(how);
        // The same frame from a client: with a mask, of zeros.
        let mut sent = message.as_bytes().to_vec();
        sent[1] |= 0x80;
        sent.splice(4..4, [0; 4]);
        assert!(sent.len() < 16 << 10, "{} bytes", sent.len());
        let (mut ours, mut theirs) = duplex(1 << 20);
        theirs.write_all(&sent.repeat(3)).await.unwrap();
        let mut reader = Reader::new(LENGTH, Compression::Deflate, &[]);
        let share = Arc::<MemoryBudget>::default().share(Use::Input);
        for _ in 0..3 {
            let (mut polls, mut most) = (0, 0);
            let batch = poll_fn(|context| {
                polls += 1;
                let batch = reader.poll_batch(&mut ours, &limits, &share, context);
                most = most.max(share.bytes());
                batch
            });
            let batch = batch.await;
            assert_eq!(batch.messages.iter().map(|message| message.as_bytes().len()).collect::<Vec<_>>(), [LENGTH]);
            assert!(polls >= 8, "{polls} polls");
            assert!(most >= LENGTH, "{most} bytes were counted");
        }
        reader.recount(&share);
        assert_eq!((share.bytes(), reader.held()), (0, 0));
    }

    #[tokio::test]
    async fn an_idle_socket_is_drained_and_a_closed_one_is_lost() {
        let limits = AppLimits::default();
        let (mut ours, mut theirs) = duplex(1 << 10);
        let mut reader = Reader::new(100, Compression::None, &[]);
        theirs.write_all(&frame(0x81, b"a")).await.unwrap();
        let first = batch(&mut reader, &mut ours, &limits).await;
        assert_eq!((texts(&first), first.is_drained), (vec!["a"], true));
        // A half frame is not an event.
        theirs.write_all(&frame(0x81, b"b")[..3]).await.unwrap();
        drop(theirs);
        let last = batch(&mut reader, &mut ours, &limits).await;
        assert_eq!((last.messages.len(), last.end.map(|close| close.code)), (0, Some(1006)));
    }
}
