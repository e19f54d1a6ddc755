//! `POST /v1/apps/{app}/batch`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::task::consume_budget;
use utoipa::ToSchema;

use super::Api;
use super::body::Read;
use super::connections::{Close, Done};
use super::error::{ApiError, FailuresOfBody};
use super::guard::Caller;
use super::message::{Base64, Content, present};
use super::names::{self, ConnectionId};
use super::publish::{Publish, Published};
use super::response::json;
use crate::config::Scope;

/// Commands that are carried out one after the other.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// The commands, at most `api.batch_commands`.
    commands: Vec<Command>,
}

/// One command.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Command {
    /// Publish a message, which needs the scope `publish`.
    Publish(Publish),
    /// Send a message to one connection, which needs the scope `send`.
    Send(SendCommand),
    /// Close one connection, which needs the scope `close`.
    Close(CloseCommand),
}

/// A message for one connection. It has exactly one of `text`, `json` and `base64`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SendCommand {
    /// The connection.
    connection: ConnectionId,
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

/// Which connection to close, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CloseCommand {
    /// The connection.
    connection: ConnectionId,
    /// The close code: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999. Without it: 1000.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = super::connections::close_codes, required = false)]
    code: Option<u16>,
    /// Tells the client why, in at most 123 bytes of UTF-8.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, max_length = 123)]
    reason: Option<String>,
}

/// What became of a command.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CommandResult {
    /// The message was published.
    Published(Published),
    /// The message was queued for its connection.
    Sent(Done),
    /// The connection closes.
    Closed(Done),
    /// The command was not carried out. Those after it are.
    Error(ApiError),
}

/// What became of the commands.
#[derive(Debug, Serialize, ToSchema)]
struct BatchResults {
    /// One for each command, in their order.
    results: Vec<CommandResult>,
}

/// Carry out several commands
///
/// They are carried out in their order. The response has a result for each: one that fails does not stop those after it, and
/// nothing is taken back. If the body is malformed anywhere, nothing is carried out.
#[utoipa::path(
    post, path = "/v1/apps/{app}/batch", tag = "Publishing",
    params(("app" = String, Path, description = "The name of the app")),
    request_body = Batch,
    responses((status = 200, body = BatchResults), FailuresOfBody),
    security(("token" = []))
)]
pub(super) async fn batch(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: Read<Batch>,
) -> Result<Response, ApiError> {
    let commands = body.value.commands;
    names::few_enough(commands.len(), api.config.batch_commands)?;
    let mut results = Vec::with_capacity(commands.len());
    for command in commands {
        results.push(command.carry_out(&caller).unwrap_or_else(CommandResult::Error));
        // Other tasks have their turns in between.
        consume_budget().await;
    }
    Ok(json(&BatchResults { results }))
}

impl Command {
    fn carry_out(self, caller: &Caller) -> Result<CommandResult, ApiError> {
        match self {
            Self::Publish(publish) => {
                caller.may(Scope::Publish)?;
                publish.carry_out(&caller.app).map(CommandResult::Published)
            }
            Self::Send(SendCommand { connection, text, json, base64 }) => {
                caller.may(Scope::Send)?;
                caller.app.send(connection.get(), Content::read(text, json, base64)?.payload())?;
                Ok(CommandResult::Sent(Done {}))
            }
            Self::Close(CloseCommand { connection, code, reason }) => {
                caller.may(Scope::Close)?;
                Close { code, reason }.carry_out(caller, connection)?;
                Ok(CommandResult::Closed(Done {}))
            }
        }
    }
}
