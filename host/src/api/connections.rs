//! `POST /v1/apps/{app}/connections/{id}/send` and `/close`.

use axum::extract::Path;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::body::{Read, ReadOrDefault};
use super::closing::Close;
use super::error::{ApiError, FailuresOfBody};
use super::guard::Caller;
use super::message::{Base64, Content, present};
use super::names::ConnectionId;
use super::response::json;

/// A message for one connection. It has exactly one of `text`, `json` and `base64`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
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
}

/// It was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {}

/// Send a message to one connection
///
/// It is queued in the order in which requests arrive. The connection's own module and its topics go on as before.
#[utoipa::path(
    post, path = "/v1/apps/{app}/connections/{connection}/send", tag = "Connections",
    params(
        ("app" = String, Path, description = "The name of the app"),
        ("connection" = ConnectionId, Path, description = "The id of the connection, which its module knows"),
    ),
    request_body = Send,
    responses((status = 200, body = Done, description = "It was done"), FailuresOfBody),
    security(("token" = ["send"]))
)]
pub(super) async fn send(
    caller: Caller,
    Path((_, connection)): Path<(String, String)>,
    body: Read<Send>,
) -> Result<Response, ApiError> {
    let id = ConnectionId::of_path(&connection)?;
    let Send { text, json: value, base64 } = body.value;
    caller.app.send(id.get(), Content::read(text, value, base64)?.payload())?;
    Ok(json(&Done {}))
}

/// Close one connection
///
/// What is queued for it is written before. Its module is told that the host has closed it.
#[utoipa::path(
    post, path = "/v1/apps/{app}/connections/{connection}/close", tag = "Connections",
    params(
        ("app" = String, Path, description = "The name of the app"),
        ("connection" = ConnectionId, Path, description = "The id of the connection, which its module knows"),
    ),
    request_body = Option<Close>,
    responses((status = 200, body = Done, description = "It was done"), FailuresOfBody),
    security(("token" = ["close"]))
)]
pub(super) async fn close(
    caller: Caller,
    Path((_, connection)): Path<(String, String)>,
    ReadOrDefault(close): ReadOrDefault<Close>,
) -> Result<Response, ApiError> {
    close.carry_out(&caller, ConnectionId::of_path(&connection)?)?;
    Ok(json(&Done {}))
}
