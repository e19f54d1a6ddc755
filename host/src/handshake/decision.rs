//! What follows from the module's answer to a handshake.

use std::sync::Arc;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue};

use super::answer::{self, Answer};
use crate::app::connection::{Close, Connection, Opened};
use crate::app::{App, Setup};
use crate::client_protocol;
use crate::config::AppLimits;
use crate::memory_budget::{OutOfMemory, Use};
use crate::module::FailedCall;
use crate::module::bindings::hassock::host::types::{Acceptance, Refusal, Request};
use crate::text::log_line;

/// A connection that the module has not opened yet. However the handshake ends, also by a panic, the app forgets it,
/// unless the module accepts it.
pub(super) struct Entered {
    app: Arc<App>,
    pub(super) connection: Arc<Connection>,
    is_accepted: bool,
}

impl Entered {
    /// The app knows the connection from now on.
    pub(super) fn new(app: &Arc<App>, connection: Connection) -> Self {
        let connection = Arc::new(connection);
        app.connections.insert(&connection);
        Self { app: Arc::clone(app), connection, is_accepted: false }
    }

    /// The module has accepted the connection.
    fn opened(mut self, limits: Arc<AppLimits>) -> Opened {
        self.is_accepted = true;
        Opened::new(Arc::clone(&self.app), limits, Arc::clone(&self.connection))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.is_accepted {
            self.app.forget(&self.connection);
        }
    }
}

/// A client that does not get a connection.
pub(super) struct Rejected {
    answer: Answer,
    /// The module has accepted the connection and must be told that it is closed.
    accepted: Option<Opened>,
}

/// Why the host cannot do what a module accepted.
enum Unusable {
    /// It is not valid. The text says why.
    Invalid(String),
    /// The memory budget is used up.
    OutOfMemory,
}

impl From<String> for Unusable {
    fn from(reason: String) -> Self {
        Self::Invalid(reason)
    }
}

/// What follows from the module's answer.
pub(super) fn decide(
    app: &Arc<App>,
    setup: &Setup,
    entered: Entered,
    request: &Request,
    answered: Result<Result<Acceptance, Refusal>, FailedCall>,
) -> Result<(Opened, HeaderMap), Box<Rejected>> {
    let answer = match answered {
        Ok(Ok(acceptance)) => {
            let connection = Arc::clone(&entered.connection);
            let opened = entered.opened(Arc::clone(&setup.limits));
            return match apply(app, setup, &connection, request, acceptance) {
                Ok(headers) => Ok((opened, headers)),
                Err(unusable) => {
                    let answer = match unusable {
                        Unusable::Invalid(reason) => misbehaved(app, &connection, &reason),
                        Unusable::OutOfMemory => answer::out_of_memory(),
                    };
                    Err(Box::new(Rejected { answer, accepted: Some(opened) }))
                }
            };
        }
        Ok(Err(refusal)) => answer::refused(refusal, &app.context.memory)
            .unwrap_or_else(|reason| misbehaved(app, &entered.connection, &reason)),
        Err(error) => answer::call_failed(&error),
    };
    Err(Box::new(Rejected { answer, accepted: None }))
}

/// The answer for a client that does not get a connection. A module that has accepted it hears of its end first.
pub(super) async fn turn_down(rejected: Box<Rejected>, code: u16) -> Answer {
    let Rejected { answer, accepted } = *rejected;
    if let Some(opened) = accepted {
        let close = Close::failed(code, &version_of(&opened.connection));
        opened.finish(close).await;
    }
    answer
}

/// Apply the module's acceptance. Returns the header fields for the 101 response.
fn apply(
    app: &App,
    setup: &Setup,
    connection: &Arc<Connection>,
    request: &Request,
    acceptance: Acceptance,
) -> Result<HeaderMap, Unusable> {
    let mut headers = HeaderMap::new();
    for (name, value) in &acceptance.headers {
        let (name, value) = answer::header(name, value)?;
        answer::has_room(&headers)?;
        headers.append(name, value);
    }
    if let Some(subprotocol) = &acceptance.subprotocol {
        if !request.subprotocols.contains(subprotocol) {
            return Err(format!("the client did not offer the subprotocol `{subprotocol}`").into());
        }
        let value = HeaderValue::from_str(subprotocol).map_err(|_| "the subprotocol is malformed".to_owned())?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    if connection.speaks() {
        // The client is told the module's choice in the first message.
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(client_protocol::NAME));
    }
    if acceptance.attachment.len() > setup.limits.attachment_bytes.bytes() {
        let limit = setup.limits.attachment_bytes;
        return Err(format!("the attachment is larger than `attachment_bytes` = {limit}").into());
    }
    if !acceptance.attachment.is_empty() {
        let attachment = app.context.memory.keep(Use::Attachment, acceptance.attachment);
        *connection.attachment.lock() = attachment.map_err(|OutOfMemory| Unusable::OutOfMemory)?;
    }
    for topic in &acceptance.topics {
        let subscribed = app.topics.subscribe(connection, topic, setup.limits.topics_per_connection);
        subscribed.map_err(|error| format!("cannot subscribe to `{topic}`: {error}"))?;
    }
    if let Some(client) = &connection.client {
        client.opened(acceptance.subprotocol);
    }
    Ok(headers)
}

fn misbehaved(app: &App, connection: &Connection, reason: &str) -> Answer {
    let (version, connection) = (version_of(connection), connection.id);
    // The reason contains what the module returned.
    let reason = log_line(reason);
    tracing::error!(app = %app.name, version, connection, call = "open", "the module's response is not valid: {reason}");
    answer::broken(&version)
}

/// The version that has just opened a connection.
fn version_of(connection: &Connection) -> String {
    connection.binding.version().map(|version| version.id.to_string()).unwrap_or_default()
}
