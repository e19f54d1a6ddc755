//! A client of `hassock.v1` that wants the connection again that it had before.

use std::sync::Arc;

use hassock_frames::Deflate;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue};

use crate::app::App;
use crate::app::connection::{Arrival, Close, Connection, Knows, Opened, Slot};
use crate::auth::Verified;
use crate::client_protocol::{self, ClientState, ResumeToken};
use crate::module::bindings::hassock::host::types::Request;
use crate::socket::Transport;

/// Who gets the socket of a handshake.
pub(super) enum Admitted {
    /// A connection that the module has accepted.
    New(Opened),
    /// A connection that the client had before.
    Again(Return),
}

/// A client that comes back to its connection.
pub(super) struct Return {
    connection: Arc<Connection>,
    request: Box<Request>,
    received: u64,
    secret: u128,
    verified: Option<Verified>,
    slot: Slot,
}

/// The connection that the client had before, if it can have it again, and the secret that the client knows. One that it knows and cannot have ends: nobody will
/// come back to it.
pub(super) fn find(
    app: &App,
    state: Option<&ClientState>,
    deflate: Option<Deflate>,
    verified: Option<&Verified>,
) -> Option<(Arc<Connection>, u128)> {
    let state = state?;
    let token: ResumeToken = state.resume.as_ref()?.parse().ok()?;
    let connection = app.connections.get(token.connection)?;
    let resumption = connection.resumption()?;
    let knows = resumption.is_known_to(token.secret)?;
    // What is queued for it may be compressed already.
    let window = |deflate: Option<Deflate>| deflate.map(|how| how.window);
    let fits = window(connection.outbox.deflate()) == window(deflate) && is_still_entitled(&connection, verified);
    if fits && !connection.outbox.is_closing() && resumption.confirm(state.received) {
        return Some((connection, token.secret));
    }
    // A handshake that comes late is not the last one of its client.
    if knows == Knows::Current {
        connection.close(Close::abandoned());
    }
    None
}

/// Whether the token that the client shows now is of the same user as the one before.
fn is_still_entitled(connection: &Connection, verified: Option<&Verified>) -> bool {
    match (&connection.token, verified) {
        (None, None) => true,
        (Some(in_use), Some(verified)) => in_use.is_of_the_same(verified),
        // The module knows whether the client has shown one.
        _ => false,
    }
}

impl Return {
    pub(super) fn new(
        connection: Arc<Connection>,
        request: Request,
        received: u64,
        secret: u128,
        verified: Option<Verified>,
        slot: Slot,
    ) -> Self {
        Self { connection, request: Box::new(request), received, secret, verified, slot }
    }

    /// The header fields of the response. Those that the module chose were in the first one.
    pub(super) fn headers() -> HeaderMap {
        HeaderMap::from_iter([(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(client_protocol::NAME))])
    }

    /// Give the socket to the session of the connection. If that has ended meanwhile, the client loses the socket, comes
    /// again, and gets another connection.
    pub(super) fn arrive(self, socket: impl Transport, read_ahead: bytes::Bytes) {
        let Self { connection, request, received, secret, verified, slot } = self;
        let socket = Box::new(socket);
        let has_arrived = connection.arrive(Arrival { socket, read_ahead, request, received, secret, verified, slot });
        if !has_arrived {
            tracing::debug!(connection = connection.id, "a client came back too late");
        }
    }
}
