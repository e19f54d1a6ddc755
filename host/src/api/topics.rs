//! `GET /v1/apps/{app}/topics` and `/topics/{topic}/subscribers`.

use std::collections::BinaryHeap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::Uri;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::{ApiError, Failures};
use super::guard::Caller;
use super::names::TopicName;
use super::query::Query;
use super::response::json;
use crate::app::Topics;

/// Which topics to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct TopicsQuery {
    /// Only topics whose names begin with this.
    #[param(required = false, nullable = false)]
    prefix: Option<String>,
    /// Only topics after this name: the last one of the page before.
    #[param(required = false, nullable = false)]
    after: Option<String>,
    /// How many topics at most. More than `api.page_items` are not listed at once.
    #[param(required = false, nullable = false, minimum = 1, maximum = 4_294_967_295_u32)]
    limit: Option<u64>,
}

/// A topic.
#[derive(Debug, Serialize, ToSchema)]
struct Topic {
    /// Its name.
    name: String,
    /// How many connections are subscribed to it.
    subscribers: usize,
}

/// A page of topics.
#[derive(Debug, Serialize, ToSchema)]
struct TopicsPage {
    /// The topics, in the order of the bytes of their names.
    topics: Vec<Topic>,
    /// Whether there are more. Ask for them with `after` and the last name of this page.
    more: bool,
}

/// The subscribers of a topic.
#[derive(Debug, Serialize, ToSchema)]
struct SubscriberCount {
    /// How many connections are subscribed to it.
    subscribers: usize,
}

/// List the topics that have subscribers or keep messages
#[utoipa::path(
    get, path = "/v1/apps/{app}/topics", tag = "Topics",
    params(("app" = String, Path, description = "The name of the app"), TopicsQuery),
    responses((status = 200, body = TopicsPage, description = "A page of topics"), Failures),
    security(("token" = ["topics"]))
)]
pub(super) async fn topics(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, ApiError> {
    let query = Query::read(&uri)?;
    let limit = query.limit(api.config.page_items)?;
    let (prefix, after) = (query.text("prefix").unwrap_or_default(), query.text("after"));
    let mut names = first_names(&caller.app.topics, prefix, after, limit + 1);
    let more = names.len() > limit;
    names.truncate(limit);
    let topics = names.into_iter().map(|(name, subscribers)| Topic { name: name.to_string(), subscribers }).collect();
    Ok(json(&TopicsPage { topics, more }))
}

/// Count the subscribers of a topic
#[utoipa::path(
    get, path = "/v1/apps/{app}/topics/{topic}/subscribers", tag = "Topics",
    params(
        ("app" = String, Path, description = "The name of the app"),
        ("topic" = TopicName, Path, description = "The name of the topic, with `/` as `%2F`"),
    ),
    responses((status = 200, body = SubscriberCount, description = "Their number"), Failures),
    security(("token" = ["topics"]))
)]
pub(super) async fn subscribers(
    caller: Caller,
    Path((_, topic)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let topic = TopicName::of_path(&topic)?;
    Ok(json(&SubscriberCount { subscribers: caller.app.topics.member_count(topic.valid()?) }))
}

/// The first topics after a name, in order. All topics are looked at, but no more than `most` are kept meanwhile.
fn first_names(topics: &Topics, prefix: &str, after: Option<&str>, most: usize) -> Vec<(Arc<str>, usize)> {
    let mut first = BinaryHeap::new();
    topics.each(|name, subscribers| {
        let is_before = after.is_some_and(|after| **name <= *after);
        // With the greatest one on top.
        let is_later = first.len() >= most && first.peek().is_some_and(|(last, _): &(Arc<str>, usize)| name >= last);
        if is_before || is_later || !name.starts_with(prefix) {
            return;
        }
        first.push((Arc::clone(name), subscribers));
        if first.len() > most {
            first.pop();
        }
    });
    first.into_sorted_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::connection::Connection;
    use crate::memory_budget::MemoryBudget;

    #[test]
    fn a_page_has_the_first_names_in_order() {
        let topics = Topics::new(1, &MemoryBudget::new(1 << 20));
        let connection = Arc::new(Connection::new(1, 100));
        for name in ["b", "a", "room:2", "room:10", "room:1", "z"] {
            topics.subscribe(&connection, name, 10).unwrap();
        }
        let names = |prefix, after, most| {
            first_names(&topics, prefix, after, most).iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("", None, 3), ["a", "b", "room:1"]);
        assert_eq!(names("", Some("b"), 3), ["room:1", "room:10", "room:2"]);
        assert_eq!(names("room:", None, 10), ["room:1", "room:10", "room:2"]);
        assert_eq!(names("room:", Some("room:10"), 10), ["room:2"]);
        assert!(names("", Some("z"), 3).is_empty());
    }
}
