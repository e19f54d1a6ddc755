//! The config that is in effect: each key with its value and where that comes from.

use serde::Serialize;
use serde_json::Value;
use toml::Table;

use super::load::{ConfigError, read};
use super::{Config, conceal};

/// What stands for a value that may be a secret.
const HIDDEN: &str = "…";

/// Words in the names of settings whose values are not shown.
const SECRETS: [&str; 5] = ["password", "secret", "token", "credential", "key"];

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The key, dotted.
    pub key: String,
    /// The value as it is written in a config: as in the file, with its variables, or the default. None if the key is absent
    /// and has no default.
    pub value: Option<String>,
    /// The line of the file; none for a default.
    pub line: Option<usize>,
}

impl Config {
    /// All keys, in the order of their names. Passwords are hidden, and variables are not filled in.
    ///
    /// # Errors
    /// If the file cannot be read any more.
    pub fn entries(&self) -> Result<Vec<Entry>, ConfigError> {
        let text = read(self.locator.file())?;
        // It was parsed before.
        let file: Table = text.parse().unwrap_or_default();
        let mut entries = Vec::new();
        self.collect("", &serde_json::to_value(self).unwrap_or_default(), &file, &mut entries);
        Ok(entries)
    }

    fn collect(&self, key: &str, value: &Value, file: &Table, entries: &mut Vec<Entry>) {
        let Value::Object(table) = value else {
            let written = find(file, key).map(ToString::to_string);
            let line = written.as_ref().and_then(|_| self.locator.line_of(key));
            let default = Some(value).filter(|value| !value.is_null()).map(ToString::to_string);
            let value = written.or(default).map(|value| shown(key, &value));
            return entries.push(Entry { key: key.to_owned(), value, line });
        };
        for (name, value) in table {
            let inner = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            self.collect(&inner, value, file, entries);
        }
    }
}

fn find<'a>(file: &'a Table, key: &str) -> Option<&'a toml::Value> {
    let (table, name) = match key.rsplit_once('.') {
        Some((parent, name)) => (find(file, parent)?.as_table()?, name),
        None => (file, key),
    };
    table.get(name)
}

fn shown(key: &str, value: &str) -> String {
    let is_secret = |name: &str| SECRETS.iter().any(|word| name.to_lowercase().contains(word));
    let is_token = key.starts_with("api.tokens.") && key.ends_with(".token");
    if (is_token || key.starts_with("traces.headers.")) && !value.contains("${") {
        return HIDDEN.to_owned();
    }
    let is_of_nats = ["cluster.password", "cluster.token", "cluster.nkey"].contains(&key);
    let is_variable = value.starts_with("\"${") && value.find('}') == Some(value.len() - 2);
    if key.starts_with("apps.") && key.ends_with(".auth.hmac_secret") && !is_variable || is_of_nats && !is_variable {
        return HIDDEN.to_owned();
    }
    match key.split_once(".settings.") {
        // A variable shows only its name.
        Some((_, name)) if is_secret(name) && !value.contains("${") => HIDDEN.to_owned(),
        _ => conceal::without_passwords(value),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_key_has_its_value_and_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hassock.toml");
        let text = "listen = [8080, \"unix:a.sock\"]\n[databases.main]\nurl = \"mysql://u:hunter2@h/d\"\n\
                    [apps.a]\npath = \"/a\"\nmodule = \"a.wasm\"\nlimits.cpu_time = \"2s\"\n\
                    [apps.a.settings]\nthe_token = \"hunter2\"\ncolour = \"red\"\nfrom = \"${PATH}\"\n";
        fs::write(&file, text).unwrap();
        let entries = Config::load(&file).unwrap().entries().unwrap();
        let all = serde_json::to_string(&entries).unwrap();
        assert!(!all.contains("hunter2"), "{all}");
        for (key, value, line) in [
            ("listen", Some("[8080, \"unix:a.sock\"]"), Some(1)),
            ("hosts", None, None),
            ("limits.max_connections", Some("10000"), None),
            ("databases.main.url", Some("\"mysql://…@h/d\""), Some(3)),
            ("databases.main.connect_timeout", Some("\"2s\""), None),
            ("apps.a.limits.cpu_time", Some("\"2s\""), Some(7)),
            ("apps.a.settings.the_token", Some("…"), Some(9)),
            ("apps.a.settings.colour", Some("\"red\""), Some(10)),
            ("apps.a.settings.from", Some("\"${PATH}\""), Some(11)),
        ] {
            let found: Vec<_> = entries.iter().filter(|entry| entry.key == key).collect();
            let expected = Entry { key: key.to_owned(), value: value.map(str::to_owned), line };
            assert_eq!(found, [&expected]);
        }
    }
}
