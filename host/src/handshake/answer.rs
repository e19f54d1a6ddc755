//! Every HTTP response except 101, in one place.
//!
//! | status | when |
//! |---|---|
//! | 200, 304 | the test page, the client library, a file of an app under development, or the health of the host |
//! | 400 | the WebSocket handshake is malformed, or the state that a client of `hassock.v1` sends with it |
//! | 401 | the client has no token, or one that is not accepted (`[apps.NAME.auth]`) |
//! | 403 | pages of this origin may not connect |
//! | 404 | no app has that path |
//! | 421 | the request is for another host than those in `hosts` |
//! | 426 | plain HTTP to the path of a WebSocket, or a protocol version that is not 13 |
//! | 429 | the address has too many connections |
//! | 500 | the module's `open` trapped, or returned a response that is not valid |
//! | 503 | the module's `open` took too long, or all its instances are busy; or the host is stopping, has no memory left, or cannot fetch the keys of tokens |
//!
//! Modules may refuse with other statuses.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, RETRY_AFTER,
    SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};

use crate::auth::AuthError;
use crate::handshake_counts::{HandshakeCounts, HandshakeOutcome};
use crate::memory_budget::{MemoryBudget, Use};
use crate::module::bindings::hassock::host::types::Refusal;
use crate::module::{CallError, FailedCall};

/// The body type of every response of the handshake.
pub(super) type Answer = Response<Full<Bytes>>;

/// The complete response to a client at an address with too many connections.
pub(super) const TOO_MANY_CONNECTIONS: &str = "HTTP/1.1 429 Too Many Requests\r\n\
    content-type: text/plain; charset=utf-8\r\nretry-after: 10\r\ncontent-length: 47\r\nconnection: close\r\n\r\n\
    too many connections from your network address\n";

/// The same as an answer to a request that came through a proxy.
pub(super) fn too_many_connections() -> Answer {
    let mut answer = turned_down(
        HandshakeOutcome::TooMany,
        StatusCode::TOO_MANY_REQUESTS,
        "too many connections from your network address\n",
    );
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
    answer
}

/// The page loads nothing from other servers, and markup that an attacker injects into it must not do so either.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; frame-ancestors 'none'";

/// A response with a status and one sentence.
fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// The response to a handshake that ended in this way.
fn turned_down(outcome: HandshakeOutcome, status: StatusCode, sentence: impl Into<Bytes>) -> Answer {
    let mut answer = text(status, sentence);
    answer.extensions_mut().insert(outcome);
    answer
}

pub(super) fn not_found(path: &str) -> Answer {
    turned_down(HandshakeOutcome::NotFound, StatusCode::NOT_FOUND, format!("no app has the path {path}\n"))
}

/// A client of `hassock.v1` says something that cannot be read.
pub(super) fn unreadable_state(reason: &str) -> Answer {
    turned_down(HandshakeOutcome::Malformed, StatusCode::BAD_REQUEST, format!("{reason}\n"))
}

pub(super) fn wrong_origin(origin: &str) -> Answer {
    turned_down(
        HandshakeOutcome::Origin,
        StatusCode::FORBIDDEN,
        format!("pages of {origin} may not connect here; the app's key `origins` does not allow them\n"),
    )
}

/// RFC 6750, section 3: a client that has shown no token is not told of an error in it.
pub(super) fn unauthorized(error: AuthError) -> Answer {
    let challenge = match error {
        AuthError::NoKeys => return retry_later(HandshakeOutcome::NoKeys, format!("{error}\n")),
        AuthError::Missing => "Bearer",
        _ => "Bearer error=\"invalid_token\"",
    };
    let mut answer = turned_down(HandshakeOutcome::Unauthorized, StatusCode::UNAUTHORIZED, format!("{error}\n"));
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    answer
}

/// RFC 9110, section 15.5.20.
pub(super) fn other_host(host: &str) -> Answer {
    let host = host.get(..host.floor_char_boundary(300)).unwrap_or_default();
    turned_down(
        HandshakeOutcome::Host,
        StatusCode::MISDIRECTED_REQUEST,
        format!("`{host}` is not served here; to change that, add it to `hosts` in the config\n"),
    )
}

/// The host works.
pub(super) fn fine() -> Answer {
    let mut answer = text(StatusCode::OK, "ok\n");
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn stopping() -> Answer {
    retry_later(HandshakeOutcome::Stopping, "the host is stopping\n")
}

/// The app has to catch up with connections that have ended.
pub(super) fn behind() -> Answer {
    retry_later(HandshakeOutcome::Busy, "the application is busy\n")
}

pub(super) fn out_of_memory() -> Answer {
    retry_later(HandshakeOutcome::OutOfMemory, "the host has no memory left\n")
}

pub(super) fn page(page: String) -> Answer {
    let mut answer = Response::new(Full::from(page));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    answer
}

/// The client library, with a tag for its content.
pub(super) fn library(library: &'static [u8], tag: &str) -> Answer {
    let mut answer = Response::new(Full::from(library));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    of_library(headers, tag);
    answer
}

/// The client library is the one that the browser has.
pub(super) fn unchanged(tag: &str) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    of_library(answer.headers_mut(), tag);
    answer
}

fn of_library(headers: &mut HeaderMap, tag: &str) {
    // After an update of the host, pages soon have the library that belongs to it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=600"));
    // It is the same for everyone, and pages of other origins may be allowed to connect.
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
}

