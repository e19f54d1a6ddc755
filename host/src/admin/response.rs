//! The responses of the admin listener that are not errors.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::tail::TailReader;
use crate::record::Reader;

/// What the listener responds with.
pub(super) type Response = http::Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Marks a response with a body that continues until this token is cancelled. From then on its client has
/// `request_timeout` to read the rest.
#[derive(Clone)]
pub(super) struct Streaming(pub(super) CancellationToken);

const JSON: &str = "application/json";

/// One JSON object per line.
const JSON_LINES: &str = "application/x-ndjson";

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => text(JSON, body),
        Err(error) => {
            tracing::error!(%error, "a response of the admin listener cannot be written as JSON");
            let mut response = text(PLAIN, "the host failed; its log says why\n");
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

/// The events of a recording, as they happen.
pub(super) fn recording(reader: Reader) -> Response {
    let ended = CancellationToken::new();
    let state = (reader, ended.clone().drop_guard());
    let lines = stream::unfold(state, |(mut reader, guard)| async move {
        let lines = reader.lines().await?;
        Some((lines, (reader, guard)))
    });
    streaming(lines, ended)
}

/// The messages of a tail, as they are published.
pub(super) fn tail(reader: TailReader) -> Response {
    let ended = CancellationToken::new();
    let state = (reader, ended.clone().drop_guard());
    let lines = stream::unfold(state, |(mut reader, guard)| async move {
        let lines = reader.lines().await?;
        Some((lines, (reader, guard)))
    });
    streaming(lines, ended)
}

/// Lines that continue until `ended` is cancelled.
fn streaming(lines: impl Stream<Item = Bytes> + Send + 'static, ended: CancellationToken) -> Response {
    let frames = lines.map(|lines| Ok(Frame::data(lines)));
    let mut response = with_body(JSON_LINES, StreamBody::new(frames).boxed_unsync());
    response.extensions_mut().insert(Streaming(ended));
    response
}

/// A text.
pub(super) fn text(content_type: &'static str, text: impl Into<Bytes>) -> Response {
    with_body(content_type, Full::new(text.into()).boxed_unsync())
}

fn with_body(content_type: &'static str, body: UnsyncBoxBody<Bytes, Infallible>) -> Response {
    let mut response = http::Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
