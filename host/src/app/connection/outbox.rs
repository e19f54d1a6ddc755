//! The outbox of a connection: messages that modules have sent and that the socket has not taken yet. Its size is
//! bounded in bytes.

mod queue;

use std::collections::VecDeque;
use std::sync::Arc;

use hassock_frames::{Compression, Deflate, Encoded};
use parking_lot::Mutex;
use queue::Queue;

use super::close::Close;
use crate::client_protocol;
use crate::memory_budget::{MemoryBudget, SHORTEST};

/// Bytes that the outbox counts for a message in addition to its payload, for the queue entry and the frame header.
/// Without them, the limit would not bound the number of empty messages.
pub(crate) const MESSAGE_OVERHEAD: usize = 64;

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The outbox has not enough free space now.
    Full,
    /// The host has no memory left now.
    OutOfMemory,
    /// The message does not fit even into an empty outbox.
    TooLarge,
    /// The connection is closing.
    Closing,
}

/// Messages that wait to be sent to one client.
pub struct Outbox {
    queue: Mutex<Queue>,
    limit: usize,
    /// If the client does not get messages as they were sent. All bounds count what the module sent.
    form: Option<Form>,
}

/// The form in which a client gets messages.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// How they are compressed, if the client agreed to that.
    deflate: Option<Deflate>,
    /// Whether the client speaks the client protocol, in which each message has a header.
    speaks: bool,
}

/// What a session does next with its socket.
#[derive(Debug)]
pub(crate) enum Next {
    /// Write these.
    Messages,
    /// Everything is written. Then close the connection.
    Close(Close),
    /// Everything is written.
    Nothing,
}

/// A published message, which is in memory once, however many outboxes it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    /// Tells it apart from the others that are in memory.
    pub(crate) address: usize,
    /// Its length.
    pub(crate) bytes: usize,
}

impl Outbox {
    /// An outbox for at most `limit` bytes.
    pub fn new(limit: usize, memory: &Arc<MemoryBudget>) -> Self {
        let queue = Queue::new(memory);
        Self { queue: Mutex::new(queue), limit, form: None }
    }

    /// The same for a client that may have agreed to compression.
    pub(crate) fn deflating(self, deflate: Option<Deflate>) -> Self {
        let Some(deflate) = deflate else { return self };
        let speaks = self.speaks();
        Self { form: Some(Form { deflate: Some(deflate), speaks }), ..self }
    }

    /// The same for a client that speaks the client protocol.
    pub(crate) fn speaking(self) -> Self {
        let deflate = self.deflate();
        Self { form: Some(Form { deflate, speaks: true }), ..self }
    }

    /// Whether the client speaks the client protocol.
    #[inline]
    pub(crate) fn speaks(&self) -> bool {
        self.form.is_some_and(|form| form.speaks)
    }

    /// How published messages are to be compressed.
    #[inline]
    pub(crate) fn deflate(&self) -> Option<Deflate> {
        self.form?.deflate
    }

    /// Whether the client may compress.
    pub(crate) fn compression(&self) -> Compression {
        if self.deflate().is_some() { Compression::Deflate } else { Compression::None }
    }

    /// Queue messages: all of them, or none.
    ///
    /// # Errors
    /// If they do not fit, or the connection is closing.
    pub fn push(&self, messages: Encoded) -> Result<(), SendError> {
        let (messages, own) = self.in_form(messages);
        self.push_counting(messages, own, None)
    }

    /// Queue a message that has a header already.
    ///
    /// # Errors
    /// If it does not fit, or the connection is closing.
    pub(crate) fn push_spoken(&self, message: Encoded) -> Result<(), SendError> {
        let own = in_memory(&message);
        self.push_counting(message, own, None)
    }

