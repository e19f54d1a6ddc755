//! Tails: what is published to a topic, as an operator sees it with `hassock tail`. A tail is not a subscriber. Without one, a
//! publish costs one load more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use hassock_frames::Encoded;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::client_protocol::Position;

/// Bytes that a message counts in addition to its payload, for its entry in the queue.
const OVERHEAD: usize = 64;

/// The tails of an app.
#[derive(Default)]
pub(crate) struct Tails {
    /// How many there are, so that a publish need not lock anything to see that there are none.
    count: AtomicUsize,
    all: Mutex<Vec<Arc<Tail>>>,
}

/// One tail: the messages that its reader has not taken yet.
pub(crate) struct Tail {
    topic: String,
    /// How many bytes may wait for the reader.
    most: usize,
    queue: Mutex<Queue>,
    changed: Notify,
}

/// A message that was published.
pub(crate) struct Seen {
    /// When.
    pub(crate) at: SystemTime,
    /// The message.
    pub(crate) message: Encoded,
    /// For how many subscribers it was queued.
    pub(crate) reached: u32,
    /// Its position, if the topic keeps it.
    pub(crate) position: Option<Position>,
}

/// What a reader finds.
pub(crate) enum Found {
    /// The next message.
    Seen(Seen),
    /// There is none yet.
    Nothing,
    /// More bytes waited than may. What came before was found.
    TooSlow,
    /// The app is gone.
    Gone,
}

#[derive(Default)]
struct Queue {
    seen: VecDeque<Seen>,
    bytes: usize,
    is_too_slow: bool,
    is_gone: bool,
}

impl Tails {
    /// Begin to see what is published to a topic. At most so many bytes may wait for the reader.
    pub(crate) fn start(&self, topic: &str, most: usize) -> Arc<Tail> {
        let tail = Tail { topic: topic.to_owned(), most, queue: Mutex::default(), changed: Notify::new() };
        let tail = Arc::new(tail);
        let mut all = self.all.lock();
        all.push(Arc::clone(&tail));
        self.count.store(all.len(), Ordering::Relaxed);
        tail
    }

    /// The reader is gone.
    pub(crate) fn stop(&self, tail: &Arc<Tail>) {
        let mut all = self.all.lock();
        all.retain(|other| !Arc::ptr_eq(other, tail));
        self.count.store(all.len(), Ordering::Relaxed);
    }

    /// The app is no longer in the config.
    pub(crate) fn end(&self) {
        for tail in &*self.all.lock() {
            tail.queue.lock().is_gone = true;
            tail.changed.notify_one();
        }
    }

    /// A message was published.
    #[inline]
    pub(super) fn published(&self, topic: &str, message: &Encoded, reached: u32, position: Option<Position>) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.show(topic, message, reached, position);
        }
    }

    #[cold]
    fn show(&self, topic: &str, message: &Encoded, reached: u32, position: Option<Position>) {
        for tail in self.all.lock().iter().filter(|tail| tail.topic == topic) {
            tail.put(Seen { at: SystemTime::now(), message: message.clone(), reached, position });
        }
    }
}

impl Tail {
    /// The next message.
    pub(crate) fn next(&self) -> Found {
        let mut queue = self.queue.lock();
        match queue.seen.pop_front() {
            Some(seen) => {
                queue.bytes -= size(&seen);
                Found::Seen(seen)
            }
            None if queue.is_too_slow => Found::TooSlow,
            None if queue.is_gone => Found::Gone,
            None => Found::Nothing,
        }
    }

    /// Wait until there may be more than at the last look.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// How many bytes may wait for the reader.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    fn put(&self, seen: Seen) {
        let mut queue = self.queue.lock();
        let bytes = size(&seen);
        // After a message that is missing, none would be true.
        if queue.is_too_slow || queue.bytes + bytes > self.most {
            queue.is_too_slow = true;
        } else {
            queue.bytes += bytes;
            queue.seen.push_back(seen);
        }
        drop(queue);
        self.changed.notify_one();
    }
}

fn size(seen: &Seen) -> usize {
    seen.message.payload_len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(tail: &Tail) -> Vec<String> {
        let next = || match tail.next() {
            Found::Seen(seen) => Some(seen.message.as_text().unwrap().to_owned()),
            _ => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[tokio::test]
    async fn a_tail_sees_its_topic_from_its_beginning_to_its_end() {
        let tails = Tails::default();
        let publish = |topic: &str, text: &str| tails.published(topic, &Encoded::text(text), 0, None);
        publish("news", "before");
        let (one, other) = (tails.start("news", 1000), tails.start("sport", 1000));
        publish("news", "one");
        publish("news", "two");
        publish("sport", "goal");
        one.changed().await;
        assert_eq!((texts(&one), texts(&other)), (vec!["one".to_owned(), "two".to_owned()], vec!["goal".to_owned()]));
        tails.stop(&one);
        publish("news", "after");
        assert!(texts(&one).is_empty() && tails.count.load(Ordering::Relaxed) == 1);
        tails.end();
        other.changed().await;
        assert!(matches!(other.next(), Found::Gone));
    }

    #[test]
    fn a_reader_that_is_too_slow_gets_what_came_before_and_no_more() {
        let tails = Tails::default();
        let tail = tails.start("news", 2 * (OVERHEAD + 10));
        for text in ["0123456789", "abcdefghij", "x", ""] {
            tails.published("news", &Encoded::text(text), 1, None);
        }
        assert_eq!(texts(&tail), ["0123456789", "abcdefghij"]);
        assert!(matches!(tail.next(), Found::TooSlow));
        tails.published("news", &Encoded::text("y"), 1, None);
        assert!(matches!(tail.next(), Found::TooSlow), "it does not begin again");
    }
}
