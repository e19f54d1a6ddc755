//! What a client has been sent and has not confirmed: it gets it again if its network fails, and it comes back.

use std::collections::VecDeque;
use std::sync::Arc;

use hassock_frames::Encoded;

use super::outbox::{MESSAGE_OVERHEAD, Published, in_memory, size};
use crate::memory_budget::{MemoryBudget, OutOfMemory, Share, Use};

/// The messages that were written, or are being written, and that the client has not confirmed. They are counted from the
/// first message of the connection. If there is no memory for them, or the client does not confirm anything, they are given up,
/// and the client cannot come back before it has confirmed something later.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    messages: VecDeque<Entry>,
    /// The number of messages before the first of them.
    before: u64,
    /// The number of messages with them.
    sent: u64,
    /// What they count, as in an outbox.
    bytes: usize,
    /// The part of them that is in memory for this client alone.
    own: usize,
    limit: usize,
    share: Share,
    /// The client was asked to confirm what it has.
    is_asked: bool,
    /// Nothing is kept until the client says what it has.
    is_given_up: bool,
}

#[derive(Debug)]
struct Entry {
    messages: Encoded,
    own: usize,
    /// If it was published, and is not short.
    published: Option<Published>,
}

impl Unconfirmed {
    pub(super) fn new(limit: usize, memory: &Arc<MemoryBudget>) -> Self {
        let share = memory.share(Use::Outbox);
        Self {
            messages: VecDeque::new(),
            before: 0,
            sent: 0,
            bytes: 0,
            own: 0,
            limit,
            share,
            is_asked: false,
            is_given_up: false,
        }
    }

    /// These are about to be written. `published` are those among them that were published and are not short, in the same
    /// order. Returns whether the client is to be asked what it has.
    pub(super) fn add<'a>(
        &mut self,
        messages: impl Iterator<Item = &'a Encoded>,
        published: impl Iterator<Item = Published>,
    ) -> bool {
        if self.is_given_up {
            self.sent += messages.map(|messages| messages.frames() as u64).sum::<u64>();
            self.before = self.sent;
            return false;
        }
        let mut published = published.peekable();
        for messages in messages {
            let address = messages.as_bytes().as_ptr().addr();
            let published = published.next_if(|published| published.address == address);
            // What was published counts once, however many clients have it.
            let own = if published.is_some() { MESSAGE_OVERHEAD } else { in_memory(messages) };
            self.sent += messages.frames() as u64;
            self.bytes += size(messages);
            self.own += own;
            self.messages.push_back(Entry { messages: messages.clone(), own, published });
        }
        if self.share.resize(self.own) == Err(OutOfMemory) {
            self.give_up();
            return false;
        }
        self.bytes > self.limit / 2 && self.ask()
    }

    /// Returns whether the client is to be asked what it has: it was not, or has answered since.
    pub(super) fn ask(&mut self) -> bool {
        !std::mem::replace(&mut self.is_asked, true)
    }

    /// Whether so much is not confirmed that the client should get nothing more before it has answered.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.limit
    }

    /// The client has so many messages. False if it cannot get the others: it has more than were sent, or fewer than are
    /// known, or than were sent when nothing was kept.
    pub(super) fn confirm(&mut self, received: u64) -> bool {
        // It has answered, whatever that is worth.
        self.is_asked = false;
        if received > self.sent {
            return false;
        }
        // It counts, so what comes from now on is kept again.
        self.is_given_up = false;
        if received < self.before {
            return false;
        }
        while self.messages.front().is_some_and(|first| self.before + first.count() <= received) {
            self.forget_first();
        }
        // Less is never refused.
        let _ = self.share.resize(self.own);
        true
    }

    /// What a client with so many messages, which it has just [confirmed](Self::confirm), has to get again.
    pub(super) fn rest(&self, received: u64) -> VecDeque<Encoded> {
        // The first ones may have been sent together, and arrived in part.
        let surplus = usize::try_from(received.saturating_sub(self.before)).unwrap_or(usize::MAX);
        let mut entries = self.messages.iter();
        let first = entries.next().into_iter().flat_map(|first| first.messages.split().skip(surplus));
        first.chain(entries.map(|entry| entry.messages.clone())).collect()
    }

    /// Whether nothing is kept.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// How many bytes are in memory for this client alone, and the messages that others may have too.
    pub(super) fn memory(&self) -> (usize, Vec<Published>) {
        (self.own, self.messages.iter().filter_map(|entry| entry.published).collect())
    }

    /// Keep nothing any more. Returns how many bytes that frees.
    pub(super) fn give_up(&mut self) -> usize {
        let own = self.own;
        while self.forget_first() {}
        self.messages = VecDeque::new();
        (self.is_given_up, self.is_asked, self.before) = (true, false, self.sent);
        // Less is never refused.
        let _ = self.share.resize(0);
        own
    }

    fn forget_first(&mut self) -> bool {
        let Some(first) = self.messages.pop_front() else { return false };
        self.before += first.count();
        self.bytes -= size(&first.messages);
        self.own -= first.own;
        true
    }
}