    /// Queue a message that was published, in the form for this connection. If it is not short, the memory budget counts its
    /// bytes already.
    ///
    /// # Errors
    /// If it does not fit, or the connection is closing.
    pub(crate) fn push_published(&self, message: Encoded) -> Result<(), SendError> {
        let bytes = message.as_bytes();
        if bytes.len() < SHORTEST {
            let own = in_memory(&message);
            return self.push_counting(message, own, None);
        }
        let published = Published { address: bytes.as_ptr().addr(), bytes: bytes.len() };
        self.push_counting(message, MESSAGE_OVERHEAD, Some(published))
    }

    /// The messages as this client gets them, and how many bytes of them count for the memory budget.
    #[inline]
    fn in_form(&self, messages: Encoded) -> (Encoded, usize) {
        let size = size(&messages);
        match self.form {
            // What does not fit now need not be compressed: a client that does not read would otherwise cost its module time.
            Some(form) if form.speaks || self.may_fit(size) => {
                let messages = form.of(messages);
                let own = in_memory(&messages);
                (messages, own)
            }
            _ => (messages, size),
        }
    }

    /// Whether so many bytes would be queued now. Others may use the room before that.
    fn may_fit(&self, bytes: usize) -> bool {
        let queue = self.queue.lock();
        !queue.is_closing() && (queue.bytes == 0 || queue.bytes + bytes <= self.limit)
    }

    /// Queue messages of which so many bytes count for the memory budget here.
    fn push_counting(&self, messages: Encoded, own: usize, published: Option<Published>) -> Result<(), SendError> {
        let bytes = size(&messages);
        let mut queue = self.queue.lock();
        if queue.is_closing() {
            return Err(SendError::Closing);
        }
        // The limit is also that of a message, which then has no room for the overhead.
        let largest = self.limit + MESSAGE_OVERHEAD;
        if bytes > largest {
            return Err(SendError::TooLarge);
        }
        if queue.bytes + bytes > if queue.bytes == 0 { largest } else { self.limit } {
            return Err(SendError::Full);
        }
        queue.push(messages, bytes, own)?;
        queue.published.extend(published);
        Ok(())
    }

    /// How many bytes of messages fit now. Each message counts [`MESSAGE_OVERHEAD`] bytes more than its payload.
    pub(crate) fn room(&self) -> usize {
        let queue = self.queue.lock();
        if queue.is_closing() { 0 } else { self.limit.saturating_sub(queue.bytes) }
    }

    /// Queue messages for which there was [`room`](Self::room) when a call began. Others may have used it meanwhile,
    /// but a call that was promised room keeps it, so the limit can be exceeded by that much.
    ///
    /// # Errors
    /// If the connection is closing.
    pub(crate) fn push_promised(&self, messages: Encoded) -> Result<(), SendError> {
        let bytes = size(&messages);
        let (messages, own) = self.in_form(messages);
        let mut queue = self.queue.lock();
        if queue.is_closing() {
            return Err(SendError::Closing);
        }
        queue.push(messages, bytes, own)
    }

    /// How full the outbox is, in percent of its limit.
    pub fn fullness(&self) -> u8 {
        self.filling().1
    }

    /// How many bytes are queued or being written, and how full that makes the outbox, in percent.
    pub(crate) fn filling(&self) -> (usize, u8) {
        let bytes = self.queue.lock().bytes;
        (bytes, percent(bytes, self.limit))
    }

    /// Close the connection after the queued messages have been written. The first close counts.
    ///
    /// # Errors
    /// If the connection is already closing.
    pub fn close(&self, close: Close) -> Result<(), SendError> {
        let mut queue = self.queue.lock();
        if queue.is_closing() {
            return Err(SendError::Closing);
        }
        queue.close = Some(Box::new(close));
        Ok(())
    }

    /// Close the connection and drop the queued messages, because the client does not read them anyway.
    pub fn overflow(&self, close: Close) {
        let mut queue = self.queue.lock();
        queue.drop_messages();
        queue.close.get_or_insert_with(|| Box::new(close));
    }

