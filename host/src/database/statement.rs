//! Classifies statements, as far as the host must know them before the database does.
//!
//! This keeps the pooled sessions clean: a `SET`, a `BEGIN` or a `LOCK TABLES` of one call would affect the next call
//! that gets the same session, which may belong to another app. It does not decide which statements may write: the
//! database does.

#[cfg(test)]
mod tests;

use super::error::DatabaseError;
use super::limits::Access;
use super::scanner::{Dialect, Scanner, Token};

/// The kind of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Returns rows and changes nothing.
    Read,
    /// `INSERT` or `REPLACE`: the only statements that create a row id.
    Insert,
    /// `UPDATE` or `DELETE`.
    Modify,
    /// Changes tables instead of rows, or something else that MySQL commits at once.
    Define,
    /// `CALL` and `DO`, which run code that is stored in the database.
    Call,
}

/// The context in which a statement is to run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) dialect: Dialect,
    pub(super) access: Access,
    pub(super) in_transaction: bool,
}

/// Check a statement before it is sent to the database.
///
/// # Errors
/// [`DatabaseError::Denied`] if the statement would leave something behind in the session, and
/// [`DatabaseError::Syntax`] if there is a second statement or if the number of parameters is not the number of `?`.
pub(super) fn check(sql: &str, parameters: usize, context: Context) -> Result<Verb, DatabaseError> {
    let mut facts = Facts::default();
    for token in Scanner::new(sql, context.dialect) {
        facts.note(token, context.dialect)?;
    }
    let verb = facts.verb(context)?;
    if facts.placeholders != parameters {
        let placeholders = facts.placeholders;
        return Err(DatabaseError::Syntax(format!(
            "the statement has {placeholders} `?` but {parameters} parameters were given"
        )));
    }
    Ok(verb)
}

/// What is known from the tokens so far.
#[derive(Default)]
struct Facts<'a> {
    /// The first word, or `(`.
    first: Option<&'a str>,
    /// The first verb after the `WITH` clause.
    main: Option<Verb>,
    placeholders: usize,
    words: usize,
    depth: usize,
    ended: bool,
    /// The previous name, to detect `temp.` and `OR REPLACE TEMPORARY`.
    previous: &'a str,
    /// After a `CREATE`, while the name of the object may still follow.
    naming: bool,
}

impl<'a> Facts<'a> {
    fn note(&mut self, token: Token<'a>, dialect: Dialect) -> Result<(), DatabaseError> {
        if self.ended && token != Token::Semicolon {
            return Err(DatabaseError::Syntax("one call runs one statement; there is text after the `;`".to_owned()));
        }
        let before = self.previous;
        self.previous = "";
        match token {
            Token::Semicolon => self.ended = self.first.is_some(),
            Token::Placeholder => self.placeholders += 1,
            Token::Open => {
                self.first.get_or_insert("(");
                if dialect == Dialect::MySql {
                    refuse_mysql_function(before)?;
                }
                self.depth += 1;
                self.naming = false;
            }
            Token::Close => self.depth = self.depth.saturating_sub(1),
            Token::Word(word) => self.word(word, before, dialect)?,
            Token::Quoted(name) => self.previous = name,
            // The user of `DEFINER = user@host`. What a statement that defines something leaves in its session is closed with it.
            Token::Variable if self.first.is_some_and(|first| first.eq_ignore_ascii_case("CREATE")) => {}
            Token::Symbol('.') if self.naming && before.eq_ignore_ascii_case("temp") => {
                return Err(temporary());
            }
            Token::Symbol(_) => {}
            refused => return Err(refuse(refused)),
        }
        if self.first.is_none() && !self.ended && token != Token::Semicolon {
            return Err(DatabaseError::Syntax("the statement does not begin with a word".to_owned()));
        }
        Ok(())
    }

    fn word(&mut self, word: &'a str, before: &'a str, dialect: Dialect) -> Result<(), DatabaseError> {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        let first = *self.first.get_or_insert(word);
        self.previous = word;
        self.words += 1;
        if self.words == 1 {
            self.naming = is("CREATE");
        }
        if self.naming && (is("TEMP") || is("TEMPORARY")) {
            let after_create = self.words == 2 || before.eq_ignore_ascii_case("REPLACE");
            if after_create {
                return Err(temporary());
            }
        }
        if is("AS") || is("ON") {
            self.naming = false;
        }
        if self.main.is_none() && self.depth == 0 && first.eq_ignore_ascii_case("WITH") {
            self.main = row_verb(word);
        }
        if dialect == Dialect::MySql {
            return refuse_mysql_word(word, before);
        }
        Ok(())
    }

