//! Every answer of the admin listener, in one place.
//!
//! | status | `kind` | when |
//! |---|---|---|
//! | 200 | | it is done |
//! | 400 | `parameter` | a parameter is malformed, unknown, or there twice; or no module was sent |
//! | 400 | `broke-off` | the module did not arrive as a whole; seldom does anyone read this
//! | 401 | `unauthorized` | the token is missing or wrong |
//! | 404 | `unknown-app`, `unknown-route` | there is no such app, or no such path |
//! | 405 | `method` | the path takes another method |
//! | 408 | `timeout` | the module did not arrive within `upload_timeout` |
//! | 409 | `recording` | somebody records the app already |
//! | 409 | `no-canary`, `no-previous` | there is nothing to promote, or to go back to |
//! | 413 | `too-large` | the module is larger than `module_bytes` |
//! | 422 | the gate's word, or `config` | the gate refused the module, or the config on disk is wrong |
//! | 500 | `internal` | the host has a bug, and its log says which |

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, Duration, Size};
use crate::deploy::DeployError;
use crate::record::Reader;

/// What the listener answers with.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// An answer that goes on until this is cancelled; then its client has `request_timeout` to take the rest.
#[derive(Clone)]
pub(super) struct Lasting(pub(super) CancellationToken);

/// Of JSON.
const JSON: &str = "application/json";

/// Of JSON objects, one a line.
const JSON_LINES: &str = "application/x-ndjson";

/// Of a plain sentence.
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

/// The body of an answer that is an error.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ErrorBody {
    /// A sentence for people.
    pub(super) error: String,
    /// A word for programs, from the table above.
    pub(super) kind: String,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("give the token from the host's `admin.token_file` as `Authorization: Bearer TOKEN`")]
    Unauthorized,
    #[error("there is no `{0}` here")]
    NoRoute(String),
    #[error("use {0} here")]
    Method(Method),
    #[error("{0}")]
    Parameter(String),
    #[error("`{0}` is being recorded already, and each app has room for one recording; wait for it, or end it")]
    Recording(String),
    #[error("the module is larger than `admin.module_bytes` = {0}")]
    TooLarge(Size),
    #[error("the module did not arrive within `admin.upload_timeout` = {0}")]
    TooSlow(Duration),
    #[error("the request broke off: {0}")]
    BrokeOff(#[from] hyper::Error),
    #[error(transparent)]
    Deploy(#[from] DeployError),
    #[error("the config was not reloaded, everything goes on as it was:\n{0}")]
    Reload(#[from] ConfigError),
    #[error("the host failed; its log says why")]
    Internal,
}

impl Failure {
    /// The table at the top.
    fn status_and_kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Parameter(_) => (StatusCode::BAD_REQUEST, "parameter"),
            Self::BrokeOff(_) => (StatusCode::BAD_REQUEST, "broke-off"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::NoRoute(_) => (StatusCode::NOT_FOUND, "unknown-route"),
            Self::Deploy(DeployError::UnknownApp { .. }) => (StatusCode::NOT_FOUND, "unknown-app"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Self::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::Recording(_) => (StatusCode::CONFLICT, "recording"),
            Self::Deploy(DeployError::NoCanary { .. }) => (StatusCode::CONFLICT, "no-canary"),
            Self::Deploy(DeployError::NoPrevious { .. }) => (StatusCode::CONFLICT, "no-previous"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Self::Deploy(DeployError::Gate(error)) => (StatusCode::UNPROCESSABLE_ENTITY, error.kind()),
            Self::Reload(_) => (StatusCode::UNPROCESSABLE_ENTITY, "config"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

/// A failure as its client sees it.
pub(super) fn failed(failure: &Failure) -> Answer {
    let (status, kind) = failure.status_and_kind();
    let mut answer = json(&ErrorBody { error: failure.to_string(), kind: kind.to_owned() });
    *answer.status_mut() = status;
    match failure {
        Failure::Unauthorized => {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hassock\""));
        }
        Failure::Method(method) => {
            if let Ok(method) = HeaderValue::from_str(method.as_str()) {
                answer.headers_mut().insert(ALLOW, method);
            }
        }
        _ => {}
    }
    answer
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => text(JSON, body),
        Err(error) => {
            tracing::error!(%error, "an answer of the admin listener is not JSON");
            let mut answer = text(PLAIN, "the host failed; its log says why\n");
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            answer
        }
    }
}

/// A recording, for as long as it goes on.
pub(super) fn recording(reader: Reader) -> Answer {
    let ended = CancellationToken::new();
    let lasting = (reader, ended.clone().drop_guard());
    let lines = stream::unfold(lasting, |(mut reader, guard)| async move {
        let lines = reader.lines().await?;
        Some((Ok(Frame::data(lines)), (reader, guard)))
    });
    let mut answer = body(JSON_LINES, StreamBody::new(lines).boxed_unsync());
    answer.extensions_mut().insert(Lasting(ended));
    answer
}

/// A text.
pub(super) fn text(content_type: &'static str, text: impl Into<Bytes>) -> Answer {
    body(content_type, Full::new(text.into()).boxed_unsync())
}

fn body(content_type: &'static str, body: UnsyncBoxBody<Bytes, Infallible>) -> Answer {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
