//! Placeholders: what may stand in a message in place of a value.
//!
//! In JSON that is expected, a placeholder is a whole string, such as `"${any}"` or `"${id=number}"`. In texts that
//! are expected, in messages that are sent, in targets, header fields and statements, `${id}` stands anywhere. `$${`
//! is a literal `${` in all of them.

use super::model::Regex;
use super::names::{did_you_mean, is_name, one_of};

const OPEN: &str = "${";
const ESCAPED: &str = "$${";

/// Advice for an author who did not mean a placeholder.
pub(super) const LITERAL_ADVICE: &str = "for a literal `${` write `$${`";

/// Advice for an author who expects a kind of values within a text.
const TEXT_ADVICE: &str = "kinds are for strings of JSON; for a text use `/regex/`";

/// A string of JSON that stands for other values than itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Placeholder {
    /// `${any}`, `${string}`, …, `${/regex/}`: a value of that kind.
    Kind(Kind),
    /// `${NAME=KIND}`: a value of that kind, which later steps call by that name.
    Capture(String, Kind),
    /// `${NAME}`: the value that was captured under that name.
    Captured(String),
}

/// A kind of values.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Any value, `null` too.
    Any,
    /// A string.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An array.
    Array,
    /// An object.
    Object,
    /// A string that the regular expression finds something in.
    Regex(Regex),
}

impl Kind {
    /// Each that has a name, with it.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("string", Self::String),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("array", Self::Array),
        ("object", Self::Object),
    ];

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(regex) = text.strip_prefix('/') {
            let source = regex.strip_suffix('/').ok_or("the regular expression does not end with `/`")?;
            return Ok(Self::Regex(regex_of(source)?));
        }
        Self::named(text).ok_or_else(|| {
            let near = did_you_mean(text, Self::names());
            format!("`{text}` is not a kind of value: expected {}{near}", Self::expected())
        })
    }

    fn named(text: &str) -> Option<Self> {
        Self::NAMED.into_iter().find_map(|(name, kind)| (name == text).then_some(kind))
    }

    pub(super) fn names<'a>() -> impl Iterator<Item = &'a str> {
        Self::NAMED.into_iter().map(|(name, _)| name)
    }

    /// "`any`, … or `/REGEX/`"
    pub(super) fn expected() -> String {
        one_of(Self::names().chain(["/REGEX/"]))
    }
}

impl Placeholder {
    /// Read a string of a JSON that is expected. None if it is not a placeholder, but stands for its [`literal`].
    ///
    /// # Errors
    /// If it has a `${` that is neither a placeholder nor escaped. Tells what would be accepted.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if unescaped(text).is_none() {
            return Ok(None);
        }
        let inner = text.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix('}')).ok_or_else(|| {
            format!("a placeholder is a whole string, and `{text}` is more than one: {LITERAL_ADVICE}")
        })?;
        Self::parse_inner(inner).map(Some)
    }

    fn parse_inner(inner: &str) -> Result<Self, String> {
        if inner.starts_with('/') {
            return Kind::parse(inner).map(Self::Kind);
        }
        if let Some((name, kind)) = inner.split_once('=') {
            return Ok(Self::Capture(capture_name(name)?, Kind::parse(kind)?));
        }
        if let Some(kind) = Kind::named(inner) {
            return Ok(Self::Kind(kind));
        }
        if is_name(inner) {
            return Ok(Self::Captured(inner.to_owned()));
        }
        let expected = Kind::expected();
        Err(format!(
            "`${{{inner}}}` is not a placeholder: expected {expected}, NAME=KIND or a captured NAME between the braces; \
            {LITERAL_ADVICE}"
        ))
    }
}

fn capture_name(name: &str) -> Result<String, String> {
    if Kind::named(name).is_some() {
        return Err(format!("`{name}` is a kind of value; capture under another name"));
    }
    if !is_name(name) {
        return Err(format!("`{name}` is not a name: expected a letter or `_`, then letters, digits, `_`, `.` or `-`"));
    }
    Ok(name.to_owned())
}

/// Compile a regular expression; the error is one sentence.
pub(super) fn regex_of(source: &str) -> Result<Regex, String> {
    regex::Regex::new(source).map(Regex).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("the regular expression does not compile: {reason}")
    })
}

/// The string that a text without placeholders stands for: each `$${` becomes `${`.
#[must_use]
pub fn literal(text: &str) -> String {
    text.replace(ESCAPED, OPEN)
}

/// The text that stands for exactly this string: the inverse of [`literal`].
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace(OPEN, ESCAPED)
}

/// The string of JSON that stands for any value of a kind.
#[must_use]
pub fn placeholder(kind: &Kind) -> String {
    match kind {
        Kind::Regex(regex) => format!("${{/{}/}}", regex.0.as_str()),
        named => {
            let name = Kind::NAMED.into_iter().find_map(|(name, kind)| (kind == *named).then_some(name));
            format!("${{{}}}", name.unwrap_or_default())
        }
    }
}

/// Where the first `${` is that is not escaped.
pub(super) fn unescaped(text: &str) -> Option<usize> {
    text.match_indices(OPEN).map(|(at, _)| at).find(|at| !text.get(..*at).unwrap_or_default().ends_with('$'))
}

/// A text with each `${NAME}` replaced by what `lookup` knows under that name, and `$${` by `${`.
///
/// # Errors
/// If a `${` begins no name in braces, or `lookup` does not know it.
pub fn substitute(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, reference, after)) = split(rest)? {
        result.push_str(&literal(before));
        result.push_str(&lookup(reference).ok_or_else(|| format!("nothing has been captured as `{reference}`"))?);
        rest = after;
    }
    result.push_str(&literal(rest));
    Ok(result)
}

/// The name in the first `${NAME}`, what is before and what is after it.
pub(super) fn split(text: &str) -> Result<Option<(&str, &str, &str)>, String> {
    let Some((before, rest)) = unescaped(text).and_then(|at| text.split_at_checked(at)) else { return Ok(None) };
    let inner = rest.strip_prefix(OPEN).unwrap_or_default();
    let (name, after) = inner.split_once('}').ok_or_else(|| format!("a `${{` without `}}`: {LITERAL_ADVICE}"))?;
    if !is_name(name) {
        return Err(format!("`${{{name}}}` is not the name of something captured: {LITERAL_ADVICE}"));
    }
    Ok(Some((before, name, after)))
}

/// What is wrong with a text that is expected if its first `${` begins a kind of values, or a capture.
pub(super) fn kind_in_text(text: &str) -> Option<String> {
    let inner = unescaped(text).and_then(|at| text.get(at..)?.strip_prefix(OPEN))?;
    let (shown, is_kind) = match inner.split_once('}') {
        Some((inner, _)) => (inner, inner.starts_with('/') || inner.contains('=') || Kind::named(inner).is_some()),
        None => (inner, inner.starts_with('/')),
    };
    is_kind.then(|| format!("`${{{shown}}}` stands in a text: {TEXT_ADVICE}"))
}
