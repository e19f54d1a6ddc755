//! What is expected of a text so that it is still right tomorrow.

use crate::format::{Regex, TextPattern};

/// A reason or a body without the module's version, which is another one after each build. None for an empty text.
pub fn stable_pattern(text: &str) -> Option<TextPattern> {
    let stem = text.trim_end().strip_suffix(')').and_then(|text| text.rsplit_once(" (version "));
    let pattern = stem.and_then(|(stem, _)| regex::Regex::new(&regex::escape(stem)).ok());
    let exact = || (!text.is_empty()).then(|| TextPattern::Exact(text.to_owned()));
    pattern.map(|regex| TextPattern::Regex(Regex(regex))).or_else(exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_left_out_and_nothing_else() {
        let shown = |text| match stable_pattern(text) {
            Some(TextPattern::Exact(text)) => text,
            Some(TextPattern::Regex(regex)) => format!("/{}/", regex.0.as_str()),
            None => "nothing".to_owned(),
        };
        assert_eq!(shown("it failed (version 0123456789ab)"), "/it failed/");
        assert_eq!(shown("it failed (twice)"), "it failed (twice)");
        assert_eq!(shown("/a"), "/a");
        assert_eq!(shown(""), "nothing");
    }
}
