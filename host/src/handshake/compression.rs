//! `Sec-WebSocket-Extensions`: the only extension is compression, if the app has it.

use hassock_frames::{Agreement, Deflate, negotiate};
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};

use crate::config::CompressionConfig;

/// What the client and the host agreed on.
pub(super) struct Agreed {
    /// How the host compresses.
    pub(super) deflate: Deflate,
    /// What the response says about it.
    pub(super) field: HeaderValue,
}

/// Accept the first offer of the client that can be accepted. None if the messages are not compressed.
pub(super) fn agree(config: &CompressionConfig, request: &HeaderMap) -> Option<Agreed> {
    if !config.enabled {
        return None;
    }
    // Values that are not ASCII offer nothing.
    let fields: Option<Vec<&str>> =
        request.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().map(|value| value.to_str().ok()).collect();
    let Agreement { window, response } = negotiate(fields?)?;
    let min_bytes = u32::try_from(config.min_bytes.bytes()).unwrap_or(u32::MAX);
    let field = HeaderValue::try_from(response).ok()?;
    Some(Agreed { deflate: Deflate { window, level: config.level, min_bytes }, field })
}
