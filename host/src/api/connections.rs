//! `POST /v1/apps/{app}/connections/{id}/send` and `/close`.

use axum::extract::Path;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};

use super::body::{Read, ReadOrDefault};
use super::error::{ApiError, FailuresOfBody};
use super::guard::Caller;
use super::message::{Base64, Content, present};
use super::names::ConnectionId;
use super::response::json;

/// The close code of a close that names none: normal closure.
const NORMAL: u16 = 1000;

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

/// How to close a connection.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Close {
    /// The close code: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999. Without it: 1000.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = close_codes, required = false)]
    pub(super) code: Option<u16>,
    /// Tells the client why, in at most 123 bytes of UTF-8.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, max_length = 123)]
    pub(super) reason: Option<String>,
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
    responses((status = 200, body = Done), FailuresOfBody),
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
    responses((status = 200, body = Done), FailuresOfBody),
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

impl Close {
    /// Close a connection so.
    ///
    /// # Errors
    /// If it cannot be closed so.
    pub(super) fn carry_out(&self, caller: &Caller, id: ConnectionId) -> Result<(), ApiError> {
        let (code, reason) = (self.code.unwrap_or(NORMAL), self.reason.as_deref().unwrap_or_default());
        Ok(caller.app.close(id.get(), code, reason)?)
    }
}

/// The codes that may be sent.
pub(super) fn close_codes() -> Schema {
    let range = |least: u16, most: u16| ObjectBuilder::new().minimum(Some(least)).maximum(Some(most)).build();
    let ranges = AnyOfBuilder::new().item(range(1000, 1001)).item(range(1003, 1003)).item(range(1007, 1014));
    let description = "The close code: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999. Without it: 1000.";
    ranges.item(range(3000, 4999)).schema_type(Type::Integer).description(Some(description)).build().into()
}