    fn verb(&self, context: Context) -> Result<Verb, DatabaseError> {
        let Some(first) = self.first else {
            return Err(DatabaseError::Syntax("the statement is empty".to_owned()));
        };
        let keyword = first.to_ascii_uppercase();
        let verb = match keyword.as_str() {
            "WITH" => self.main.unwrap_or(Verb::Read),
            "(" | "TABLE" | "SHOW" | "DESCRIBE" | "DESC" | "EXPLAIN" => Verb::Read,
            "TRUNCATE" | "CREATE" | "ALTER" | "DROP" | "RENAME" | "OPTIMIZE" | "REINDEX" => Verb::Define,
            "CALL" | "DO" => Verb::Call,
            _ => row_verb(first).ok_or_else(|| session_statement(&keyword))?,
        };
        allow(verb, &keyword, context)
    }
}

/// The verbs that can follow a `WITH` clause.
fn row_verb(word: &str) -> Option<Verb> {
    match word.to_ascii_uppercase().as_str() {
        "SELECT" | "VALUES" => Some(Verb::Read),
        "INSERT" | "REPLACE" => Some(Verb::Insert),
        "UPDATE" | "DELETE" => Some(Verb::Modify),
        _ => None,
    }
}

/// Refuse statements that the engine would run in spite of the grant or of the open transaction.
fn allow(verb: Verb, keyword: &str, context: Context) -> Result<Verb, DatabaseError> {
    if verb == Verb::Call && context.access == Access::ReadOnly {
        return Err(DatabaseError::Denied(format!("`{keyword}` may change data, and the grant is read-only")));
    }
    if verb == Verb::Define && context.in_transaction && context.dialect == Dialect::MySql {
        return Err(DatabaseError::Denied(format!(
            "MySQL commits an open transaction before `{keyword}`; run it outside of the transaction"
        )));
    }
    Ok(verb)
}

/// Functions of MySQL with effects beyond the statement. Their names may be quoted.
fn refuse_mysql_function(name: &str) -> Result<(), DatabaseError> {
    if name.eq_ignore_ascii_case("GET_LOCK") {
        return Err(DatabaseError::Denied("a lock of `GET_LOCK` would stay in the pooled session".to_owned()));
    }
    if name.eq_ignore_ascii_case("LOAD_FILE") {
        return Err(DatabaseError::Denied("`LOAD_FILE` reads a file on the database's machine".to_owned()));
    }
    Ok(())
}

/// MySQL words that write files on the server.
fn refuse_mysql_word(word: &str, before: &str) -> Result<(), DatabaseError> {
    let is = |other: &str| word.eq_ignore_ascii_case(other);
    if before.eq_ignore_ascii_case("INTO") && (is("OUTFILE") || is("DUMPFILE")) {
        return Err(DatabaseError::Denied(format!("`INTO {word}` writes a file on the database's machine")));
    }
    Ok(())
}

/// Words that begin a statement in MySQL, MariaDB or SQLite and are refused. Any other word is a typing mistake.
const SESSION_WORDS: [&str; 36] = [
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "BINLOG",
    "CASE",
    "CHANGE",
    "CHECK",
    "COMMIT",
    "DEALLOCATE",
    "DECLARE",
    "DETACH",
    "END",
    "EXECUTE",
    "FLUSH",
    "FOR",
    "GRANT",
    "HANDLER",
    "IF",
    "INSTALL",
    "KILL",
    "LOAD",
    "LOCK",
    "LOOP",
    "PRAGMA",
    "PREPARE",
    "PURGE",
    "RELEASE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SET",
    "SHUTDOWN",
    "START",
    "UNLOCK",
    "USE",
];

fn session_statement(keyword: &str) -> DatabaseError {
    // The statement is refused in any case; the list only decides which error is returned.
    let is_known = |words: &[&str]| words.iter().any(|word| keyword.eq_ignore_ascii_case(word));
    if !is_known(&SESSION_WORDS) && !is_known(&["REPEAT", "STOP", "UNINSTALL", "VACUUM", "WHILE", "XA"]) {
        return DatabaseError::Syntax(format!("`{keyword}` is not the beginning of a statement"));
    }
    DatabaseError::Denied(format!(
        "no module may run a statement that begins with `{keyword}`: transactions are begun with `database.begin` and ended with `commit` or `rollback`; \
         session settings belong to the host"
    ))
}

fn temporary() -> DatabaseError {
    DatabaseError::Denied("a temporary table would stay in the pooled session".to_owned())
}

fn refuse(token: Token<'_>) -> DatabaseError {
    match token {
        Token::Executable => DatabaseError::Denied(
            "executable comments (`/*! */`) hide from the host what the statement does".to_owned(),
        ),
        Token::Variable => DatabaseError::Denied(
            "a user variable (`@name`) would stay in the pooled session; bind a parameter".to_owned(),
        ),
        Token::Named => DatabaseError::Syntax(
            "parameters are bound in order, as plain `?`; named and numbered ones are not supported".to_owned(),
        ),
        _ => DatabaseError::Syntax("the statement contains a NUL character".to_owned()),
    }
}
