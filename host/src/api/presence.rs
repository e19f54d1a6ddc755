//! `GET /v1/apps/{app}/topics/{topic}/presence`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::Uri;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::{ApiError, Failures};
use super::guard::Caller;
use super::names::{ConnectionId, TopicName};
use super::query::Query;
use super::response::json;

/// Which members to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct PresenceQuery {
    /// Only members after this connection: the last one of the page before.
    #[param(required = false, nullable = false)]
    after: Option<ConnectionId>,
    /// How many members at most. More than `api.page_items` are not listed at once.
    #[param(required = false, nullable = false, minimum = 1, maximum = 4_294_967_295_u32)]
    limit: Option<u64>,
}

/// A member of a topic: a connection that is subscribed to it.
#[derive(Debug, Serialize, ToSchema)]
struct PresentMember {
    /// The id of the connection.
    #[schema(value_type = ConnectionId)]
    connection: u64,
    /// What the module tells others about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    data: Option<String>,
}

/// The members of a topic.
#[derive(Debug, Serialize, ToSchema)]
struct Presence {
    /// The members, in the order of their ids.
    members: Vec<PresentMember>,
    /// How many members the topic has in all.
    count: usize,
    /// Whether there are more. Ask for them with `after` and the last id of this page.
    more: bool,
}

/// List the members of a topic
#[utoipa::path(
    get, path = "/v1/apps/{app}/topics/{topic}/presence", tag = "Topics",
    params(
        ("app" = String, Path, description = "The name of the app"),
        ("topic" = TopicName, Path, description = "The name of the topic, with `/` as `%2F`"),
        PresenceQuery,
    ),
    responses((status = 200, body = Presence, description = "A page of members"), Failures),
    security(("token" = ["presence"]))
)]
pub(super) async fn presence(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((_, topic)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::read(&uri)?;
    let (limit, topic) = (query.limit(api.config.page_items)?, TopicName::of_path(&topic)?);
    let after = query.text("after").map(ConnectionId::of_path).transpose()?.map_or(0, ConnectionId::get);
    let (topics, topic) = (&caller.app.topics, topic.valid()?);
    let (members, more) = topics.members(topic, after, limit);
    let members = members.into_iter().map(|member| PresentMember { connection: member.connection, data: member.data });
    Ok(json(&Presence { members: members.collect(), count: topics.member_count(topic), more }))
}
