//! The outbox of a connection: messages that modules have sent and that the socket has not taken yet. Its size is
//! bounded in bytes.

use std::collections::VecDeque;

use hassock_frames::Encoded;
use parking_lot::Mutex;

use super::close::Close;

/// Bytes that the outbox counts for a message in addition to its payload, for the queue entry and the frame header.
/// Without them, the limit would not bound the number of empty messages.
const MESSAGE_OVERHEAD: usize = 64;

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The outbox has not enough free space now.
    Full,
    /// The message does not fit even into an empty outbox.
    TooLarge,
    /// The connection is closing.
    Closing,
}

/// Messages that wait to be sent to one client.
pub struct Outbox {
    queue: Mutex<Queue>,
    limit: usize,
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

#[derive(Default)]
struct Queue {
    messages: VecDeque<Encoded>,
    /// Bytes that are queued, or taken and not written yet: the memory that this client uses.
    bytes: usize,
    /// The part of these bytes that was taken and is being written.
    taken: usize,
    close: Option<Close>,
    /// Messages are not accepted any more; the session is ending or has ended.
    shut: bool,
}

impl Outbox {
    /// An outbox for at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { queue: Mutex::default(), limit }
    }

    /// Queue all messages in order, or none of them.
    ///
    /// # Errors
    /// If they do not fit, or the connection is closing.
    pub fn push(&self, messages: impl IntoIterator<Item = Encoded, IntoIter: Clone>) -> Result<(), SendError> {
        let messages = messages.into_iter();
        let bytes: usize = messages.clone().map(|message| message.payload_len() + MESSAGE_OVERHEAD).sum();
        self.push_sized(messages, bytes)
    }

    /// Queue one message.
    ///
    /// # Errors
    /// The same as for [`push`](Self::push).
    pub fn push_one(&self, message: Encoded) -> Result<(), SendError> {
        let bytes = message.payload_len() + MESSAGE_OVERHEAD;
        self.push_sized(std::iter::once(message), bytes)
    }

    fn push_sized(&self, messages: impl Iterator<Item = Encoded>, bytes: usize) -> Result<(), SendError> {
        let mut queue = self.queue.lock();
        if queue.shut || queue.close.is_some() {
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
        queue.bytes += bytes;
        queue.messages.extend(messages);
        Ok(())
    }

    /// How full the outbox is, in percent of its limit.
    pub fn fullness(&self) -> u8 {
        u8::try_from(self.queue.lock().bytes * 100 / self.limit).unwrap_or(100).min(100)
    }

    /// Close the connection after the queued messages have been written. The first close counts.
    ///
    /// # Errors
    /// If the connection is already closing.
    pub fn close(&self, close: Close) -> Result<(), SendError> {
        let mut queue = self.queue.lock();
        if queue.shut || queue.close.is_some() {
            return Err(SendError::Closing);
        }
        queue.close = Some(close);
        Ok(())
    }

    /// Close the connection and drop the queued messages, because the client does not read them anyway.
    pub fn overflow(&self, close: Close) {
        let mut queue = self.queue.lock();
        queue.messages.clear();
        queue.bytes = queue.taken;
        queue.close.get_or_insert(close);
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
        queue.bytes -= std::mem::take(&mut queue.taken);
        if !queue.messages.is_empty() {
            std::mem::swap(&mut queue.messages, messages);
            queue.taken = queue.bytes;
            return Next::Messages;
        }
        match queue.close.take() {
            Some(close) => {
                queue.shut = true;
                Next::Close(close)
            }
            None => Next::Nothing,
        }
    }

    /// Whether there are messages to take.
    pub(crate) fn has_messages(&self) -> bool {
        !self.queue.lock().messages.is_empty()
    }

    /// The close that was requested, even if messages are queued before it.
    pub(crate) fn take_close(&self) -> Option<Close> {
        self.queue.lock().close.take()
    }

    /// Accept no more messages, and drop the queued ones.
    pub fn shut(&self) {
        let mut queue = self.queue.lock();
        queue.shut = true;
        queue.messages = VecDeque::new();
        queue.bytes = queue.taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Encoded {
        Encoded::text(&"x".repeat(bytes))
    }

    #[test]
    fn the_limit_holds_until_the_bytes_are_written() {
        let outbox = Outbox::new(1000);
        assert_eq!((outbox.push_one(text(436)), outbox.fullness()), (Ok(()), 50));
        assert_eq!((outbox.push_one(text(436)), outbox.fullness()), (Ok(()), 100));
        assert_eq!(outbox.push_one(text(0)), Err(SendError::Full));
        let mut taken = VecDeque::new();
        outbox.next(&mut taken);
        assert_eq!(taken.len(), 2);
        assert_eq!(outbox.push_one(text(0)), Err(SendError::Full), "what was taken is not written yet");
        taken.clear();
        outbox.next(&mut taken);
        assert_eq!((outbox.push_one(text(0)), outbox.fullness()), (Ok(()), 6));
    }

    #[test]
    fn a_message_as_large_as_the_limit_fits_into_an_empty_outbox() {
        let outbox = Outbox::new(1000);
        assert_eq!(outbox.push_one(text(1001)), Err(SendError::TooLarge));
        assert_eq!((outbox.push_one(text(1000)), outbox.fullness()), (Ok(()), 100));
        assert_eq!(outbox.push_one(text(0)), Err(SendError::Full));
    }

    #[test]
    fn empty_messages_are_not_free() {
        let outbox = Outbox::new(640);
        let sent = std::iter::repeat_with(|| outbox.push_one(text(0))).take_while(Result::is_ok).count();
        assert_eq!(sent, 10);
    }

    #[test]
    fn a_filled_one_is_full_until_the_session_writes() {
        let outbox = Outbox::new(1000);
        outbox.push_one(text(100)).unwrap();
        outbox.fill();
        assert_eq!(outbox.push_one(text(0)), Err(SendError::Full));
        let mut taken = VecDeque::new();
        outbox.next(&mut taken);
        taken.clear();
        outbox.next(&mut taken);
        assert_eq!((outbox.push_one(text(936)), outbox.fullness()), (Ok(()), 100));
    }

    #[test]
    fn several_go_together_or_not_at_all() {
        let outbox = Outbox::new(263);
        assert_eq!(outbox.push(vec![text(100), text(100)]), Err(SendError::TooLarge));
        assert!(!outbox.has_messages());
    }

    #[test]
    fn a_close_comes_after_what_was_queued_and_ends_sending() {
        let outbox = Outbox::new(1000);
        outbox.push_one(text(1)).unwrap();
        outbox.close(Close::going_away()).unwrap();
        assert_eq!(outbox.push_one(text(1)), Err(SendError::Closing));
        assert!(matches!(outbox.next(&mut VecDeque::new()), Next::Messages));
        assert!(matches!(outbox.next(&mut VecDeque::new()), Next::Close(Close { code: 1001, .. })));
    }
}