    /// A message that the client must not miss was not queued: close the connection, unless it closes already.
    pub(crate) fn fail(&self, error: SendError) {
        match error {
            SendError::Full | SendError::TooLarge => self.overflow(Close::too_slow()),
            SendError::OutOfMemory => self.overflow(Close::out_of_memory()),
            SendError::Closing => {}
        }
    }

    /// Whether at most half of the room is used.
    pub(crate) fn is_half_empty(&self) -> bool {
        self.queue.lock().bytes <= self.limit / 2
    }

    /// Keep nothing of what was taken either: the session does not write it any more.
    pub(crate) fn abandon(&self) {
        let mut queue = self.queue.lock();
        (queue.taken, queue.taken_own, queue.taken_published) = (0, 0, 0);
        queue.drop_messages();
    }

    /// What was taken is not being written any more, and is kept elsewhere.
    pub(crate) fn forget_taken(&self) {
        self.queue.lock().release_taken();
    }

    /// Behave as a full outbox, as if the client had read nothing for a long time, until the session next writes.
    pub fn fill(&self) {
        let mut queue = self.queue.lock();
        let free = self.limit.saturating_sub(queue.bytes);
        queue.bytes += free;
        queue.taken += free;
    }

    /// Take the messages to write next. The kernel now has the messages that were taken before, so their bytes are free
    /// again. `messages` must be empty and receives the queued messages.
    pub(crate) fn next(&self, messages: &mut VecDeque<Encoded>) -> Next {
        let mut queue = self.queue.lock();
        queue.release_taken();
        if !queue.messages.is_empty() {
            std::mem::swap(&mut queue.messages, messages);
            (queue.taken, queue.taken_own) = (queue.bytes, queue.own);
            queue.taken_published = queue.published.len() as u32;
            return Next::Messages;
        }
        match queue.close.take() {
            Some(close) => {
                queue.shut = true;
                Next::Close(*close)
            }
            None => Next::Nothing,
        }
    }

    /// The published messages among those that were taken and are being written.
    pub(super) fn taken_published(&self) -> Vec<Published> {
        let queue = self.queue.lock();
        queue.published.get(..queue.taken_published as usize).unwrap_or_default().to_vec()
    }

    /// Whether there are messages to take.
    pub(crate) fn has_messages(&self) -> bool {
        !self.queue.lock().messages.is_empty()
    }

    /// The close that was requested, even if messages are queued before it. No more messages are accepted then.
    pub(crate) fn take_close(&self) -> Option<Close> {
        let mut queue = self.queue.lock();
        let close = queue.close.take();
        queue.shut |= close.is_some();
        close.map(|close| *close)
    }

    /// Accept no more messages, and drop the queued ones.
    pub fn shut(&self) {
        let mut queue = self.queue.lock();
        queue.shut = true;
        queue.drop_messages();
    }

    /// What is queued, or being written: bytes that are in memory for this client alone, and published messages.
    pub(crate) fn memory(&self) -> (usize, Vec<Published>) {
        let queue = self.queue.lock();
        (queue.own, queue.published.clone())
    }

    /// Whether the connection is closing.
    pub(crate) fn is_closing(&self) -> bool {
        self.queue.lock().is_closing()
    }
}

impl Form {
    fn of(self, messages: Encoded) -> Encoded {
        let messages = match self.speaks {
            true => messages.with_header(client_protocol::PLAIN),
            false => messages,
        };
        match self.deflate {
            Some(how) => messages.deflated(how),
            None => messages,
        }
    }
}

fn percent(bytes: usize, limit: usize) -> u8 {
    u8::try_from(bytes * 100 / limit).unwrap_or(100).min(100)
}

/// What messages count in an outbox, in bytes.
pub(crate) fn size(messages: &Encoded) -> usize {
    messages.payload_len() + messages.frames() * MESSAGE_OVERHEAD
}

/// What messages that nobody else has count for the memory budget, in bytes.
pub(super) fn in_memory(messages: &Encoded) -> usize {
    messages.as_bytes().len() + messages.frames() * MESSAGE_OVERHEAD
}

#[cfg(test)]
mod tests;
