//! `POST /v1/apps/APP/publish`: a message from the command line.

use hassock_frames::Payload;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::query::PublishQuery;
use crate::app::{App, Publication, PublishOptions};
use crate::client_protocol::Position;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// The app.
    pub(crate) app: String,
    /// The topic.
    pub(crate) topic: String,
    /// For how many subscribers it was queued.
    pub(crate) reached: u32,
    /// Its position, if the topic keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<Position>,
    /// A message of the same id was published before, and this is what became of that.
    pub(crate) duplicate: bool,
}

/// Publish a message.
///
/// # Errors
/// If it is not UTF-8 and was not sent as binary, or cannot be published now.
pub(super) async fn publish(app: &App, query: PublishQuery, message: &[u8]) -> Result<Published, ApiError> {
    let payload = match query.binary {
        true => Payload::binary(message),
        false => {
            let not_text = |_| {
                ApiError::Parameter(
                    "the message is not UTF-8; publish it as a binary message, with `binary`".to_owned(),
                )
            };
            Payload::text(std::str::from_utf8(message).map_err(not_text)?)
        }
    };
    let options = PublishOptions { id: query.id.as_deref(), ..PublishOptions::default() };
    app.recorder.published(&query.topic, options.id, payload);
    let Publication { reached, position, is_duplicate } = app.publish(&query.topic, payload, options).await?;
    Ok(Published { app: app.name.to_string(), topic: query.topic, reached, position, duplicate: is_duplicate })
}
