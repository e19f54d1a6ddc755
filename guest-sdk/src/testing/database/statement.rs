//! Determines the kind of a statement. The real host checks more; this finds errors that would otherwise only occur
//! there.

use crate::sql::SqlError as Error;

/// What kind of statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Returns rows and changes nothing.
    Read,
    /// The only kind that creates a row id.
    Insert,
    Modify,
    /// Changes tables rather than rows.
    Define,
}

/// What a statement does, or an error if it would leave something behind in the session.
pub(super) fn verb(sql: &str) -> Result<Verb, Error> {
    let mut words = Words { rest: sql, depth: 0 };
    let Some((first, _)) = words.next() else {
        return Err(Error::Syntax("the statement is empty".into()));
    };
    match first.as_str() {
        "WITH" => {
            let mut outside = words.filter(|(_, depth)| *depth == 0);
            Ok(outside.find_map(|(word, _)| row_verb(&word)).unwrap_or(Verb::Read))
        }
        "EXPLAIN" => Ok(Verb::Read),
        "CREATE" if words.next().is_some_and(|(word, _)| word == "TEMP" || word == "TEMPORARY") => {
            Err(Error::Denied("a temporary table would stay in the pooled session".into()))
        }
        "CREATE" | "ALTER" | "DROP" | "REINDEX" => Ok(Verb::Define),
        _ => row_verb(&first).ok_or_else(|| no_verb(&first)),
    }
}

fn row_verb(word: &str) -> Option<Verb> {
    match word {
        "SELECT" | "VALUES" => Some(Verb::Read),
        "INSERT" | "REPLACE" => Some(Verb::Insert),
        "UPDATE" | "DELETE" => Some(Verb::Modify),
        _ => None,
    }
}

fn no_verb(word: &str) -> Error {
    const OF_THE_SESSION: [&str; 14] = [
        "ANALYZE",
        "ATTACH",
        "BEGIN",
        "COMMIT",
        "DETACH",
        "END",
        "LOCK",
        "PRAGMA",
        "RELEASE",
        "ROLLBACK",
        "SAVEPOINT",
        "SET",
        "START",
        "VACUUM",
    ];
    if !OF_THE_SESSION.contains(&word) {
        return Error::Syntax(format!("`{word}` is not the beginning of a statement"));
    }
    Error::Denied(format!(
        "no module may run a statement that begins with `{word}`: transactions are begun with `begin` and ended with \
         `commit` or `rollback`; session settings belong to the host"
    ))
}

/// The words of a statement in upper case, with the number of brackets around each. Texts, quoted names
/// and comments are left out.
struct Words<'a> {
    rest: &'a str,
    depth: usize,
}

impl Iterator for Words<'_> {
    type Item = (String, usize);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let first = self.rest.chars().next()?;
            let end = |pattern: &str| self.rest.find(pattern).map(|at| at + pattern.len());
            let length = match first {
                '-' if self.rest.starts_with("--") => end("\n"),
                '/' if self.rest.starts_with("/*") => end("*/"),
                '\'' | '"' | '`' => {
                    self.rest.chars().skip(1).position(|c| c == first).and_then(|at| self.after(at + 2))
                }
                '[' => end("]"),
                c if c.is_alphanumeric() || c == '_' => return Some(self.word()),
                c => {
                    match c {
                        '(' => self.depth += 1,
                        ')' => self.depth = self.depth.saturating_sub(1),
                        _ => {}
                    }
                    Some(c.len_utf8())
                }
            };
            self.rest = length.and_then(|length| self.rest.get(length..)).unwrap_or_default();
        }
    }
}

impl Words<'_> {
    /// Where the character with this number begins.
    fn after(&self, characters: usize) -> Option<usize> {
        Some(self.rest.char_indices().nth(characters).map_or(self.rest.len(), |(at, _)| at))
    }

    fn word(&mut self) -> (String, usize) {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (word.to_ascii_uppercase(), self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_is_found_behind_comments_and_clauses() {
        for (sql, expected) in [
            ("select 1", Verb::Read),
            ("-- insert\n /* delete */ UPDATE t SET a = 1", Verb::Modify),
            (
                "WITH a AS (SELECT 'insert' FROM \"delete\"), b(c) AS (SELECT 1) INSERT INTO t SELECT * FROM b",
                Verb::Insert,
            ),
            ("with a as (insert into t values (1)) select * from a", Verb::Read),
            ("REPLACE INTO t VALUES (1)", Verb::Insert),
            ("CREATE TABLE temp (a)", Verb::Define),
        ] {
            assert_eq!(verb(sql), Ok(expected), "{sql}");
        }
    }

    #[test]
    fn what_stays_in_the_session_is_denied() {
        for sql in ["BEGIN", "pragma foreign_keys = off", "CREATE TEMP TABLE a (b)", "/* */ COMMIT"] {
            assert!(matches!(verb(sql), Err(Error::Denied(_))), "{sql}");
        }
        for sql in ["", "-- nothing", "SELEKT 1", "'text"] {
            assert!(matches!(verb(sql), Err(Error::Syntax(_))), "{sql}");
        }
    }
}
