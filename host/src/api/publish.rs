//! `POST /v1/apps/{app}/publish` and `/broadcast`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::task::consume_budget;
use utoipa::ToSchema;

use super::Api;
use super::body::Read;
use super::error::{ApiError, FailuresOfBody};
use super::guard::Caller;
use super::message::{Base64, Content, present};
use super::names::{self, ConnectionId, MessageId, MessageIdHeader, PositionText, TopicName};
use super::response::json;
use crate::app::{App, Keeping, Publication, PublishOptions};
use crate::client_protocol::Position;

/// A message for the subscribers of a topic. It has exactly one of `text`, `json` and `base64`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    /// The topic: 1 to 256 bytes of UTF-8.
    topic: TopicName,
    /// A text message.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    text: Option<String>,
    /// Any JSON value, which is sent as text, as it is written here.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<serde_json::Value>)]
    json: Option<Box<RawValue>>,
    /// The bytes of a binary message in base64 (RFC 4648, section 4).
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    base64: Option<Base64>,
    /// Names the message within its topic: it is published once, even if it is sent again within five minutes. The header field
    /// `Idempotency-Key` means the same.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, value_type = Option<MessageId>)]
    id: Option<MessageId>,
    /// The connection that does not get it, usually that of its author.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, value_type = Option<ConnectionId>)]
    except: Option<ConnectionId>,
    /// Do not keep the message in the history of the topic: only those who are subscribed now get it.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    skip_history: Option<bool>,
}

/// A message for the subscribers of several topics. It has exactly one of `text`, `json` and `base64`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Broadcast {
    /// The topics, at most `api.batch_commands`.
    topics: Vec<TopicName>,
    /// A text message.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    text: Option<String>,
    /// Any JSON value, which is sent as text, as it is written here.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<serde_json::Value>)]
    json: Option<Box<RawValue>>,
    /// The bytes of a binary message in base64 (RFC 4648, section 4).
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    base64: Option<Base64>,
    /// Names the message within each topic: it is published there once, even if it is sent again within five minutes. The header
    /// field `Idempotency-Key` means the same.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, value_type = Option<MessageId>)]
    id: Option<MessageId>,
    /// The connection that does not get it, usually that of its author.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, value_type = Option<ConnectionId>)]
    except: Option<ConnectionId>,
    /// Do not keep the message in the history of the topic: only those who are subscribed now get it.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    skip_history: Option<bool>,
}

/// A message that can be published.
#[derive(Debug)]
pub(super) struct ToPublish {
    topic: TopicName,
    content: Content,
    id: Option<MessageId>,
    except: Option<ConnectionId>,
    keeping: Keeping,
}

/// What became of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Published {
    /// For how many subscribers it was queued. In a cluster, those of this host.
    reached: u32,
    /// Its position, if the topic keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<PositionText>)]
    position: Option<Position>,
    /// Whether a message with this `id` was published before. The rest tells what became of that one.
    duplicate: bool,
}

/// What became of a message in one topic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PublishedOrNot {
    /// It was published.
    Published(Published),
    /// It was not.
    Error(ApiError),
}

/// What became of a message in each topic.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BroadcastResults {
    /// One for each topic, in the order of the request.
    results: Vec<PublishedOrNot>,
}

/// Publish a message
///
/// It is queued for every connection that is subscribed to the topic now, and kept if the topic has a history. A topic without
/// subscribers is no error.
#[utoipa::path(
    post, path = "/v1/apps/{app}/publish", tag = "Publishing",
    params(("app" = String, Path, description = "The name of the app"), MessageIdHeader),
    request_body = Publish,
    responses((status = 200, body = Published, description = "It was published"), FailuresOfBody),
    security(("token" = ["publish"]))
)]
pub(super) async fn publish(caller: Caller, headers: HeaderMap, body: Read<Publish>) -> Result<Response, ApiError> {
    let mut command = body.value;
    command.id = names::message_id(&headers, command.id)?;
    Ok(json(&command.prepare()?.carry_out(&caller.app).await?))
}

/// Publish a message to several topics
///
/// The response has a result for each topic, because one may fail although the others do not.
#[utoipa::path(
    post, path = "/v1/apps/{app}/broadcast", tag = "Publishing",
    params(("app" = String, Path, description = "The name of the app"), MessageIdHeader),
    request_body = Broadcast,
    responses((status = 200, body = BroadcastResults, description = "A result for each topic"), FailuresOfBody),
    security(("token" = ["publish"]))
)]
pub(super) async fn broadcast(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    body: Read<Broadcast>,
) -> Result<Response, ApiError> {
    let Broadcast { topics, text, json: value, base64, id, except, skip_history } = body.value;
    names::few_enough(topics.len(), api.config.batch_commands)?;
    let id = names::message_id(&headers, id)?;
    let content = Content::read(text, value, base64)?;
    let keeping = keeping(skip_history);
    let mut results = Vec::with_capacity(topics.len());
    for topic in &topics {
        results.push(match deliver(&caller.app, topic, &content, options(id.as_ref(), except, keeping)).await {
            Ok(published) => PublishedOrNot::Published(published),
            Err(error) => PublishedOrNot::Error(error),
        });
        // Other tasks have their turns in between.
        consume_budget().await;
    }
    Ok(json(&BroadcastResults { results }))
}

impl Publish {
    /// The message that it describes.
    ///
    /// # Errors
    /// If it describes none.
    pub(super) fn prepare(self) -> Result<ToPublish, ApiError> {
        let Self { topic, text, json, base64, id, except, skip_history } = self;
        let content = Content::read(text, json, base64)?;
        Ok(ToPublish { topic, content, id, except, keeping: keeping(skip_history) })
    }
}

impl ToPublish {
    /// Publish it.
    ///
    /// # Errors
    /// If it cannot be published.
    pub(super) async fn carry_out(&self, app: &App) -> Result<Published, ApiError> {
        deliver(app, &self.topic, &self.content, options(self.id.as_ref(), self.except, self.keeping)).await
    }
}

fn keeping(skip_history: Option<bool>) -> Keeping {
    if skip_history == Some(true) { Keeping::Skip } else { Keeping::Keep }
}

fn options(id: Option<&MessageId>, except: Option<ConnectionId>, keeping: Keeping) -> PublishOptions<'_> {
    PublishOptions { id: id.map(MessageId::as_str), except: except.map(ConnectionId::get), keeping }
}

async fn deliver(
    app: &App,
    topic: &TopicName,
    content: &Content,
    options: PublishOptions<'_>,
) -> Result<Published, ApiError> {
    let topic = topic.valid()?;
    app.recorder.published(topic, options.id, content.payload());
    let Publication { reached, position, is_duplicate } = app.publish(topic, content.payload(), options).await?;
    Ok(Published { reached, position, duplicate: is_duplicate })
}
