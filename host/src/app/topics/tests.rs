use std::collections::VecDeque;

use hassock_frames::Window;

use super::*;
use crate::app::connection::SendError;

fn connection(id: u64) -> Arc<Connection> {
    Arc::new(Connection::new(id, 200))
}

fn topics() -> Topics {
    Topics::new(7, &Arc::default())
}

fn headers(topic: &str) -> Headers<'_> {
    Headers { topic, id: None, except: None, keeping: Keeping::Keep, place: None }
}

fn publish(topics: &Topics, except: Option<u64>, dirty: &mut Vec<Arc<Connection>>) -> u32 {
    let headers = Headers { except, ..headers("t") };
    topics.publish(&Encoded::text("hello"), &headers, |message, how| message.clone().deflated(how), dirty).0
}

#[test]
fn a_topic_lives_as_long_as_it_has_subscribers() {
    let topics = topics();
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
    let topics = topics();
    let one = connection(1);
    topics.subscribe(&one, "room", 2).unwrap();
    one.is_forgotten.store(true, Ordering::Relaxed);
    topics.unsubscribe_all(&one);
    assert_eq!(topics.subscribe(&one, "room", 2), Err(TopicError::Forgotten));
    assert!(topics.by_name.read().is_empty());
}

#[test]
fn names_and_numbers_are_bounded() {
    let topics = topics();
    let one = connection(1);
    assert_eq!(topics.subscribe(&one, "", 1), Err(TopicError::InvalidName));
    assert_eq!(topics.subscribe(&one, &"x".repeat(257), 1), Err(TopicError::InvalidName));
    topics.subscribe(&one, "a", 1).unwrap();
    assert_eq!(topics.subscribe(&one, "b", 1), Err(TopicError::TooMany));
}

#[test]
fn a_slow_subscriber_is_closed_and_others_get_the_message() {
    let topics = topics();
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
    let topics = topics();
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
        topics.publish(&message, &headers("t"), compress, &mut Vec::new()).0
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

mod history;
mod interleavings;
mod presence;
