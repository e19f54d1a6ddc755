//! The live subscribers of a topic, and the delivery of a message to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hassock_frames::{Deflate, Encoded, Window};

use crate::app::connection::{Connection, SendError};

/// The subscribers of a topic that get each message when it is published.
#[derive(Default)]
pub(super) struct Subscribers {
    /// In the order of their ids, so that messages are always delivered in the same order.
    pub(super) by_id: BTreeMap<u64, Arc<Connection>>,
    /// How many of them get compressed messages, for each window.
    compressed: Forms<usize>,
    /// How many of them speak the client protocol.
    speaking: usize,
}

/// Something for each form in which a published message may be compressed.
#[derive(Debug, Default)]
pub(super) struct Forms<T> {
    pub(super) full: T,
    pub(super) small: T,
}

/// The forms of one message.
pub(super) struct Message<'a> {
    pub(super) plain: &'a Encoded,
    /// The compressed forms that subscribers had a moment ago.
    pub(super) compressed: &'a Forms<Option<Encoded>>,
}

impl Subscribers {
    pub(super) fn add(&mut self, connection: &Arc<Connection>) {
        if self.by_id.insert(connection.id, Arc::clone(connection)).is_some() {
            return;
        }
        self.speaking += usize::from(connection.speaks());
        if let Some(how) = connection.outbox.deflate() {
            *self.compressed.of_mut(how.window) += 1;
        }
    }

    /// Remove a subscriber. False if it was none.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        let Some(connection) = self.by_id.remove(&id) else { return false };
        self.speaking -= usize::from(connection.speaks());
        if let Some(how) = connection.outbox.deflate() {
            *self.compressed.of_mut(how.window) -= 1;
        }
        true
    }

    pub(super) fn has_compressed(&self) -> bool {
        self.compressed.full + self.compressed.small > 0
    }

    pub(super) fn has_speaking(&self) -> bool {
        self.speaking > 0
    }

    /// How a message is compressed for each window: as it was agreed with the first subscriber that has it.
    pub(super) fn forms(&self) -> Forms<Option<Deflate>> {
        let first = |window, count| {
            let mut all = self.by_id.values().filter_map(|connection| connection.outbox.deflate());
            if count > 0 { all.find(|how| how.window == window) } else { None }
        };
        Forms { full: first(Window::Full, self.compressed.full), small: first(Window::Small, self.compressed.small) }
    }

    /// Queue a message for each subscriber except one, in the form for it. There is no form if the host has no memory for it.
    /// If the message is kept, `late` gets those whose outbox is full, and whose connection goes on when their network fails, as it may
    /// just have done: they get it later.
    #[inline]
    pub(super) fn deliver<'a>(
        &self,
        form: impl Fn(&Connection) -> Option<&'a Encoded>,
        except: Option<u64>,
        mut late: Option<&mut Vec<Arc<Connection>>>,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> u32 {
        let (mut reached, mut known) = (0, 0);
        for connection in self.by_id.values().filter(|connection| Some(connection.id) != except) {
            // The payload is shared: this clones a reference, not the bytes.
            let queued = match form(connection) {
                Some(message) => connection.outbox.push_published(message.clone()),
                None => Err(SendError::OutOfMemory),
            };
            match queued {
                Ok(()) => reached += 1,
                Err(SendError::Closing) => continue,
                Err(SendError::Full) if late.is_some() && connection.resumption().is_some() => {
                    late.iter_mut().for_each(|late| late.push(Arc::clone(connection)));
                    continue;
                }
                // Too large: its outbox is still that of a config before.
                Err(error) => connection.outbox.fail(error),
            }
            // A call often publishes to the same topic again, whose subscribers are dirty in the same order.
            match dirty.get(known) {
                Some(dirty) if Arc::ptr_eq(dirty, connection) => {}
                _ => dirty.push(Arc::clone(connection)),
            }
            known += 1;
        }
        reached
    }
}

impl Message<'_> {
    /// The form for a connection, without a header.
    pub(super) fn form(&self, connection: &Connection) -> &Encoded {
        let window = connection.outbox.deflate().map(|how| how.window);
        window.and_then(|window| self.compressed.of(window).as_ref()).unwrap_or(self.plain)
    }
}

impl<T> Forms<T> {
    pub(super) fn of(&self, window: Window) -> &T {
        match window {
            Window::Full => &self.full,
            Window::Small => &self.small,
        }
    }

    fn of_mut(&mut self, window: Window) -> &mut T {
        match window {
            Window::Full => &mut self.full,
            Window::Small => &mut self.small,
        }
    }
}

impl<T> Forms<Option<T>> {
    pub(super) fn map<U>(self, each: impl Fn(T) -> U) -> Forms<Option<U>> {
        Forms { full: self.full.map(&each), small: self.small.map(&each) }
    }
}
