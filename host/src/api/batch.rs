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
use super::closing::{Close, CloseCode, CloseReason};
use super::connections::Done;
use super::error::{ApiError, FailuresOfBody};
use super::guard::Caller;
use super::message::{Base64, Content, present};
use super::names::{self, ConnectionId};
use super::publish::{Publish, Published, ToPublish};
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
    /// The close code. Without it: 1000.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    code: Option<CloseCode>,
    /// Tells the client why.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    reason: Option<CloseReason>,
}

/// A command that can be carried out.
enum Prepared {
    Publish(ToPublish),
    Send(ConnectionId, Content),
    Close(ConnectionId, Close),
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
    responses((status = 200, body = BatchResults, description = "A result for each command"), FailuresOfBody),
    security(("token" = []))
)]
pub(super) async fn batch(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: Read<Batch>,
) -> Result<Response, ApiError> {
    let commands = body.value.commands;
    names::few_enough(commands.len(), api.config.batch_commands)?;
    // All of them, before the first one is carried out.
    let prepared: Vec<_> = commands.into_iter().enumerate().map(Command::prepare).collect::<Result<_, _>>()?;
    let mut results = Vec::with_capacity(prepared.len());
    for command in &prepared {
        results.push(command.carry_out(&caller).await.unwrap_or_else(CommandResult::Error));
        // Other tasks have their turns in between.
        consume_budget().await;
    }
    Ok(json(&BatchResults { results }))
}

impl Command {
    /// The command without what is the same in several forms.
    fn prepare((place, command): (usize, Self)) -> Result<Prepared, ApiError> {
        let prepared = match command {
            Self::Publish(publish) => publish.prepare().map(Prepared::Publish),
            Self::Send(SendCommand { connection, text, json, base64 }) => {
                Content::read(text, json, base64).map(|content| Prepared::Send(connection, content))
            }
            Self::Close(CloseCommand { connection, code, reason }) => {
                Ok(Prepared::Close(connection, Close { code, reason }))
            }
        };
        prepared.map_err(|error| ApiError::new(error.code, format!("`commands[{place}]`: {}", error.message)))
    }
}

impl Prepared {
    async fn carry_out(&self, caller: &Caller) -> Result<CommandResult, ApiError> {
        match self {
            Self::Publish(publish) => {
                caller.may(Scope::Publish)?;
                publish.carry_out(&caller.app).await.map(CommandResult::Published)
            }
            Self::Send(connection, content) => {
                caller.may(Scope::Send)?;
                caller.app.send(connection.get(), content.payload())?;
                Ok(CommandResult::Sent(Done {}))
            }
            Self::Close(connection, close) => {
                caller.may(Scope::Close)?;
                close.carry_out(caller, *connection)?;
                Ok(CommandResult::Closed(Done {}))
            }
        }
    }
}
