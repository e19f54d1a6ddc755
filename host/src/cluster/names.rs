//! What the subjects, streams and buckets of a cluster are called. Everything is below `hassock.NAME`, so that clusters and other
//! programs can share servers.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The names of a cluster.
#[derive(Debug, Clone)]
pub(super) struct Names {
    cluster: String,
}

impl Names {
    pub(super) fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned() }
    }

    /// The stream that keeps the topics of an app. A name of a stream has no dots.
    pub(super) fn stream(&self, app: &str) -> String {
        format!("hassock_{}_{}", self.cluster, token(app))
    }

    /// Where messages for topics with a history are sent: the stream takes them from there.
    pub(super) fn kept(&self, app: &str, topic: &str) -> String {
        format!("hassock.{}.keep.{}.{}", self.cluster, token(app), token(topic))
    }

    /// All of these.
    pub(super) fn all_kept(&self, app: &str) -> String {
        format!("hassock.{}.keep.{}.*", self.cluster, token(app))
    }

    /// Where hosts listen: to what the stream passes on, in its order, and to messages that nobody keeps.
    pub(super) fn topic(&self, app: &str, topic: &str) -> String {
        format!("hassock.{}.topic.{}.{}", self.cluster, token(app), token(topic))
    }

    /// What the stream passes its messages on to.
    pub(super) fn passed_on(&self, app: &str) -> String {
        format!("hassock.{}.topic.{}.{{{{wildcard(1)}}}}", self.cluster, token(app))
    }

    /// The bucket with the numbers of hosts, which expire.
    pub(super) fn hosts(&self) -> String {
        format!("hassock_{}_hosts", self.cluster)
    }

    /// The bucket with the epochs of streams.
    pub(super) fn epochs(&self) -> String {
        format!("hassock_{}_epochs", self.cluster)
    }
}

/// Any text as a part of a subject: names of apps and topics may have dots and spaces.
pub(super) fn token(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_topic_is_one_part_of_a_subject() {
        let names = Names::new("site");
        for topic in ["room:1", "a.b", "*", ">", " ", "\r\n", "ünï", &"x".repeat(256)] {
            let subject = names.topic("chat.1", topic);
            assert_eq!(subject.split('.').count(), 5, "{subject}");
            assert!(subject.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{subject}");
        }
        assert_ne!(names.topic("a", "b"), names.topic("a", "B"));
        assert!(names.stream("chat.1").bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }
}