impl Entry {
    fn count(&self) -> u64 {
        self.messages.frames() as u64
    }
}

#[cfg(test)]
mod tests {
    use hassock_frames::Payload;

    use super::*;

    fn unconfirmed(limit: usize) -> Unconfirmed {
        Unconfirmed::new(limit, &Arc::default())
    }

    fn texts(messages: &VecDeque<Encoded>) -> Vec<String> {
        let each = messages.iter().flat_map(Encoded::split);
        each.map(|message| message.as_text().expect("all are texts").to_owned()).collect()
    }

    fn add(unconfirmed: &mut Unconfirmed, some: &[&str]) -> bool {
        let messages = Encoded::messages(some.iter().map(|text| Payload::text(text)));
        unconfirmed.add([&messages].into_iter(), std::iter::empty())
    }

    #[test]
    fn a_client_gets_what_it_has_not_confirmed() {
        let mut unconfirmed = unconfirmed(1 << 20);
        add(&mut unconfirmed, &["a", "b", "c"]);
        add(&mut unconfirmed, &["d"]);
        for (received, rest) in [(0, "abcd"), (1, "bcd"), (2, "cd"), (3, "d"), (4, "")] {
            assert!(unconfirmed.confirm(received));
            assert_eq!(texts(&unconfirmed.rest(received)).concat(), rest);
        }
        add(&mut unconfirmed, &["e"]);
        assert!(!unconfirmed.confirm(6), "the client says that it has what was never sent");
        assert!(!unconfirmed.confirm(3), "what it has confirmed is gone");
        assert!(unconfirmed.confirm(4));
        assert_eq!(texts(&unconfirmed.rest(4)), ["e"]);
        assert!(unconfirmed.give_up() > 0);
        assert_eq!((unconfirmed.bytes, unconfirmed.own, unconfirmed.share.bytes()), (0, 0, 0));
        add(&mut unconfirmed, &["f"]);
        assert!(unconfirmed.is_given_up());
        assert!(!unconfirmed.confirm(5) && !unconfirmed.is_given_up(), "what comes from now on is kept");
        add(&mut unconfirmed, &["g"]);
        assert!(!unconfirmed.confirm(5), "that is gone");
        assert!(unconfirmed.confirm(6));
        assert_eq!(texts(&unconfirmed.rest(6)), ["g"]);
    }

    #[test]
    fn a_client_is_asked_at_half_of_the_bound_and_gets_nothing_beyond_it_before_it_answers() {
        let mut unconfirmed = unconfirmed(10 * (MESSAGE_OVERHEAD + 1));
        let asked: Vec<_> = (0..9).map(|_| add(&mut unconfirmed, &["a"])).collect();
        assert_eq!(asked.iter().position(|asked| *asked), Some(5));
        assert_eq!(asked.iter().filter(|asked| **asked).count(), 1, "it is asked once");
        assert!(!unconfirmed.is_full());
        add(&mut unconfirmed, &["b"]);
        assert!(unconfirmed.is_full());
        assert_eq!(texts(&unconfirmed.rest(0)).concat(), "aaaaaaaaab", "nothing is forgotten");
        assert!(!unconfirmed.ask(), "it has not answered yet");
        assert!(unconfirmed.confirm(0) && unconfirmed.is_full(), "an answer that says nothing new changes nothing");
        assert!(unconfirmed.ask() && !unconfirmed.ask(), "so it is asked again");
        assert!(unconfirmed.confirm(9));
        assert!(!unconfirmed.is_full());
        (0..4).for_each(|_| assert!(!add(&mut unconfirmed, &["c"])));
        assert!(add(&mut unconfirmed, &["c"]), "it is asked again");
    }

    #[test]
    fn without_memory_nothing_is_kept_and_no_other_connection_is_harmed() {
        let mut unconfirmed = Unconfirmed::new(1 << 30, &MemoryBudget::new(64 << 10));
        let long = "x".repeat(10 << 10);
        for _ in 0..10 {
            add(&mut unconfirmed, &[&long]);
        }
        assert!(unconfirmed.is_given_up && !unconfirmed.confirm(0));
        assert_eq!((unconfirmed.bytes, unconfirmed.share.bytes()), (0, 0));
    }

    #[test]
    fn what_was_published_counts_once_for_all_clients() {
        let mut unconfirmed = unconfirmed(1 << 20);
        let (own, published) = (Encoded::text(&"x".repeat(5_000)), Encoded::text(&"y".repeat(5_000)));
        let address = published.as_bytes().as_ptr().addr();
        let known = Published { address, bytes: published.as_bytes().len() };
        unconfirmed.add([&own, &published].into_iter(), std::iter::once(known));
        assert_eq!(unconfirmed.memory(), (in_memory(&own) + MESSAGE_OVERHEAD, vec![known]));
    }
}
