//! `[apps.NAME.record]`: what `hassock record` must not show.

use serde::Deserialize;

/// What is left out of recordings before they leave the host: they are kept with tests, where anybody reads them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordConfig {
    /// Header fields of requests and answers whose values are left out. Naming any replaces the default, which is
    /// those that carry credentials.
    pub redact_headers: Vec<String>,
    /// Fields of JSON messages, at any depth and in both directions, and parameters of the query, whose values are
    /// left out.
    pub redact_fields: Vec<String>,
}

impl Default for RecordConfig {
    fn default() -> Self {
        let headers = ["authorization", "cookie", "proxy-authorization", "set-cookie"];
        Self { redact_headers: headers.map(str::to_owned).to_vec(), redact_fields: Vec::new() }
    }
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
    fn credentials_are_left_out_unless_it_says_otherwise() {
        let record = parse("redact_fields = [\"token\"]").unwrap();
        assert_eq!(record.redact_headers, RecordConfig::default().redact_headers);
        assert_eq!(record.redact_fields, ["token"]);
        assert_eq!(parse("redact_headers = []").unwrap().redact_headers, Vec::<String>::new());
        assert_eq!(parse("").unwrap(), RecordConfig::default());
    }

    #[test]
    fn a_name_that_redacts_nothing_is_a_problem() {
        let expected = "hassock.toml:5: apps.a.record.redact_headers: `x token` is no name of a header field";
        assert_eq!(parse("redact_headers = [\"cookie\", \"x token\"]").unwrap_err(), expected);
        assert!(parse("redact_field = []").unwrap_err().contains("unknown key `redact_field`"));
    }
}
