//! The topics of an app: the subscriptions, and the delivery of published messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hassock_frames::{Deflate, Encoded, Window};
use parking_lot::{Mutex, RwLock};

use super::connection::{Close, Connection, SendError};

/// The maximum length of a topic's name in bytes. The name is stored once for each topic and once for each
/// subscription.
const MAX_NAME: usize = 256;

/// Why a call about topics failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The name is empty or longer than 256 bytes.
    #[error("a topic's name has 1 to 256 bytes")]
    InvalidName,
    /// The connection has the maximum number of subscriptions.
    #[error("the connection has `topics_per_connection` already")]
    TooMany,
    /// The connection has ended.
    #[error("the connection has ended")]
    Forgotten,
}

/// The subscribers of a topic.
#[derive(Default)]
struct Subscribers {
    /// In the order of their ids, so that messages are always delivered in the same order.
    by_id: BTreeMap<u64, Arc<Connection>>,
    /// How many of them get compressed messages, for each window.
    compressed: Forms<usize>,
}

/// Something for each form in which a published message may be compressed.
#[derive(Debug, Default)]
struct Forms<T> {
    full: T,
    small: T,
}

/// All topics of an app.
#[derive(Default)]
pub struct Topics {
    /// The inner lock is held while a message is delivered to all subscribers, so that all of them see the same order.
    by_name: RwLock<HashMap<Arc<str>, Mutex<Subscribers>>>,
}

impl Topics {
    /// Subscribe a connection. Subscribing again changes nothing.
    ///
    /// # Errors
    /// If the name is not valid, or the connection already has `most` subscriptions.
    pub fn subscribe(&self, connection: &Arc<Connection>, topic: &str, most: usize) -> Result<(), TopicError> {
        if topic.is_empty() || topic.len() > MAX_NAME {
            return Err(TopicError::InvalidName);
        }
        let mut topics = self.by_name.write();
        let mut own = connection.topics.lock();
        if connection.is_forgotten.load(Ordering::Relaxed) {
            return Err(TopicError::Forgotten);
        }
        if own.contains(topic) {
            return Ok(());
        }
        if own.len() >= most {
            return Err(TopicError::TooMany);
        }
        let name: Arc<str> = match topics.get_key_value(topic) {
            Some((name, _)) => Arc::clone(name),
            None => topic.into(),
        };
        own.insert(Arc::clone(&name));
        topics.entry(name).or_default().get_mut().add(connection);
        Ok(())
    }

    /// End a subscription, if it exists.
    pub fn unsubscribe(&self, connection: &Connection, topic: &str) {
        let mut topics = self.by_name.write();
        if connection.topics.lock().remove(topic) {
            remove(&mut topics, connection.id, topic);
        }
    }

    /// End all subscriptions of a connection.
    pub fn unsubscribe_all(&self, connection: &Connection) {
        if connection.topics.lock().is_empty() {
            return;
        }
        let mut topics = self.by_name.write();
        for topic in std::mem::take(&mut *connection.topics.lock()) {
            remove(&mut topics, connection.id, &topic);
        }
    }

