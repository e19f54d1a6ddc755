//! The ids of messages that were published lately: a message that is sent again is not published again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::publish::{Publication, PublishError};

/// How long an id is remembered: a program that sends a message again does so soon, or has forgotten it.
const REMEMBERED: Duration = Duration::from_secs(300);

/// The ids of an app, each with what became of its message.
#[derive(Default)]
pub(super) struct MessageIds {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_id: HashMap<Arc<str>, Publication>,
    /// The oldest first.
    in_order: VecDeque<(Instant, Arc<str>)>,
}

impl MessageIds {
    /// Publish a message unless one of the same topic and id was published lately; at most so many are remembered. Messages
    /// with ids are published one after the other, so that two of the same id do not miss each other.
    ///
    /// # Errors
    /// Those of `publish`. The id is not remembered then.
    pub(super) fn publish_once(
        &self,
        topic: &str,
        id: &str,
        most: usize,
        publish: impl FnOnce() -> Result<Publication, PublishError>,
    ) -> Result<Publication, PublishError> {
        let now = Instant::now();
        let mut known = self.known.lock();
        known.forget(now, usize::MAX);
        // A name of a topic may have any character, but its length tells where it ends.
        let key: Arc<str> = format!("{}:{topic}{id}", topic.len()).into();
        if let Some(before) = known.by_id.get(&key) {
            return Ok(Publication { is_duplicate: true, ..*before });
        }
        let published = publish()?;
        known.by_id.insert(Arc::clone(&key), published);
        known.in_order.push_back((now, key));
        known.forget(now, most);
        Ok(published)
    }
}

impl Known {
    /// Forget what is too old, and what are too many.
    fn forget(&mut self, now: Instant, most: usize) {
        while self.in_order.len() > most
            || self.in_order.front().is_some_and(|(at, _)| now.duration_since(*at) >= REMEMBERED)
        {
            let Some((_, id)) = self.in_order.pop_front() else { return };
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(reached: u32) -> Publication {
        Publication { reached, position: None, is_duplicate: false }
    }

    fn publish(ids: &MessageIds, topic: &str, id: &str, reached: u32) -> Publication {
        ids.publish_once(topic, id, 3, || Ok(publication(reached))).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_published_once_within_five_minutes() {
        let ids = MessageIds::default();
        assert_eq!(publish(&ids, "a", "1", 1), publication(1));
        assert_eq!(publish(&ids, "a", "1", 2), Publication { is_duplicate: true, ..publication(1) });
        assert_eq!(publish(&ids, "b", "1", 3), publication(3), "another topic");
        assert_eq!(publish(&ids, "a1", "", 4), publication(4), "the same letters");
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(publish(&ids, "a", "1", 5), publication(5));
        assert_eq!(ids.known.lock().by_id.len(), 1, "nothing old is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_remembered_and_failures_are_not() {
        let ids = MessageIds::default();
        let failed = ids.publish_once("a", "0", 3, || Err(PublishError::TooLarge));
        assert_eq!(failed, Err(PublishError::TooLarge));
        for id in 0..4 {
            assert!(!publish(&ids, "a", &id.to_string(), 1).is_duplicate);
        }
        let known = |id: u32| publish(&ids, "a", &id.to_string(), 1).is_duplicate;
        assert!([1, 2, 3].map(known).iter().all(|known| *known));
        assert!(!known(0), "the oldest is forgotten");
    }
}