/// A file of an app that is under development: it may change at any moment.
pub(super) fn public_file(content: Vec<u8>, content_type: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(content));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// The data that the host gives to its test page. No other origin can read it, because the response allows none.
pub(super) fn page_data(data: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::from(data.to_string()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    answer
}

pub(super) fn only_for_the_page() -> Answer {
    text(StatusCode::FORBIDDEN, "only the test page of this host may ask this\n")
}

/// A request that is not a WebSocket handshake, or a malformed one.
pub(super) fn no_handshake(error: &Error) -> Answer {
    match error {
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::WrongHttpMethod,
        ) => upgrade_required("this is the path of a WebSocket; connect with ws://, not http://\n"),
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => {
            upgrade_required("only version 13 of the WebSocket protocol is spoken here\n")
        }
        _ => turned_down(
            HandshakeOutcome::Malformed,
            StatusCode::BAD_REQUEST,
            format!("malformed WebSocket handshake: {error}\n"),
        ),
    }
}

fn upgrade_required(sentence: &'static str) -> Answer {
    let mut answer = turned_down(HandshakeOutcome::NotWebsocket, StatusCode::UPGRADE_REQUIRED, sentence);
    let headers = answer.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // RFC 9110, section 7.8: a server that sends Upgrade lists it in Connection.
    headers.insert(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    answer
}

/// The module's `open` did not return. The client is told the version and nothing else.
pub(super) fn call_failed(failed: &FailedCall) -> Answer {
    let FailedCall { version, error } = failed;
    match error {
        CallError::Stopping => stopping(),
        CallError::Busy { .. } | CallError::HostBusy(_) => {
            retry_later(HandshakeOutcome::Busy, format!("the application is busy (version {version})\n"))
        }
        CallError::CpuTime { .. } | CallError::Timeout(_) => {
            retry_later(HandshakeOutcome::Busy, format!("the application took too long (version {version})\n"))
        }
        CallError::Returned(_)
        | CallError::Panic { .. }
        | CallError::Trap { .. }
        | CallError::Memory { .. }
        | CallError::Instantiate(_)
        | CallError::Stranded(_) => broken(version),
    }
}

/// The module returned a response that is not valid.
pub(super) fn broken(version: &str) -> Answer {
    let sentence = format!("the application failed (version {version})\n");
    turned_down(HandshakeOutcome::Failed, StatusCode::INTERNAL_SERVER_ERROR, sentence)
}

/// A task of the host failed.
pub(super) fn host_failed() -> Answer {
    turned_down(HandshakeOutcome::Failed, StatusCode::INTERNAL_SERVER_ERROR, "the host failed\n")
}

fn retry_later(outcome: HandshakeOutcome, sentence: impl Into<Bytes>) -> Answer {
    let mut answer = turned_down(outcome, StatusCode::SERVICE_UNAVAILABLE, sentence);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Count how a handshake ended, unless that was done already.
pub(super) fn count(answer: &mut Answer, counts: &HandshakeCounts) {
    if let Some(outcome) = answer.extensions_mut().remove() {
        counts.count(outcome);
    }
}

/// Marks refusals that the module chose.
#[derive(Debug, Clone, Copy)]
pub(super) struct FromModule;

/// The module's refusal, if it is a valid HTTP response.
///
/// # Errors
/// What is not valid.
pub(super) fn refused(refusal: Refusal, memory: &Arc<MemoryBudget>) -> Result<Answer, String> {
    let status = StatusCode::from_u16(refusal.status)
        .ok()
        .filter(|status| status.is_client_error() || status.is_server_error())
        .ok_or_else(|| format!("the status {} of a refusal is not 400 to 599", refusal.status))?;
    let Ok(body) = memory.keep(Use::Outbox, refusal.body) else { return Ok(out_of_memory()) };
    let mut answer = turned_down(HandshakeOutcome::Refused, status, body);
    answer.extensions_mut().insert(FromModule);
    for (name, value) in &refusal.headers {
        let (name, value) = header(name, value)?;
        has_room(answer.headers())?;
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}

/// How many header fields a module may set. Clients and proxies accept some kilobytes of them.
const FIELDS: usize = 100;

/// Whether a module may add one more header field to these.
pub(super) fn has_room(headers: &HeaderMap) -> Result<(), String> {
    match headers.len() <= FIELDS {
        true => Ok(()),
        false => Err(format!("there are more than {FIELDS} header fields")),
    }
}

/// A header field that a module may set.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parsed =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not the name of a header field"))?;
    let reserved = ["connection", "upgrade", "content-length", "transfer-encoding"].contains(&parsed.as_str())
        || parsed.as_str().starts_with("sec-websocket-");
    if reserved {
        return Err(format!("the header field `{name}` belongs to the host"));
    }
    let value =
        HeaderValue::from_str(value).map_err(|_| format!("the value of the header field `{name}` is malformed"))?;
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn the_fixed_answer_is_as_long_as_it_says() {
        let (_, body) = TOO_MANY_CONNECTIONS.split_once("\r\n\r\n").unwrap();
        assert!(TOO_MANY_CONNECTIONS.contains(&format!("content-length: {}\r\n", body.len())));
        let same = too_many_connections().into_body().collect().now_or_never().unwrap().unwrap();
        assert_eq!(same.to_bytes(), body.as_bytes());
    }

    #[test]
    fn a_module_cannot_break_the_handshake() {
        assert!(header("x-room", "lobby").is_ok());
        assert!(header("Sec-WebSocket-Accept", "x").is_err());
        assert!(header("connection", "close").is_err());
        assert!(header("x", "a\r\nb: c").is_err());
        let refusal = Refusal { status: 200, headers: Vec::new(), body: String::new() };
        assert!(refused(refusal, &Arc::default()).unwrap_err().contains("200"));
    }
}
