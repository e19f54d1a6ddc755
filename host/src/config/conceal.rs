//! Hides values in the problems of a config: a URL with its password may stand where it does not belong.

/// What stands for a hidden part.
const HIDDEN: &str = "…";

/// What hints have in the place of a user and a password.
const EXAMPLES: [&str; 2] = ["user:password", "user:${PASSWORD}"];

/// How the messages about a value go on after it.
const TAILS: [&str; 2] = [", expected", "` is not "];

/// The message of the parser about the value or the name of `key`, without what may be a password. What a file has below
/// `databases`, `traces`, `api`, `cluster` and `auth` of an app is shown in no case, and elsewhere what looks like a URL or a part of one.
pub(super) fn message(key: &str, message: &str) -> String {
    let is_below = |table: &str| key.split('.').next() == Some(table);
    // The name of an app may have dots.
    let is_auth = is_below("apps") && key.split('.').skip(2).any(|part| part == "auth");
    let is_secret = is_auth || ["databases", "traces", "api", "cluster"].into_iter().any(is_below);
    let may_hold_one = looks_like_a_url(message) || (is_secret && message.contains("string \""));
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

/// A text of the host itself, which may quote a value, without what comes before the `@` of URLs in it.
pub(super) fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after.find(ends_url).unwrap_or(after.len());
        let (url, behind) = after.split_at_checked(end).unwrap_or((after, ""));
        // The last one, because a password may contain others, or a `/`.
        match url.rsplit_once('@') {
            Some((user, host)) if !EXAMPLES.contains(&user) => shown.extend([HIDDEN, "@", host]),
            _ => shown.push_str(url),
        }
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

fn looks_like_a_url(text: &str) -> bool {
    text.contains("://") || text.contains('@')
}

fn ends_url(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '`')
}

#[cfg(test)]
mod tests {
    use super::without_passwords;

    #[test]
    fn only_users_and_passwords_are_hidden() {
        for (text, shown) in [
            (
                "invalid type: string \"mysql://u:hunter2@h/d\", expected",
                "invalid type: string \"mysql://…@h/d\", expected",
            ),
            ("`mysql://u:hun/te@r2@h`", "`mysql://…@h`"),
            ("mysql://u:p@a mysql://u:p@b", "mysql://…@a mysql://…@b"),
            ("mysql://u:p://q@h", "mysql://…@h"),
            ("`https://example.org` me@example.org", "`https://example.org` me@example.org"),
            ("like `mysql://user:password@host`", "like `mysql://user:password@host`"),
            ("like `mysql://user:${PASSWORD}@host`", "like `mysql://user:${PASSWORD}@host`"),
            ("://", "://"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }
}
