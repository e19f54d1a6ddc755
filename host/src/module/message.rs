//! Messages in the two forms that modules exchange with the host: one value each, or packed.

use hassock_frames::Payload;

use super::bindings::hassock::host::types::Message;

/// A message of its own.
pub(crate) fn message(payload: Payload<'_>) -> Message {
    match payload {
        Payload::Text(text) => Message::Text(text.to_owned()),
        Payload::Binary(data) => Message::Binary(data.to_vec()),
    }
}

/// What a message consists of.
pub(crate) fn payload(message: &Message) -> Payload<'_> {
    match message {
        Message::Text(text) => Payload::Text(text),
        Message::Binary(data) => Payload::Binary(data),
    }
}
