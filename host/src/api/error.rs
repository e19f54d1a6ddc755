//! Why a request to the API fails: the table of codes and statuses. The book has the same one, and the OpenAPI document is
//! made from it.

use axum::response::{IntoResponse, Response};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use serde::{Serialize, Serializer};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, schema};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::response::json;
use crate::app::{ConnectionError, PublishError};

/// The table: the code, the status, and when.
macro_rules! codes {
    ($($name:ident, $code:literal, $status:ident, $when:literal;)*) => {
        /// A word for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Code {
            $(#[doc = $when] $name,)*
        }

        impl Code {
            /// All of them, in the order of their statuses.
            const ALL: &[Self] = &[$(Self::$name,)*];

            const fn row(self) -> (&'static str, StatusCode, &'static str) {
                match self {
                    $(Self::$name => ($code, StatusCode::$status, $when),)*
                }
            }
        }
    };
}

codes! {
    BodyInvalid, "body_invalid", BAD_REQUEST, "the body is not JSON, or not as the operation wants it; the message names the field";
    ParameterInvalid, "parameter_invalid", BAD_REQUEST, "a parameter of the path, the query or the header is malformed, unknown or given twice";
    BrokeOff, "broke_off", BAD_REQUEST, "the body did not arrive completely";
    Unauthorized, "unauthorized", UNAUTHORIZED, "the token is missing or wrong";
    WrongApp, "wrong_app", FORBIDDEN, "the token is not for this app, whether or not it exists";
    MissingScope, "missing_scope", FORBIDDEN, "the token does not allow this operation";
    PathUnknown, "path_unknown", NOT_FOUND, "there is no such path";
    AppUnknown, "app_unknown", NOT_FOUND, "there is no such app";
    ConnectionUnknown, "connection_unknown", NOT_FOUND, "there is no such connection, or not any more";
    HistoryNone, "history_none", NOT_FOUND, "the topic keeps no history";
    MethodWrong, "method_wrong", METHOD_NOT_ALLOWED, "the path takes another method, which the header field `Allow` names";
    Timeout, "timeout", REQUEST_TIMEOUT, "the body did not arrive within `api.request_timeout`";
    ConnectionClosing, "connection_closing", CONFLICT, "the connection is closing";
    OutboxFull, "outbox_full", CONFLICT, "the client of the connection has to read what was sent before";
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, "the body is larger than `api.body_bytes`";
    MessageTooLarge, "message_too_large", PAYLOAD_TOO_LARGE, "the message is larger than `limits.outbox_bytes` of the app";
    TooManyCommands, "too_many_commands", PAYLOAD_TOO_LARGE, "there are more commands or topics than `api.batch_commands`";
    MediaTypeWrong, "media_type_wrong", UNSUPPORTED_MEDIA_TYPE, "the body is not declared as `application/json`";
    TopicInvalid, "topic_invalid", UNPROCESSABLE_ENTITY, "the name of the topic is empty or longer than 256 bytes";
    CloseInvalid, "close_invalid", UNPROCESSABLE_ENTITY, "the close code may not be sent, or the reason is longer than 123 bytes";
    Internal, "internal", INTERNAL_SERVER_ERROR, "a bug in the host; its log has the details";
    ClusterUnavailable, "cluster_unavailable", SERVICE_UNAVAILABLE, "the cluster cannot be reached now, or too much waits for it; a message may be published nevertheless, so try again with the same `id`";
    OutOfMemory, "out_of_memory", SERVICE_UNAVAILABLE, "the host has no memory left for this; try again";
}

/// Why a request, or a command of a batch, was not carried out.
#[derive(Debug, Clone, Serialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub(super) struct ApiError {
    /// A word for programs, from the table of codes.
    pub(super) code: Code,
    /// A sentence for people. It may change.
    pub(super) message: String,
}

/// The body of the response to a request that failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// Why it failed.
    pub(super) error: ApiError,
}

/// The failures of an operation without a body.
pub(super) struct Failures;

/// Those of an operation with a body.
pub(super) struct FailuresOfBody;

