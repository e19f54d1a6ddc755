//! Hides values in the problems of a config: a URL with its password may stand where it does not belong.

/// What stands for a hidden part.
const HIDDEN: &str = "…";

/// How the messages about a value go on after it.
const TAILS: [&str; 2] = [", expected", "` is not "];

/// The message of the parser about the value or the name of `key`, without what may be a password. What a file has below
/// `databases` is shown in no case, and elsewhere what looks like a URL or a part of one.
pub(super) fn message(key: &str, message: &str) -> String {
    let is_of_databases = key == "databases" || key.starts_with("databases.");
    let may_hold_one = looks_like_a_url(message) || (is_of_databases && message.contains("string \""));
    match message.find(['"', '`']) {
        Some(start) if may_hold_one => {
            let tail = TAILS.iter().filter_map(|tail| message.rfind(tail)).max().and_then(|end| message.get(end..));
            let tail = tail.filter(|tail| !looks_like_a_url(tail)).unwrap_or_default();
            let hidden = tail.strip_prefix('`').unwrap_or(tail);
            [message.get(..start).unwrap_or_default(), HIDDEN, hidden].concat()
        }
        None if may_hold_one => HIDDEN.to_owned(),
        _ => message.to_owned(),
    }
}

/// A dotted key up to the first name that is not a plain one, which may be a URL that was written as a name.
pub(super) fn key(key: &str) -> String {
    if !looks_like_a_url(key) {
        return key.to_owned();
    }
    let plain = key.split('.').take_while(|name| is_plain(name));
    plain.chain([HIDDEN]).collect::<Vec<_>>().join(".")
}

/// Whether a name can be shown, because it has only letters, digits, dashes and underscores.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || "-_".contains(character))
}

fn looks_like_a_url(text: &str) -> bool {
    text.contains("://") || text.contains('@')
}
