//! The config of a simulated host: that of an app's folder, or one made up for a bare module, with
//! databases in memory and without all that belongs to a machine.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{TestError, token};
use crate::config::{CompileMode, Config, Locator, Problems};

/// The database that a bare module is granted in any case.
const MAIN: &str = "main";

/// A config that can still be changed, as TOML.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    file: PathBuf,
    table: Table,
    /// Knows the lines of the text that somebody wrote, which are not those of the table.
    locator: Locator,
}

impl Draft {
    /// The config of an app's folder or of a daemon.
    pub(super) fn of_file(file: &Path) -> Result<Self, TestError> {
        let read = std::fs::read_to_string(file);
        let text = read.map_err(|error| {
            TestError(format!("{}: cannot read the config: {error}; name a hassock.toml", file.display()))
        })?;
        // Its own mistakes have lines; but where its databases are, and their passwords, is of no interest here.
        if let Err(Problems(mut problems)) = Config::parse(file, &text) {
            problems.retain(|problem| !is_secret(&problem.key));
            if !problems.is_empty() {
                return Err(TestError(Problems(problems).to_string()));
            }
        }
        let locator = Locator::new(file, &text);
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
            // Not the error itself, which quotes the line.
            TestError(locator.problem_at(error.span(), error.message()).to_string())
        })?;
        for key in ["admin", "api", "listen", "log", "watch"] {
            table.remove(key);
        }
        Ok(Self { file: file.to_owned(), table, locator })
    }

    /// A config for one module: its app has the name of the file, any path, and a database.
    pub(super) fn of_module(module: &Path) -> Result<Self, TestError> {
        let path = std::path::absolute(module).map_err(|error| TestError(error.to_string()))?;
        let name: String = module
            .file_stem()
            .map(|stem| stem.to_string_lossy().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"))
            .unwrap_or_else(|| "module".to_owned());
        // There is no config, so every problem is a problem of the module.
        let locator = Locator::new(&path, "");
        let mut draft = Self { file: path.with_file_name("hassock.toml"), table: Table::new(), locator };
        let module = path.to_str().ok_or_else(|| TestError(format!("{} is not UTF-8", path.display())))?;
        for (key, value) in [("path", "/*"), ("module", module)] {
            draft.put(&["apps", &name, key], Value::String(value.to_owned()))?;
        }
        draft.put(&["apps", &name, "origins"], Value::Array(vec![Value::String("*".to_owned())]))?;
        draft.grant(MAIN)?;
        Ok(draft)
    }

    /// Grant the apps a database, which they may have already.
    pub(super) fn grant(&mut self, database: &str) -> Result<(), TestError> {
        self.put(&["databases", database, "url"], in_memory())?;
        for app in self.apps() {
            let granted = self.table.get("apps").and_then(|apps| apps.get(&app)?.get("databases")?.get(database));
            if granted.is_none() {
                self.put(&["apps", &app, "databases", database], Value::String("read-write".to_owned()))?;
            }
        }
        Ok(())
    }

    /// Set a key of the only app, or `apps.NAME.…`, `databases.…` or `limits.…`.
    pub(super) fn set(&mut self, key: &str, value: Value) -> Result<(), TestError> {
        let words = words(key);
        let mut parts: Vec<&str> = words.iter().map(String::as_str).collect();
        // What a test does must never reach a real database.
        if let ["databases", _, "url"] = parts.as_slice() {
            return Err(TestError(format!("`{key}`: databases are in memory here; their other keys can be set")));
        }
        let apps = self.apps();
        match (parts.first().copied(), apps.as_slice()) {
            (Some("apps"), known) => {
                if let Some(app) = parts.get(1).filter(|app| !known.iter().any(|name| name == *app)) {
                    return Err(TestError(format!("there is no app `{app}`; there is `{}`", known.join("`, `"))));
                }
            }
            // A grant is a text, a database is a table.
            (Some("databases"), _) if !(parts.len() == 2 && value.is_str()) => {}
            (_, [only]) => {
                parts.insert(0, only);
                parts.insert(0, "apps");
            }
            _ => {
                let message = format!("`{key}`: say of which app, as `apps.{}.{key}`", apps.join("|"));
                return Err(TestError(message));
            }
        }
        self.put(&parts, value)
    }

    /// The config as the host takes it.
    pub(super) fn finish(&self) -> Result<Config, TestError> {
        let mut table = self.table.clone();
        // A test must not reach a real database, even if it sets a URL.
        let databases = table.get_mut("databases").and_then(Value::as_table_mut);
        let databases = databases.into_iter().flat_map(|databases| databases.iter_mut());
        for database in databases.filter_map(|(_, database)| database.as_table_mut()) {
            database.insert("url".to_owned(), in_memory());
        }
        token::simplify(&mut table);
        let text = toml::to_string(&table).map_err(|error| TestError(error.to_string()))?;
        let mut config = Config::parse(&self.file, &text).map_err(|Problems(problems)| {
            // Their lines are those of a text that nobody has seen.
            let sentences = problems.iter().map(|problem| format!("`{}`: {}", problem.key, problem.message));
            TestError(sentences.collect::<Vec<_>>().join("\n"))
        })?;
        config.watch = false;
        config.overrides.compile = CompileMode::Quick;
        config.locator = self.locator.clone();
        Ok(config)
    }

    /// Whether a database is another one, or has other limits.
    pub(super) fn has_other_databases(&self, other: &Self) -> bool {
        self.table.get("databases") != other.table.get("databases")
    }

    fn apps(&self) -> Vec<String> {
        let apps = self.table.get("apps").and_then(Value::as_table);
        apps.into_iter().flat_map(|apps| apps.keys().cloned()).collect()
    }

    fn put(&mut self, path: &[&str], value: Value) -> Result<(), TestError> {
        let Some((first, rest)) = path.split_first() else { return Ok(()) };
        match rest {
            [] => drop(self.table.insert((*first).to_owned(), value)),
            rest => put(self.table.entry(*first).or_insert_with(|| Value::Table(Table::new())), rest, value)?,
        }
        Ok(())
    }
}

