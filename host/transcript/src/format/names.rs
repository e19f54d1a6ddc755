//! Names, and how error messages list them.

/// The words that begin a step, or stand before the first step. No client can have such a name.
pub(super) const KEYWORDS: [&str; 10] =
    ["connect", "publish", "sql", "advance", "swap", "fail", "failed", "set", "seed", "clock"];

/// The calls of a module, as the WIT names its exports.
pub(super) const CALLS: [&str; 7] = ["open", "receive", "closed", "connection-timer", "app-timer", "migrate", "check"];

pub(super) fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t')
}

pub(super) fn begins_name(char: char) -> bool {
    char.is_ascii_alphabetic() || char == '_'
}

pub(super) fn in_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '-')
}

/// Whether it can name a client, an app, a database or what a placeholder captures.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(begins_name) && text.chars().all(in_name)
}

/// "`a`, `b` or `c`"
pub(super) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.pop() {
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} or {last}", names.join(", ")),
        None => String::new(),
    }
}

/// "; did you mean `connect`?", or nothing if no candidate is near.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// The candidate from which the word differs by a typing error: by a third of its letters at most, but never by all.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word much longer than any name matches none, and the comparison takes time with the square of the length.
    let word = Some(word).filter(|word| word.len() <= 64)?;
    let distance = |name: &&'a str| strsim::osa_distance(word, name);
    let is_near = |name: &&'a str| distance(name) <= (name.len() / 3).max(1) && distance(name) < name.len();
    candidates.into_iter().filter(is_near).min_by_key(distance)
}
