//! Messages in the packed form, `types.packed-messages` in `wit/`.

use crate::{ConnectionError, MessageRef};

/// The bit of a head that says that the message is a text.
const TEXT: u32 = 1 << 31;

/// What a message counts in an outbox in addition to its payload, in bytes.
const OVERHEAD: usize = 64;

/// The bytes of a head, which comes before each payload.
const HEAD: usize = 4;

/// Add a message.
pub(super) fn push(packed: &mut Vec<u8>, message: MessageRef<'_>) -> Result<(), ConnectionError> {
    let payload = message.as_bytes();
    let length = u32::try_from(payload.len()).ok().filter(|length| length & TEXT == 0);
    let length = length.ok_or_else(|| ConnectionError::TooLarge("2 GiB or more".to_owned()))?;
    let head = length | if message.is_text() { TEXT } else { 0 };
    packed.reserve(HEAD + payload.len());
    packed.extend_from_slice(&head.to_le_bytes());
    packed.extend_from_slice(payload);
    Ok(())
}

/// The messages in their order.
pub(crate) fn messages(packed: &[u8]) -> impl Iterator<Item = MessageRef<'_>> {
    let mut rest = packed;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_first_chunk::<HEAD>()?;
        let head = u32::from_le_bytes(*head);
        let (payload, after) = after.split_at_checked((head & !TEXT) as usize)?;
        rest = after;
        Some(MessageRef::from_host(head & TEXT != 0, payload))
    })
}

/// What messages count in an outbox.
pub(super) fn size<'a>(messages: impl Iterator<Item = MessageRef<'a>>) -> usize {
    messages.map(|message| message.as_bytes().len() + OVERHEAD).sum()
}
