//! Texts for a terminal.

/// A text that may come from a module, without the power to command the terminal: control characters are escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for char in text.chars() {
        match char.is_control() && char != '\n' {
            false => result.push(char),
            true => result.extend(char.escape_default()),
        }
    }
    result
}
