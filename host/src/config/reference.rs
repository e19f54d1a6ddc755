//! The configuration reference of the book, written from the types of the config and their doc comments.
//!
//! After a change of the config, write it again:
//!
//! ```text
//! HASSOCK_WRITE_REFERENCE=1 cargo test --profile ci --workspace --lib configuration_reference
//! ```

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde_json::{Map, Value};

use super::{
    AdminAddress, Config, Duration, ListenAddress, ListenAddresses, Paths, Sample, Secret, Setting, Share, Size,
    SocketMode, Url,
};

const FILE: &str = "book/src/configuration.md";

/// The environment variable with which the test writes the file.
const WRITE: &str = "HASSOCK_WRITE_REFERENCE";

const INTRODUCTION: &str = "\
# Configuration

<!-- Written from the types in host/src/config. After a change there:
HASSOCK_WRITE_REFERENCE=1 cargo test --profile ci --workspace --lib configuration_reference -->

`hassock.toml` has one format for an app's folder (`hassock dev DIR`) and for a daemon with many apps
(`hassock serve --config FILE`). This page lists every key. A key that is not on it is an error that names the file, the
line and what would be accepted; `hassock check --config FILE` reports all problems at once.

* A *duration* is a string such as `\"250ms\"`, `\"30s\"`, `\"5m\"` or `\"1h\"`.
* A *size* is a string such as `\"64KiB\"` or `\"1MiB\"`, or a number of bytes.
* A *share* is a string such as `\"10%\"` or `\"2.5%\"`, more than 0% and less than 100%.
* A *path* is relative to the folder of the config file.
* `NAME` stands for a name that you choose.
";

/// The file is as the types say.
#[test]
fn configuration_reference() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let expected = render();
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "host/{FILE} differs from the types of the config; write it again with\n\
         {WRITE}=1 cargo test --profile ci --workspace --lib configuration_reference"
    );
}

/// Each key has a meaning and, unless it is optional or required, a default.
#[test]
fn every_key_is_described() {
    let page = render();
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() > 60, "{}", rows.len());
    for row in rows {
        let cells: Vec<_> = row.replace("\\|", "").split('|').map(|cell| cell.trim().to_owned()).collect();
        let [_, _, kind, default, meaning, _] = cells.as_slice() else { panic!("{row}") };
        assert!(!kind.is_empty() && meaning.len() > 20 && meaning.ends_with('.'), "{row}");
        let may_be_absent = ["Required.", "Without the key", ".NAME`"].iter().any(|words| row.contains(words));
        assert!(default != "–" || may_be_absent, "no default, and no word about what its absence means: {row}");
    }
}

fn render() -> String {
    let schema = schema_for!(Config);
    let reference = Reference { definitions: schema.get("$defs").and_then(Value::as_object) };
    let mut page = INTRODUCTION.to_owned();
    reference.table(schema.as_object().unwrap(), "", &mut page);
    page
}

struct Reference<'a> {
    definitions: Option<&'a Map<String, Value>>,
}

impl Reference<'_> {
    /// A table of the config, and those in it.
    fn table(&self, schema: &Map<String, Value>, path: &str, page: &mut String) {
        let (mut rows, mut tables) = (String::new(), Vec::new());
        for (key, property) in schema["properties"].as_object().unwrap() {
            let (inner, is_map) = self.resolve(property);
            match inner.contains_key("properties") {
                true if is_map => tables.push((inner, join(path, &format!("{key}.NAME")))),
                true => tables.push((inner, join(path, key))),
                false => self.row(key, property, &mut rows),
            }
        }
        let heading = if path.is_empty() { "The top of the file".to_owned() } else { format!("`[{path}]`") };
        write!(page, "\n## {heading}\n\n").unwrap();
        if !path.is_empty() {
            write!(page, "{}\n\n", text(schema)).unwrap();
        }
        if !rows.is_empty() {
            write!(page, "| Key | Type | Default | Meaning |\n|---|---|---|---|\n{rows}").unwrap();
        }
        for (schema, path) in tables {
            self.table(&schema, &path, page);
        }
    }

    fn row(&self, key: &str, property: &Value, rows: &mut String) {
        let (inner, is_map) = self.resolve(property);
        let name = if is_map { format!("{key}.NAME") } else { key.to_owned() };
        let default = match property.get("default") {
            None | Some(Value::Null) => "–".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "–".to_owned(),
            Some(Value::Object(_)) => "–".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        let meaning = text(property.as_object().unwrap());
        writeln!(rows, "| `{name}` | {} | {default} | {meaning} |", kind(&inner)).unwrap();
    }

    /// What a property holds behind references, options and names; and whether it holds many of them by name.
    fn resolve(&self, property: &Value) -> (Map<String, Value>, bool) {
        let object = property.as_object().unwrap();
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let name = reference.rsplit('/').next().unwrap();
            return self.resolve(&self.definitions.unwrap()[name]);
        }
        if let Some(some) = object.get("anyOf").and_then(|any| any.get(0)) {
            return self.resolve(some);
        }
        match object.get("additionalProperties") {
            Some(inner @ Value::Object(_)) => (self.resolve(inner).0, true),
            _ => (object.clone(), false),
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The doc comment, as one line of a table.
fn text(schema: &Map<String, Value>) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.replace('\n', " ").replace('|', "\\|")
}

fn kind(schema: &Map<String, Value>) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ");
    }
    let name = match &schema.get("type") {
        // An optional value is a value or null.
        Some(Value::Array(types)) => types[0].as_str().unwrap(),
        Some(Value::String(name)) => name,
        other => panic!("{other:?}"),
    };
    match (name, schema.get("format").and_then(Value::as_str)) {
        ("array", _) => "list of strings".to_owned(),
        ("string", Some(format)) => format.to_owned(),
        (name, _) => name.to_owned(),
    }
}

/// A value that is a string of a certain form.
macro_rules! string {
    ($type:ty, $format:literal) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $format.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    };
}

string!(Duration, "duration");
string!(Size, "size");
string!(Sample, "share");
string!(Share, "share");
string!(Url, "URL");
string!(Setting, "string");
string!(Secret, "string");
string!(AdminAddress, "address");
string!(ListenAddress, "address");
string!(ListenAddresses, "address");
string!(SocketMode, "mode");
string!(Paths, "string");
