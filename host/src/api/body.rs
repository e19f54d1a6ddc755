//! Reads the body of a request: as much as the config allows, in time, and strictly.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use http::header::{CONTENT_TYPE, EXPECT};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use std::sync::Arc;

use super::Api;
use super::error::{ApiError, Code};
use crate::memory_budget::{Share, Use};

/// How long a client may pause while it sends the rest of a body that was refused.
const PAUSE: Duration = Duration::from_secs(1);

/// The body of a request, read as JSON. The memory budget counts its bytes for as long as this exists.
pub(super) struct Read<T> {
    pub(super) value: T,
    _memory: Share,
}

/// The same for a request that may have no body.
pub(super) struct ReadOrDefault<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Read<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let (head, mut body) = request.into_parts();
        let read = read(&head.headers, &mut body, api).await;
        if read.is_err() {
            discard(&head.headers, body);
        }
        let (bytes, memory) = read?;
        Ok(Self { value: parse(&bytes)?, _memory: memory })
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<Api>> for ReadOrDefault<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        match request.body().is_end_stream() {
            true => Ok(Self(T::default())),
            // `null` says the same as no body.
            false => {
                Read::<Option<T>>::from_request(request, api).await.map(|read| Self(read.value.unwrap_or_default()))
            }
        }
    }
}

/// How long in all, so that a client without a token does not keep its connection by sending little by little.
const LONGEST: Duration = Duration::from_secs(10);

/// Read what the client is still sending: if its bytes are refused, it may never read the response. A client that waits for
/// `100 Continue` does not send any.
pub(super) fn discard(headers: &HeaderMap, mut body: Body) {
    if !body.is_end_stream() && !headers.contains_key(EXPECT) {
        let read = async move { while let Ok(Some(Ok(_))) = timeout(PAUSE, body.frame()).await {} };
        tokio::spawn(timeout(LONGEST, read));
    }
}

async fn read(headers: &HeaderMap, body: &mut Body, api: &Api) -> Result<(Vec<u8>, Share), ApiError> {
    if !is_json(headers) {
        let message = "send the body as JSON, with the header field `Content-Type: application/json`";
        return Err(ApiError::new(Code::MediaTypeWrong, message));
    }
    let (most, limit) = (api.config.body_bytes, api.config.request_timeout);
    let too_large = || ApiError::new(Code::BodyTooLarge, format!("the body is larger than `api.body_bytes` = {most}"));
    // A body that announces too many bytes is refused before it is read.
    if body.size_hint().lower() > most.bytes() as u64 {
        return Err(too_large());
    }
    let memory = api.state.context.memory.share(Use::Input);
    let collect = async {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let broke_off = |error| ApiError::new(Code::BrokeOff, format!("the request broke off: {error}"));
            let Ok(data) = frame.map_err(broke_off)?.into_data() else { continue };
            if bytes.len() + data.len() > most.bytes() {
                return Err(too_large());
            }
            let out_of_memory = |error| ApiError::new(Code::OutOfMemory, format!("{error}"));
            memory.resize(bytes.len() + data.len()).map_err(out_of_memory)?;
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    };
    let too_slow =
        |_| ApiError::new(Code::Timeout, format!("the body did not arrive within `api.request_timeout` = {limit}"));
    let bytes = timeout(limit.get(), collect).await.map_err(too_slow)??;
    Ok((bytes, memory))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// Read strictly: an error names the field.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let invalid = |message: String| ApiError::new(Code::BodyInvalid, message);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => invalid(error.inner().to_string()),
            _ => invalid(format!("`{path}`: {}", error.inner())),
        }
    })?;
    deserializer.end().map_err(|error| invalid(error.to_string()))?;
    Ok(value)
}
