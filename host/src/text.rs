//! Text that may come from a module: made safe for a log and a terminal.

use std::borrow::Cow;

/// Bytes of one line of a module: enough for a stack trace, too few to fill the log.
const MAX_LINE: usize = 8 << 10;

/// At most 8 KiB of what a module said, without control characters except tabs: a module must not be able to forge
/// lines of the log.
pub(crate) fn log_line(message: &str) -> Cow<'_, str> {
    let end = message.floor_char_boundary(MAX_LINE);
    escape(message.get(..end).unwrap_or_default(), '\t')
}

/// The whole text in one line, without control characters except tabs.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, '\t')
}

/// The whole text, without control characters except line breaks: it must not be able to command the terminal.
pub(crate) fn terminal_text(text: &str) -> Cow<'_, str> {
    escape(text, '\n')
}

/// Control characters as Rust writes them, except the one that is `allowed`.
fn escape(text: &str, allowed: char) -> Cow<'_, str> {
    let is_hidden = |character: char| character.is_control() && character != allowed;
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match is_hidden(character) {
            true => escaped.extend(character.escape_default()),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cannot_be_forged_and_are_cut() {
        assert_eq!(log_line("a\n2026 ERROR b\x1b[31m\t"), "a\\n2026 ERROR b\\u{1b}[31m\t");
        assert_eq!(log_line(&"ü".repeat(MAX_LINE)).len(), MAX_LINE);
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line("a\nb\x1b[31m\tü"), "a\\nb\\u{1b}[31m\tü");
    }

    #[test]
    fn a_terminal_is_not_commanded() {
        assert_eq!(terminal_text("a\nb\x1b[31m\t"), "a\nb\\u{1b}[31m\\t");
    }
}
