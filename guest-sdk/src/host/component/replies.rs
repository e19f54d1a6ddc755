//! What a module sends to the connection whose messages it handles leaves with the result of the call, which costs less
//! than an import for each message. Others see it in the order in which the module does it: what was collected is sent
//! before any other import that others can notice or that may wait, and before a panic.

use std::cell::RefCell;
use std::panic;

use super::packed;
use crate::bindings::hassock::host::connections;
use crate::{ConnectionError, MessageRef};

thread_local! {
    // An instance is single-threaded, and runs one call at a time.
    static REPLIES: RefCell<Replies> =
        const { RefCell::new(Replies { connection: None, room: 0, packed: Vec::new() }) };
}

struct Replies {
    /// The connection whose messages are handled; none in another call.
    connection: Option<u64>,
    /// How many bytes of messages can still be collected.
    room: usize,
    packed: Vec<u8>,
}

/// Run a call for messages of `connection` that came in so many bytes, and return what it sent and was not sent yet.
pub(crate) fn collect(
    connection: u64,
    bytes: usize,
    room: u32,
    call: impl FnOnce() -> Result<(), String>,
) -> Result<Vec<u8>, String> {
    let room = room as usize;
    REPLIES.with_borrow_mut(|replies| {
        // Many modules reply to each message with one of about the same length.
        let packed = Vec::with_capacity(bytes.min(room));
        *replies = Replies { connection: Some(connection), room, packed };
    });
    let result = call();
    REPLIES.with_borrow_mut(|replies| {
        if result.is_err() {
            replies.flush();
        }
        replies.connection = None;
        let packed = std::mem::take(&mut replies.packed);
        result.map(|()| packed)
    })
}

/// `connections.send` and `connections.send-many`
pub(super) fn send<'a>(
    connection: u64,
    messages: impl Iterator<Item = MessageRef<'a>> + Clone,
) -> Result<(), ConnectionError> {
    REPLIES.with_borrow_mut(|replies| {
        let is_own = replies.connection == Some(connection);
        let size = packed::size(messages.clone());
        if is_own && size <= replies.room {
            replies.room -= size;
            return messages.into_iter().try_for_each(|message| packed::push(&mut replies.packed, message));
        }
        replies.flush();
        let mut packed = Vec::new();
        messages.into_iter().try_for_each(|message| packed::push(&mut packed, message))?;
        let room = connections::send_packed(connection, &packed)?;
        replies.room = if is_own { room as usize } else { 0 };
        Ok(())
    })
}

/// Send what was collected, before another import.
pub(crate) fn flush() {
    REPLIES.with_borrow_mut(Replies::flush);
}

/// A panic ends the instance, so send what was collected before that.
pub(crate) fn flush_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // It is borrowed if the panic comes from here, such as for too much memory.
        REPLIES.with(|replies| {
            if let Ok(mut replies) = replies.try_borrow_mut() {
                replies.flush();
            }
        });
        report(info);
    }));
}

impl Replies {
    fn flush(&mut self) {
        self.room = 0;
        if let (Some(connection), false) = (self.connection, self.packed.is_empty()) {
            // There is room for it, so an error means that the connection is closing or has ended.
            let _ = connections::send_packed(connection, &self.packed);
            self.packed.clear();
        }
    }
}