impl ApiError {
    /// An error with a sentence that says what is wrong, and what would be right.
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A bug, of which nothing is told.
    pub(super) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a request to the API failed");
        Self::new(Code::Internal, "the host failed; its log says why")
    }
}

impl Code {
    /// The status of its response.
    pub(super) fn status(self) -> StatusCode {
        self.row().1
    }

    /// Whether only an operation with a body fails so.
    fn is_of_a_body(self) -> bool {
        match self {
            Self::ParameterInvalid
            | Self::Unauthorized
            | Self::WrongApp
            | Self::MissingScope
            | Self::PathUnknown
            | Self::AppUnknown
            | Self::HistoryNone
            | Self::MethodWrong
            | Self::TopicInvalid
            | Self::ClusterUnavailable
            | Self::Internal => false,
            Self::BodyInvalid
            | Self::BrokeOff
            | Self::ConnectionUnknown
            | Self::Timeout
            | Self::ConnectionClosing
            | Self::OutboxFull
            | Self::BodyTooLarge
            | Self::MessageTooLarge
            | Self::TooManyCommands
            | Self::MediaTypeWrong
            | Self::CloseInvalid
            | Self::OutOfMemory => true,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response = json(&ErrorBody { error: self });
        *response.status_mut() = status;
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"hassock\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        let code = match error {
            PublishError::TooLarge => Code::MessageTooLarge,
            PublishError::InvalidId => Code::BodyInvalid,
            PublishError::Unavailable => Code::ClusterUnavailable,
            PublishError::OutOfMemory(_) => Code::OutOfMemory,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ConnectionError> for ApiError {
    fn from(error: ConnectionError) -> Self {
        let code = match error {
            ConnectionError::Unknown => Code::ConnectionUnknown,
            ConnectionError::Closing => Code::ConnectionClosing,
            ConnectionError::Full => Code::OutboxFull,
            ConnectionError::TooLarge => Code::MessageTooLarge,
            ConnectionError::OutOfMemory => Code::OutOfMemory,
            ConnectionError::CodeNotAllowed(_) | ConnectionError::ReasonTooLong => Code::CloseInvalid,
        };
        Self::new(code, error.to_string())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.row().0)
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<schema::Schema> {
        let codes = Self::ALL.iter().map(|code| code.row().0);
        let object = schema::ObjectBuilder::new().schema_type(schema::Type::String).enum_values(Some(codes));
        object.description(Some("A word for programs.")).build().into()
    }
}

impl ToSchema for Code {}

impl IntoResponses for Failures {
    fn responses() -> std::collections::BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        responses(|code| !code.is_of_a_body())
    }
}

impl IntoResponses for FailuresOfBody {
    fn responses() -> std::collections::BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        responses(|_| true)
    }
}

/// A response for each status, which lists its codes.
fn responses(has: impl Fn(Code) -> bool) -> std::collections::BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let mut responses = std::collections::BTreeMap::<String, String>::new();
    for code in Code::ALL.iter().filter(|code| has(**code)) {
        let (word, status, when) = code.row();
        let text = responses.entry(status.as_str().to_owned()).or_default();
        text.push_str(&format!("{}`{word}`: {when}", if text.is_empty() { "" } else { "\n" }));
    }
    let response = |text: String| {
        let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
        ResponseBuilder::new().description(text).content("application/json", body).build().into()
    };
    responses.into_iter().map(|(status, text)| (status, response(text))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The table of the book is this one.
    #[test]
    fn the_book_has_the_table_of_codes() {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/api.md");
        let book = std::fs::read_to_string(book).unwrap();
        let rows: Vec<String> = Code::ALL
            .iter()
            .map(|code| code.row())
            .map(|(code, status, when)| format!("| {} | `{code}` | {when} |", status.as_u16()))
            .collect();
        assert!(book.contains(&rows.join("\n")), "the table should be:\n{}", rows.join("\n"));
    }

    #[test]
    fn each_code_has_a_word_of_its_own_and_an_operation_lists_them() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.row().0).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
        let (few, all) = (Failures::responses(), FailuresOfBody::responses());
        assert!(few.contains_key("404") && !few.contains_key("413") && all.contains_key("413"));
    }
}
