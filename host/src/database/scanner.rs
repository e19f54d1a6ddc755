//! Splits SQL into the few kinds of tokens that [`super::statement`] looks at, and skips strings and comments.
//!
//! It is not a parser. If it reads a statement differently than the database does, the database still gets one prepared
//! statement in a session with the right access, and decides whether to refuse it.

/// The dialect: which rules for strings and comments apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// MySQL and MariaDB, with backslash escapes (the session's `sql_mode` ensures that).
    MySql,
    /// SQLite.
    Sqlite,
}

/// A token of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, a bare name or a number.
    Word(&'a str),
    /// The text between quotes, without decoding escapes: a string or a name.
    Quoted(&'a str),
    /// `?`.
    Placeholder,
    /// SQLite's `?1`, `:name`, `@name` and `$name`.
    Named,
    /// MySQL's `@name`, but not `@@name`. It is also in `user@host`.
    Variable,
    /// MySQL's `/*! … */` and MariaDB's `/*M! … */`, which look like comments but are executed.
    Executable,
    /// `;`.
    Semicolon,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// A NUL character, where SQLite would stop reading.
    Nul,
    /// Any other character.
    Symbol(char),
}

/// The tokens of a statement.
pub(super) struct Scanner<'a> {
    rest: &'a str,
    dialect: Dialect,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(sql: &'a str, dialect: Dialect) -> Self {
        Scanner { rest: sql, dialect }
    }

    /// Take the first `bytes` of the remaining text, or all of it.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Skip everything up to and including `end`, or all of the remaining text.
    fn skip_past(&mut self, end: &str) {
        let bytes = self.rest.find(end).map_or(self.rest.len(), |at| at + end.len());
        self.take(bytes);
    }

    /// Skip white space and comments. Returns whether there was an executable comment.
    fn skip_blanks(&mut self) -> bool {
        loop {
            let trimmed = self.rest.trim_start_matches(is_blank);
            let mut moved = trimmed.len() != self.rest.len();
            self.rest = trimmed;
            if self.at_line_comment() {
                self.skip_past("\n");
                moved = true;
            } else if self.rest.starts_with("/*") {
                if self.dialect == Dialect::MySql && (self.rest.starts_with("/*!") || self.rest.starts_with("/*M!")) {
                    return true;
                }
                self.take(2);
                self.skip_past("*/");
                moved = true;
            }
            if !moved {
                return false;
            }
        }
    }

    /// MySQL requires white space after `--`: `5--1` is six.
    fn at_line_comment(&self) -> bool {
        match self.dialect {
            Dialect::Sqlite => self.rest.starts_with("--"),
            Dialect::MySql => {
                let dashed = self.rest.strip_prefix("--");
                self.rest.starts_with('#')
                    || dashed.is_some_and(|behind| {
                        behind.chars().next().is_none_or(|next| next.is_ascii_whitespace() || next.is_ascii_control())
                    })
            }
        }
    }

    /// Take a quoted string or name that ends with `close`. The opening quote is already taken.
    fn quoted(&mut self, close: char) -> Token<'a> {
        let escapes = self.dialect == Dialect::MySql && close != '`';
        let whole = self.rest;
        let mut characters = whole.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            if character == '\\' && escapes {
                characters.next();
            } else if character == close {
                let doubled = close != ']' && characters.peek().is_some_and(|&(_, next)| next == close);
                if !doubled {
                    let content = self.take(at);
                    self.take(close.len_utf8());
                    return Token::Quoted(content);
                }
                characters.next();
            }
        }
        Token::Quoted(self.take(whole.len()))
    }

    fn word(&mut self) -> Token<'a> {
        let end = self.rest.find(|character| !in_word(character)).unwrap_or(self.rest.len());
        Token::Word(self.take(end))
    }

    /// Find the token for a character that begins a parameter or a variable. The character is already taken.
    fn marked(&mut self, mark: char) -> Token<'a> {
        let next = self.rest.chars().next().unwrap_or(' ');
        match (self.dialect, mark) {
            (Dialect::MySql, '?') => Token::Placeholder,
            (Dialect::MySql, '@') if next == '@' => {
                self.take(1);
                Token::Symbol('@')
            }
            (Dialect::MySql, '@') => Token::Variable,
            (Dialect::Sqlite, '?') if !next.is_ascii_digit() => Token::Placeholder,
            (Dialect::Sqlite, _) if in_word(next) || mark == '$' => Token::Named,
            _ => Token::Symbol(mark),
        }
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.skip_blanks() {
            self.rest = "";
            return Some(Token::Executable);
        }
        let first = self.rest.chars().next()?;
        let sqlite_parameter = first == '$' && self.dialect == Dialect::Sqlite;
        if in_word(first) && !sqlite_parameter {
            return Some(self.word());
        }
        self.take(first.len_utf8());
        Some(match first {
            '\'' | '"' | '`' => self.quoted(first),
            '[' if self.dialect == Dialect::Sqlite => self.quoted(']'),
            '?' | '@' | ':' | '$' | '#' => self.marked(first),
            ';' => Token::Semicolon,
            '(' => Token::Open,
            ')' => Token::Close,
            '\0' => Token::Nul,
            other => Token::Symbol(other),
        })
    }
}

/// What MySQL and SQLite take for white space, and a vertical tab, which only MySQL does.
fn is_blank(character: char) -> bool {
    character.is_ascii_whitespace() || character == '\x0b'
}

/// Whether a character can be part of a bare name or number.
fn in_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$') || !character.is_ascii()
}
