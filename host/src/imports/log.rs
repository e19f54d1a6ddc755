//! `hassock:host/log`

use std::borrow::Cow;

use crate::module::State;
use crate::module::bindings::hassock::host::log::{Host, Level};

/// Bytes of one line of a module: enough for a stack trace, too few to drown the log.
const MAX_LINE: usize = 8 << 10;

impl Host for State {
    fn write(&mut self, level: Level, message: String) {
        if !self.log.spend() {
            return;
        }
        let Some(call) = &self.call else { return };
        let (app, version) = (&*call.app.name, &*self.version.id);
        let connection = call.connection.as_ref().map(|connection| connection.id);
        let message = cut(&message);
        // The level of an event is part of its static description, hence one each.
        match level {
            Level::Trace => tracing::trace!(app, version, connection, "{message}"),
            Level::Debug => tracing::debug!(app, version, connection, "{message}"),
            Level::Info => tracing::info!(app, version, connection, "{message}"),
            Level::Warn => tracing::warn!(app, version, connection, "{message}"),
            Level::Error => tracing::error!(app, version, connection, "{message}"),
        }
    }
}

/// At most 8 KiB of what a module said, without control characters: a module must not be able
/// to forge lines of the log.
pub fn cut(message: &str) -> Cow<'_, str> {
    let end = message.floor_char_boundary(MAX_LINE);
    let kept = message.get(..end).unwrap_or_default();
    match kept.contains(|character: char| character.is_control() && character != '\t') {
        true => Cow::Owned(kept.chars().flat_map(visible).collect()),
        false => Cow::Borrowed(kept),
    }
}

fn visible(character: char) -> impl Iterator<Item = char> {
    let hidden = character.is_control() && character != '\t';
    let escaped = hidden.then(|| character.escape_default());
    let plain = (!hidden).then_some(character);
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cannot_be_forged_and_are_cut() {
        assert_eq!(cut("a\n2026 ERROR b\x1b[31m"), "a\\n2026 ERROR b\\u{1b}[31m");
        assert_eq!(cut(&"ü".repeat(MAX_LINE)).len(), MAX_LINE);
    }
}