/// The words of a key. Those that have dots or other signs stand in quotation marks, as in a config.
fn words(key: &str) -> Vec<String> {
    let Ok(mut table) = format!("{key} = 0").parse::<Table>() else {
        return key.split('.').map(str::to_owned).collect();
    };
    let mut words = Vec::new();
    while let Some((word, value)) = std::mem::take(&mut table).into_iter().next() {
        words.push(word);
        if let Value::Table(inner) = value {
            table = inner;
        }
    }
    words
}

/// A value as it stands in a config: `"hello"`, `5`, `[1, 2]`.
pub(super) fn value(text: &str) -> Result<Value, TestError> {
    let table = format!("value = {text}").parse::<Table>().ok().filter(|table| table.len() == 1);
    table.and_then(|mut table| table.remove("value")).ok_or_else(|| {
        let text = text.replace('\n', "\\n");
        TestError(format!("`{text}` is not a value of TOML; texts stand in quotation marks: \"{text}\""))
    })
}

fn in_memory() -> Value {
    Value::String("sqlite::memory:".to_owned())
}

fn put(place: &mut Value, path: &[&str], value: Value) -> Result<(), TestError> {
    let Some((first, rest)) = path.split_first() else {
        *place = value;
        return Ok(());
    };
    match place {
        Value::Table(table) => put(table.entry(*first).or_insert_with(|| Value::Table(Table::new())), rest, value),
        _ => Err(TestError(format!("`{first}` cannot be a key of a value that is not a table"))),
    }
}
/// Whether the value of a key holds a password, or a token, which a test does without.
fn is_secret(key: &str) -> bool {
    (key.starts_with("databases.") && key.ends_with(".url"))
        || (key.starts_with("api.tokens.") && key.ends_with(".token"))
        || (key.starts_with("apps.") && key.ends_with(".auth.hmac_secret"))
}
