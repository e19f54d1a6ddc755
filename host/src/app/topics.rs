//! The topics of an app: the subscriptions, and the delivery of published messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hassock_frames::Encoded;
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

/// Subscribers in the order of their ids, so that messages are always delivered in the same order.
type Subscribers = BTreeMap<u64, Arc<Connection>>;

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
        topics.entry(name).or_default().get_mut().insert(connection.id, Arc::clone(connection));
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
    pub fn publish(
        &self,
        topic: &str,
        message: &Encoded,
        except: Option<u64>,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> u32 {
        let topics = self.by_name.read();
        let Some(subscribers) = topics.get(topic) else { return 0 };
        let subscribers = subscribers.lock();
        let (mut reached, mut known) = (0, 0);
        for connection in subscribers.values().filter(|connection| Some(connection.id) != except) {
            // The payload is shared: this clones a reference, not the bytes.
            match connection.outbox.push_published(message.clone()) {
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

    /// How many topics and how many subscriptions there are.
    pub fn count(&self) -> (usize, usize) {
        let topics = self.by_name.read();
        (topics.len(), topics.values().map(|subscribers| subscribers.lock().len()).sum())
    }

    /// The ids of a topic's subscribers, ascending.
    pub fn subscribers(&self, topic: &str) -> Vec<u64> {
        let topics = self.by_name.read();
        topics.get(topic).map(|subscribers| subscribers.lock().keys().copied().collect()).unwrap_or_default()
    }
}

fn remove(topics: &mut HashMap<Arc<str>, Mutex<Subscribers>>, id: u64, topic: &str) {
    let Some(subscribers) = topics.get_mut(topic) else { return };
    let subscribers = subscribers.get_mut();
    subscribers.remove(&id);
    if subscribers.is_empty() {
        topics.remove(topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(id: u64) -> Arc<Connection> {
        Arc::new(Connection::new(id, 200))
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
        assert_eq!(topics.publish("t", &Encoded::text("hello"), None, &mut dirty), 1);
        assert_eq!(dirty.len(), 2, "both have something to do");
        assert_eq!(slow.outbox.push(Encoded::text("")), Err(SendError::Closing));
        assert_eq!(topics.publish("t", &Encoded::text("hello"), Some(2), &mut dirty), 0);
    }
}
