//! Messages in the two forms that modules exchange with the host: one value each, or packed.

use hassock_frames::Payload;

use super::bindings::hassock::host::types::Message;

/// A message of its own.
pub(crate) fn message(payload: Payload<'_>) -> Message {
    match payload.as_text() {
        Some(text) => Message::Text(text.to_owned()),
        None => Message::Binary(payload.as_bytes().to_vec()),
    }
}

/// What a message consists of.
pub(crate) fn payload(message: &Message) -> Payload<'_> {
    match message {
        Message::Text(text) => Payload::text(text),
        Message::Binary(data) => Payload::binary(data),
    }
}
