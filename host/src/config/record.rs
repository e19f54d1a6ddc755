//! `[apps.NAME.record]`: what `hassock record` redacts.

use serde::Deserialize;

/// What is redacted in recordings before they leave the host: they are kept with tests, where anybody can read them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RecordConfig {
    /// Header fields of requests and responses whose values are redacted, besides those with credentials:
    /// `authorization`, `cookie`, `proxy-authorization` and `set-cookie` are always redacted.
    pub redact_headers: Vec<String>,
    /// Fields of JSON messages, at any depth and in both directions, and parameters of the query, whose values are
    /// redacted. Capital letters do not matter. The parameters `token`, `access_token`, `password` and `key` of the
    /// query are always redacted; fields of messages only if they are named here.
    pub redact_fields: Vec<String>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<RecordConfig, String> {
        let text = format!("[apps.a]\npath = \"/a\"\nmodule = \"a.wasm\"\n[apps.a.record]\n{text}");
        match Config::parse(Path::new("hassock.toml"), &text) {
            Ok(config) => Ok(config.apps.into_values().next().unwrap().record),
            Err(problems) => Err(problems.to_string()),
        }
    }

    #[test]
    fn names_are_read() {
        let record = parse("redact_fields = [\"token\"]\nredact_headers = [\"x-key\"]").unwrap();
        assert_eq!((record.redact_headers, record.redact_fields), (vec!["x-key".to_owned()], vec!["token".to_owned()]));
        assert_eq!(parse("").unwrap(), RecordConfig::default());
    }

    #[test]
    fn a_name_that_redacts_nothing_is_a_problem() {
        let expected = "hassock.toml:5: apps.a.record.redact_headers: `x token` is not the name of a header field";
        assert_eq!(parse("redact_headers = [\"cookie\", \"x token\"]").unwrap_err(), expected);
        assert!(parse("redact_field = []").unwrap_err().contains("unknown key `redact_field`"));
    }
}
