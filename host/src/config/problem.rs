//! Problems of a config, and where they are: `hassock.toml:12: apps.chat.path: must begin with /`.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::conceal;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The config file.
    pub file: PathBuf,
    /// The line in it, from 1, where one can be named.
    pub line: Option<usize>,
    /// The key, dotted; empty if the problem is about the file as a whole.
    pub key: String,
    /// What is wrong, and what would be accepted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All problems, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Finds lines and keys in the text of a config, for messages.
#[derive(Debug, Clone, Default)]
pub struct Locator {
    file: PathBuf,
    /// Each dotted key, with the bytes at which its name or its value begins and ends, in the order of the file.
    keys: Vec<(String, std::ops::Range<usize>)>,
    /// Byte at which each line ends. The text itself is not kept: it may hold a password.
    line_ends: Vec<usize>,
}

impl Locator {
    /// Index the keys of `text`. A text that is not TOML has none.
    pub fn new(file: &Path, text: &str) -> Self {
        let mut keys = Vec::new();
        let (table, _) = DeTable::parse_recoverable(text);
        index(table.get_ref(), "", &mut keys);
        let line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(place, _)| place).collect();
        Self { file: file.to_owned(), keys, line_ends }
    }

    /// The config file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The folder of the file, to which the paths in it are relative.
    pub fn folder(&self) -> &Path {
        match self.file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// The line of a key, if the file has it.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        self.keys.iter().find(|(name, _)| name == key).map(|(_, span)| self.line(span.start))
    }

    /// A problem with the value of `key`; if the file has no such key, its nearest parent is named.
    pub fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let mut parent = key;
        let line = loop {
            if let Some((_, span)) = self.keys.iter().find(|(name, _)| name == parent) {
                break Some(self.line(span.start));
            }
            match parent.rsplit_once('.') {
                Some((before, _)) => parent = before,
                None => break None,
            }
        };
        Problem {
            file: self.file.clone(),
            line,
            key: conceal::key(key),
            message: conceal::without_passwords(&message.into()),
        }
    }

    /// A problem that the parser has found at a place in the text. Its message may quote a password.
    pub fn problem_at(&self, span: Option<std::ops::Range<usize>>, message: &str) -> Problem {
        let key = span.as_ref().map(|span| self.key(span)).unwrap_or_default();
        let line = span.map(|span| self.line(span.start));
        let message = conceal::message(&key, message);
        Problem { file: self.file.clone(), line, key: conceal::key(&key), message }
    }

    /// The innermost key that holds the place in its name or its value.
    fn key(&self, place: &std::ops::Range<usize>) -> String {
        let holds = |span: &std::ops::Range<usize>| span.start <= place.start && place.end <= span.end;
        let inner = self.keys.iter().filter(|(_, span)| holds(span)).min_by_key(|(_, span)| span.len());
        inner.map(|(key, _)| key.clone()).unwrap_or_default()
    }

    fn line(&self, byte: usize) -> usize {
        self.line_ends.partition_point(|end| *end < byte) + 1
    }
}

fn index(table: &DeTable<'_>, prefix: &str, keys: &mut Vec<(String, std::ops::Range<usize>)>) {
    for (name, value) in table {
        let key = match prefix {
            "" => name.get_ref().to_string(),
            _ => format!("{prefix}.{}", name.get_ref()),
        };
        keys.push((key.clone(), name.span()));
        keys.push((key.clone(), value.span()));
        if let DeValue::Table(inner) = value.get_ref() {
            index(inner, &key, keys);
        }
    }
}
