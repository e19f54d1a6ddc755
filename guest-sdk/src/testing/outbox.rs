//! The outbox of a connection, with the limits and the errors of the host's outbox.

use crate::{Closing, Message};

/// The bytes that the host counts for a message besides its payload.
const MESSAGE_OVERHEAD: usize = 64;

/// Why nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendError {
    Full,
    TooLarge,
    Closing,
}

#[derive(Debug)]
pub(super) struct Outbox {
    limit: usize,
    messages: Vec<Message>,
    bytes: usize,
    /// The client reads nothing.
    stalled: bool,
    close: Option<Closing>,
    /// No more messages are accepted.
    shut: bool,
}

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, messages: Vec::new(), bytes: 0, stalled: false, close: None, shut: false }
    }

    /// Queue messages: all, or none.
    pub(super) fn push(&mut self, messages: &[Message]) -> Result<(), SendError> {
        if self.shut || self.close.is_some() {
            return Err(SendError::Closing);
        }
        let bytes: usize = messages.iter().map(|message| message.as_bytes().len() + MESSAGE_OVERHEAD).sum();
        let largest = self.limit + MESSAGE_OVERHEAD;
        if bytes > largest {
            return Err(SendError::TooLarge);
        }
        if self.bytes + bytes > if self.bytes == 0 { largest } else { self.limit } {
            return Err(SendError::Full);
        }
        self.bytes += bytes;
        self.messages.extend_from_slice(messages);
        Ok(())
    }

    /// How full the outbox is, in percent.
    pub(super) fn fullness(&self) -> u8 {
        u8::try_from(self.bytes * 100 / self.limit).unwrap_or(100).min(100)
    }

    /// Close after what is queued has been read. The first close counts.
    pub(super) fn close(&mut self, closing: Closing) -> Result<(), SendError> {
        if self.shut || self.close.is_some() {
            return Err(SendError::Closing);
        }
        self.close = Some(closing);
        Ok(())
    }

    /// Close, and drop what is queued: the client does not read it anyway.
    pub(super) fn overflow(&mut self, closing: Closing) {
        self.messages.clear();
        self.close.get_or_insert(closing);
    }

    pub(super) fn closing(&self) -> Option<&Closing> {
        self.close.as_ref().filter(|_| !self.shut)
    }

    /// The client reads nothing, and the outbox has run full.
    pub(super) fn fill(&mut self) {
        self.stalled = true;
        self.bytes = self.limit;
    }

    /// The client reads again.
    pub(super) fn resume(&mut self) {
        if std::mem::take(&mut self.stalled) {
            self.bytes = 0;
        }
    }

    /// What the client reads now.
    pub(super) fn take(&mut self) -> Vec<Message> {
        if self.stalled {
            return Vec::new();
        }
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }

    /// Accept no more messages, and drop what is queued.
    pub(super) fn shut(&mut self) {
        self.shut = true;
        self.messages.clear();
    }
}
