//! Passwords in what the host says about a config. The type of a key that holds a URL hides it, but a URL can be written
//! where another type belongs, and the messages of the parser quote what they found.

/// What takes the place of a user and a password.
const HIDDEN: &str = "…";

/// What hints have in the place of a user and a password.
const EXAMPLES: [&str; 2] = ["user:password", "user:${PASSWORD}"];

/// The text without what comes before the `@` of URLs in it.
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
