//! The queue of an outbox, and what it counts.

use std::collections::VecDeque;
use std::sync::Arc;

use hassock_frames::Encoded;

use super::{Published, SendError};
use crate::app::connection::close::Close;
use crate::memory_budget::{MemoryBudget, OutOfMemory, Share, Use};

/// What waits to be written.
pub(super) struct Queue {
    pub(super) messages: VecDeque<Encoded>,
    /// Bytes that are queued, or taken and not written yet: the memory that this client uses.
    pub(super) bytes: usize,
    /// The part of these bytes that was taken and is being written.
    pub(super) taken: usize,
    /// The part of `bytes` that counts for the memory budget here: a published message counts on its own, once.
    pub(super) own: usize,
    pub(super) taken_own: usize,
    /// The published messages that are not short, first those that were taken.
    pub(super) published: Vec<Published>,
    pub(super) taken_published: u32,
    pub(super) share: Share,
    /// Boxed, because each connection would keep the room for it.
    pub(super) close: Option<Box<Close>>,
    /// Messages are not accepted any more; the session is ending or has ended.
    pub(super) shut: bool,
}

impl Queue {
    pub(super) fn new(memory: &Arc<MemoryBudget>) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            taken: 0,
            own: 0,
            taken_own: 0,
            published: Vec::new(),
            taken_published: 0,
            share: memory.share(Use::Outbox),
            close: None,
            shut: false,
        }
    }

    #[inline]
    pub(super) fn is_closing(&self) -> bool {
        self.shut || self.close.is_some()
    }

    #[inline]
    pub(super) fn push(&mut self, messages: Encoded, bytes: usize, own: usize) -> Result<(), SendError> {
        if messages.frames() > 0 {
            self.share.resize(self.own + own).map_err(|OutOfMemory| SendError::OutOfMemory)?;
            self.bytes += bytes;
            self.own += own;
            self.messages.push_back(messages);
        }
        Ok(())
    }

    /// What was not taken yet is not written.
    pub(super) fn drop_messages(&mut self) {
        self.messages = VecDeque::new();
        (self.bytes, self.own) = (self.taken, self.taken_own);
        self.published.truncate(self.taken_published as usize);
        self.recount();
    }

    /// What was taken is written, or is not to be written any more.
    #[inline]
    pub(super) fn release_taken(&mut self) {
        self.bytes -= std::mem::take(&mut self.taken);
        self.own -= std::mem::take(&mut self.taken_own);
        self.forget_written();
        self.recount();
    }

    /// The published messages that were taken are not in memory here any more.
    pub(super) fn forget_written(&mut self) {
        let taken = std::mem::take(&mut self.taken_published) as usize;
        if taken == self.published.len() {
            // An idle connection keeps no room for them.
            self.published = Vec::new();
        } else {
            self.published.drain(..taken);
        }
    }

    /// There is less than before.
    #[inline]
    pub(super) fn recount(&mut self) {
        // Less is never refused.
        let _ = self.share.resize(self.own);
    }
}