    /// Queue `message` for every subscriber except `except`, and add each connection that it reached to `dirty`. A
    /// subscriber with a full outbox is closed, because it would otherwise miss a message without knowing it.
    ///
    /// Those that agreed to compression get what `compress` makes of the message, which is called once for each window that
    /// is needed.
    pub fn publish(
        &self,
        topic: &str,
        message: &Encoded,
        compress: impl Fn(&Encoded, Deflate) -> Encoded,
        except: Option<u64>,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> u32 {
        let wanted = {
            let topics = self.by_name.read();
            let Some(subscribers) = topics.get(topic) else { return 0 };
            let subscribers = subscribers.lock();
            if !subscribers.has_compressed() {
                return subscribers.deliver(|_| message, except, dirty);
            }
            subscribers.forms()
        };
        // Nobody waits for the topic while the message is compressed. Who agreed to compression reads other messages too, so
        // it does no harm if others subscribe meanwhile.
        let forms = wanted.map(|how| compress(message, how));
        let topics = self.by_name.read();
        let Some(subscribers) = topics.get(topic) else { return 0 };
        let form = |connection: &Connection| {
            let window = connection.outbox.deflate().map(|how| how.window);
            window.and_then(|window| forms.of(window).as_ref()).unwrap_or(message)
        };
        subscribers.lock().deliver(form, except, dirty)
    }

    /// How many topics and how many subscriptions there are.
    pub fn count(&self) -> (usize, usize) {
        let topics = self.by_name.read();
        (topics.len(), topics.values().map(|subscribers| subscribers.lock().by_id.len()).sum())
    }

    /// Look at the name of each topic with subscribers, and at how many it has, in any order.
    pub(crate) fn each(&self, mut look: impl FnMut(&Arc<str>, usize)) {
        self.by_name.read().iter().for_each(|(name, subscribers)| look(name, subscribers.lock().by_id.len()));
    }

    /// How many subscribers a topic has.
    pub(crate) fn subscriber_count(&self, topic: &str) -> usize {
        self.by_name.read().get(topic).map_or(0, |subscribers| subscribers.lock().by_id.len())
    }

    /// The ids of a topic's subscribers, ascending.
    pub fn subscribers(&self, topic: &str) -> Vec<u64> {
        let topics = self.by_name.read();
        topics.get(topic).map(|subscribers| subscribers.lock().by_id.keys().copied().collect()).unwrap_or_default()
    }
}

impl Subscribers {
    fn add(&mut self, connection: &Arc<Connection>) {
        self.by_id.insert(connection.id, Arc::clone(connection));
        if let Some(how) = connection.outbox.deflate() {
            *self.compressed.of_mut(how.window) += 1;
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(how) = self.by_id.remove(&id).and_then(|connection| connection.outbox.deflate()) {
            *self.compressed.of_mut(how.window) -= 1;
        }
    }

    fn has_compressed(&self) -> bool {
        self.compressed.full + self.compressed.small > 0
    }

    /// How a message is compressed for each window: as it was agreed with the first subscriber that has it.
    fn forms(&self) -> Forms<Option<Deflate>> {
        let first = |window, count| {
            let mut all = self.by_id.values().filter_map(|connection| connection.outbox.deflate());
            if count > 0 { all.find(|how| how.window == window) } else { None }
        };
        Forms { full: first(Window::Full, self.compressed.full), small: first(Window::Small, self.compressed.small) }
    }

    /// Queue a message for each subscriber except one, in the form for it.
    #[inline]
    fn deliver<'a>(
        &self,
        form: impl Fn(&Connection) -> &'a Encoded,
        except: Option<u64>,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> u32 {
        let (mut reached, mut known) = (0, 0);
        for connection in self.by_id.values().filter(|connection| Some(connection.id) != except) {
            // The payload is shared: this clones a reference, not the bytes.
            match connection.outbox.push_published(form(connection).clone()) {
                Ok(()) => reached += 1,
                Err(SendError::Full) => connection.outbox.overflow(Close::too_slow()),
                Err(SendError::OutOfMemory) => connection.outbox.overflow(Close::out_of_memory()),
                Err(SendError::Closing | SendError::TooLarge) => continue,
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

impl<T> Forms<T> {
    fn of(&self, window: Window) -> &T {
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
    fn map<U>(self, each: impl Fn(T) -> U) -> Forms<Option<U>> {
        Forms { full: self.full.map(&each), small: self.small.map(&each) }
    }
}

fn remove(topics: &mut HashMap<Arc<str>, Mutex<Subscribers>>, id: u64, topic: &str) {
    let Some(subscribers) = topics.get_mut(topic) else { return };
    let subscribers = subscribers.get_mut();
    subscribers.remove(id);
    if subscribers.by_id.is_empty() {
        topics.remove(topic);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn connection(id: u64) -> Arc<Connection> {
        Arc::new(Connection::new(id, 200))
    }

    fn publish(topics: &Topics, except: Option<u64>, dirty: &mut Vec<Arc<Connection>>) -> u32 {
        topics.publish("t", &Encoded::text("hello"), |message, how| message.clone().deflated(how), except, dirty)
    }

    #[test]
    fn a_topic_lives_as_long_as_it_has_subscribers() {
        let topics = Topics::default();
        let (one, two) = (connection(1), connection(2));
        topics.subscribe(&two, "room", 2).unwrap();
        topics.subscribe(&one, "room", 2).unwrap();
        topics.subscribe(&one, "room", 2).unwrap();
        assert_eq!(topics.subscribers("room"), [1, 2]);
        topics.unsubscribe(&one, "room");
        topics.unsubscribe_all(&two);
        assert!(topics.by_name.read().is_empty());
    }

    /// A call of another connection found it a moment before it ended.
    #[test]
    fn a_connection_that_has_ended_is_not_subscribed_again() {
        let topics = Topics::default();
        let one = connection(1);
        topics.subscribe(&one, "room", 2).unwrap();
        one.is_forgotten.store(true, Ordering::Relaxed);
        topics.unsubscribe_all(&one);
        assert_eq!(topics.subscribe(&one, "room", 2), Err(TopicError::Forgotten));
        assert!(topics.by_name.read().is_empty());
    }

    #[test]
    fn names_and_numbers_are_bounded() {
        let topics = Topics::default();
        let one = connection(1);
        assert_eq!(topics.subscribe(&one, "", 1), Err(TopicError::InvalidName));
        assert_eq!(topics.subscribe(&one, &"x".repeat(257), 1), Err(TopicError::InvalidName));
        topics.subscribe(&one, "a", 1).unwrap();
        assert_eq!(topics.subscribe(&one, "b", 1), Err(TopicError::TooMany));
    }

    #[test]
    fn a_slow_subscriber_is_closed_and_others_get_the_message() {
        let topics = Topics::default();
        let (slow, fast) = (connection(1), connection(2));
        topics.subscribe(&slow, "t", 1).unwrap();
        topics.subscribe(&fast, "t", 1).unwrap();
        slow.outbox.push(Encoded::text(&"x".repeat(100))).unwrap();
        let mut dirty = Vec::new();
        assert_eq!(publish(&topics, None, &mut dirty), 1);
        assert_eq!(dirty.len(), 2, "both have something to do");
        assert_eq!(slow.outbox.push(Encoded::text("")), Err(SendError::Closing));
        assert_eq!(publish(&topics, Some(2), &mut dirty), 0);
    }

    fn queued(connection: &Connection) -> Encoded {
        let mut taken = VecDeque::new();
        connection.outbox.next(&mut taken);
        assert_eq!(taken.len(), 1);
        taken.pop_front().unwrap()
    }

    #[test]
    fn a_message_is_compressed_once_for_all_that_agreed_to_the_same() {
        let topics = Topics::default();
        let how = |window| Some(Deflate { window, level: 2, min_bytes: 10 });
        let agreed = [None, how(Window::Full), how(Window::Small), how(Window::Full), None, how(Window::Small)];
        let connections: Vec<_> =
            (1..).zip(agreed).map(|(id, deflate)| Arc::new(Connection::new(id, 10_000).deflating(deflate))).collect();
        connections.iter().for_each(|connection| topics.subscribe(connection, "t", 1).unwrap());
        let message = Encoded::text(&"hello ".repeat(500));
        let compressed = Mutex::new(Vec::new());
        let publish = || {
            let compress = |message: &Encoded, how: Deflate| {
                compressed.lock().push(how.window);
                message.clone().deflated(how)
            };
            topics.publish("t", &message, compress, None, &mut Vec::new())
        };
        assert_eq!(publish(), 6);
        assert_eq!(*compressed.lock(), [Window::Full, Window::Small], "each once");
        let queued: Vec<Encoded> = connections.iter().map(|connection| queued(connection)).collect();
        let address = |message: &Encoded| message.as_bytes().as_ptr();
        for (one, other) in [(0, 4), (1, 3), (2, 5)] {
            assert_eq!(address(&queued[one]), address(&queued[other]), "{one} and {other} have the same memory");
        }
        assert_eq!(address(&queued[0]), address(&message));
        assert!(queued[1] != queued[2] && queued.iter().all(|queued| queued.clone().inflated() == message));
        // Nobody is left that could read it.
        connections.iter().filter(|one| one.outbox.deflate().is_some()).for_each(|one| topics.unsubscribe_all(one));
        assert_eq!((publish(), compressed.lock().len()), (2, 2));
    }
}
