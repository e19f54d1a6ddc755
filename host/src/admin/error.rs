//! Why a request to the admin listener fails.
//!
//! | status | `kind` | when |
//! |---|---|---|
//! | 400 | `parameter` | a parameter is malformed, unknown or given twice, or the request has no module |
//! | 400 | `broke-off` | the module did not arrive completely; the client is usually gone by then |
//! | 401 | `unauthorized` | the token is missing or wrong |
//! | 404 | `unknown-app`, `unknown-route` | the app or the path does not exist |
//! | 405 | `method` | the path takes another method |
//! | 408 | `timeout` | the module, or the message, did not arrive within `upload_timeout` |
//! | 409 | `recording` | the app is already being recorded |
//! | 409 | `no-canary`, `no-previous` | there is no version to promote or to roll back to |
//! | 413 | `too-large` | the module is larger than `module_bytes`, or the message than `limits.outbox_bytes` of the app |
//! | 422 | the gate's kind, or `config` | the gate refused the module, or the config file is wrong |
//! | 500 | `internal` | a bug in the host; its log has the details |
//! | 503 | `stopping` | the host is about to stop, so it is not ready |
//! | 503 | `out-of-memory` | the host has no memory left for the message |

use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::response::{self, Response};
use crate::app::PublishError;
use crate::config::{ConfigError, Duration, Size};
use crate::deploy::DeployError;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("give the token from the host's `admin.token_file` as `Authorization: Bearer TOKEN`")]
    Unauthorized,
    #[error("there is no `{0}` here")]
    NoRoute(String),
    #[error("use {0} here")]
    Method(Method),
    #[error("{0}")]
    Parameter(String),
    #[error("`{0}` is being recorded already, and an app can have only one recording at a time; wait for it or end it")]
    Recording(String),
    #[error("the module is larger than `admin.module_bytes` = {0}")]
    TooLarge(Size),
    #[error("the message is larger than `limits.outbox_bytes` = {0} of the app")]
    MessageTooLarge(Size),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("the body did not arrive within `admin.upload_timeout` = {0}")]
    TooSlow(Duration),
    #[error("the request broke off: {0}")]
    BrokeOff(#[from] hyper::Error),
    #[error(transparent)]
    Deploy(#[from] DeployError),
    #[error("the config was not reloaded; the running config stays in effect:\n{0}")]
    Reload(#[from] ConfigError),
    #[error("the host failed; its log says why")]
    Internal,
    #[error("the host is stopping")]
    Stopping,
}

/// The body of the response to a request that failed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ErrorBody {
    /// A sentence for people.
    pub(super) error: String,
    /// A word for programs, from the table above.
    pub(super) kind: String,
}

impl ApiError {
    /// The response that reports this error.
    pub(super) fn into_response(self) -> Response {
        let (status, kind) = self.status_and_kind();
        let mut response = response::json(&ErrorBody { error: self.to_string(), kind: kind.to_owned() });
        *response.status_mut() = status;
        match self {
            Self::Unauthorized => {
                let challenge = HeaderValue::from_static("Bearer realm=\"hassock\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            Self::Method(method) => {
                if let Ok(method) = HeaderValue::from_str(method.as_str()) {
                    response.headers_mut().insert(ALLOW, method);
                }
            }
            _ => {}
        }
        response
    }

    /// The table at the top.
    fn status_and_kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Parameter(_) | Self::Publish(PublishError::InvalidId) => (StatusCode::BAD_REQUEST, "parameter"),
            Self::BrokeOff(_) => (StatusCode::BAD_REQUEST, "broke-off"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::NoRoute(_) => (StatusCode::NOT_FOUND, "unknown-route"),
            Self::Deploy(DeployError::UnknownApp { .. }) => (StatusCode::NOT_FOUND, "unknown-app"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Self::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::Recording(_) => (StatusCode::CONFLICT, "recording"),
            Self::Deploy(DeployError::NoCanary { .. }) => (StatusCode::CONFLICT, "no-canary"),
            Self::Deploy(DeployError::NoPrevious { .. }) => (StatusCode::CONFLICT, "no-previous"),
            Self::TooLarge(_) | Self::MessageTooLarge(_) | Self::Publish(PublishError::TooLarge) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large")
            }
            Self::Deploy(DeployError::Gate(error)) => (StatusCode::UNPROCESSABLE_ENTITY, error.kind()),
            Self::Reload(_) => (StatusCode::UNPROCESSABLE_ENTITY, "config"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            Self::Publish(PublishError::Unavailable) => (StatusCode::SERVICE_UNAVAILABLE, "cluster"),
            Self::Publish(PublishError::OutOfMemory(_)) => (StatusCode::SERVICE_UNAVAILABLE, "out-of-memory"),
        }
    }
}
