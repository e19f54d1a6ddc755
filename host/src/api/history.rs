//! `GET /v1/apps/{app}/topics/{topic}/history`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::Api;
use super::error::{ApiError, Code, Failures};
use super::guard::Caller;
use super::names::{PositionText, TopicName};
use super::query::Query;
use super::response::json;
use crate::app::{HistoryPage, Kept};
use crate::client_protocol::{Gap, Position};

/// Which messages to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct HistoryQuery {
    /// Only messages after this position. Without it: the last ones.
    #[param(required = false, nullable = false)]
    since: Option<PositionText>,
    /// How many messages at most. More than `api.page_items`, and than fit into `api.body_bytes`, are not listed at once.
    #[param(required = false, nullable = false, minimum = 1, maximum = 4_294_967_295_u32)]
    limit: Option<u64>,
}

/// A message that was published before. It has one of `text` and `base64`.
#[derive(Debug, Serialize, ToSchema)]
struct KeptMessage {
    /// Its position.
    #[schema(value_type = PositionText)]
    position: Position,
    /// The id that its publisher gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<String>,
    /// The message, if it is a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    text: Option<String>,
    /// The bytes of a binary message in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    base64: Option<String>,
}

/// A part of the history of a topic.
#[derive(Debug, Serialize, ToSchema)]
struct History {
    /// The messages, oldest first.
    messages: Vec<KeptMessage>,
    /// The position of the last message of the topic. What is published from now on comes after it.
    #[schema(value_type = PositionText)]
    latest: Position,
    /// Whether there are more messages after these. Ask for them with `since` and the position of the last one.
    more: bool,
    /// Why messages between `since` and these are missing, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    gap: Option<GapName>,
}

/// Why messages are missing.
#[derive(Debug, Clone, Copy)]
struct GapName(Gap);

/// List messages that were published before
///
/// Only topics whose policy in the config has `history` keep any. Whoever needs every message asks again with the position of the
/// last one, and looks at `gap`.
#[utoipa::path(
    get, path = "/v1/apps/{app}/topics/{topic}/history", tag = "Topics",
    params(
        ("app" = String, Path, description = "The name of the app"),
        ("topic" = TopicName, Path, description = "The name of the topic, with `/` as `%2F`"),
        HistoryQuery,
    ),
    responses((status = 200, body = History, description = "A part of the history"), Failures),
    security(("token" = ["history"]))
)]
pub(super) async fn history(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((_, topic)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::read(&uri)?;
    let (limit, topic) = (query.limit(api.config.page_items)?, TopicName::of_path(&topic)?);
    let since = query.text("since").map(PositionText::of_query).transpose()?;
    // One more than wanted tells whether there are more.
    let wanted = if since.is_some() { limit + 1 } else { limit };
    let none =
        || ApiError::new(Code::HistoryNone, "the topic keeps no history; its policy in the config has no `history`");
    let page = caller.app.history(topic.valid()?, since, wanted).await?.ok_or_else(none)?;
    let HistoryPage { messages, latest, gap, is_cut } = page;
    let from = if since.is_some() { End::Oldest } else { End::Newest };
    let fitting = fitting(&messages, limit, api.config.body_bytes.bytes(), from);
    let more = since.is_some() && (is_cut || fitting.len() < messages.len());
    let messages = fitting.iter().map(|(position, kept)| KeptMessage::of(*position, kept)).collect();
    Ok(json(&History { messages, latest, more, gap: gap.map(GapName) }))
}

/// Which messages are wanted if not all of them fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Oldest,
    Newest,
}

/// The messages that fit into so many bytes, but at least one.
fn fitting(messages: &[(Position, Kept)], limit: usize, bytes: usize, end: End) -> &[(Position, Kept)] {
    let size = |(_, kept): &(Position, Kept)| kept.message.payload_len();
    let mut room = bytes;
    let mut fits = |message: &(Position, Kept)| {
        let fits = size(message) <= room;
        room = room.saturating_sub(size(message));
        fits
    };
    let count = match end {
        End::Oldest => messages.iter().take(limit).take_while(|message| fits(message)).count(),
        End::Newest => messages.iter().rev().take(limit).take_while(|message| fits(message)).count(),
    };
    let count = count.max(1).min(messages.len());
    let range = match end {
        End::Oldest => 0..count,
        End::Newest => messages.len() - count..messages.len(),
    };
    messages.get(range).unwrap_or_default()
}

impl KeptMessage {
    fn of(position: Position, kept: &Kept) -> Self {
        let text = kept.message.as_text().map(str::to_owned);
        let base64 = text.is_none().then(|| STANDARD.encode(kept.message.payload()));
        Self { position, id: kept.id.as_deref().map(str::to_owned), text, base64 }
    }
}

impl Serialize for GapName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl PartialSchema for GapName {
    fn schema() -> RefOr<Schema> {
        let names = Gap::ALL.map(Gap::name);
        let description = "Why messages are missing: more came than are kept (`count`, `bytes`), they were too old (`age`), or the \
                           host was restarted (`restart`).";
        let object = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        object.description(Some(description)).build().into()
    }
}

impl ToSchema for GapName {}
