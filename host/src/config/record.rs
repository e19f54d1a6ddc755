//! `[apps.NAME.record]`: what `hassock record` redacts.

use serde::{Deserialize, Serialize};

/// Parameters of the query that usually have credentials. They are always redacted.
pub(crate) const SECRET_PARAMETERS: [&str; 22] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "authorization",
    "client_secret",
    "credential",
    "id_token",
    "jwt",
    "key",
    "passwd",
    "password",
    "pwd",
    "refresh_token",
    "secret",
    "session",
    "session_id",
    "sig",
    "signature",
    "ticket",
    "token",
];

/// What is redacted in recordings before they leave the host: they are kept with tests, where anybody can read them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RecordConfig {
    /// Header fields of requests and responses whose values are redacted, besides those with credentials:
    /// `authorization`, `cookie`, `proxy-authorization` and `set-cookie` are always redacted. Name
    /// `sec-websocket-protocol` if clients send a token as a subprotocol that does not look like one.
    pub redact_headers: Vec<String>,
    /// Fields of JSON messages, at any depth and in both directions, and parameters of the query, whose values are
    /// redacted. Capital letters do not matter. A message that is not JSON, or a string in a message, is redacted as a
    /// whole if it has such a name before a colon or an equals sign. These parameters of the query are always redacted,
    /// but fields of messages only if they are named here: `access_token`, `api_key`, `apikey`, `auth`, `auth_token`,
    /// `authorization`, `client_secret`, `credential`, `id_token`, `jwt`, `key`, `passwd`, `password`, `pwd`,
    /// `refresh_token`, `secret`, `session`, `session_id`, `sig`, `signature`, `ticket` and `token`.
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
    fn the_reference_names_all_parameters_that_are_always_redacted() {
        let schema = schemars::schema_for!(RecordConfig).to_value().to_string();
        assert!(SECRET_PARAMETERS.iter().all(|name| schema.contains(&format!("`{name}`"))), "{schema}");
    }

    #[test]
    fn a_name_that_redacts_nothing_is_a_problem() {
        let expected = "hassock.toml:5: apps.a.record.redact_headers: `x token` is not the name of a header field";
        assert_eq!(parse("redact_headers = [\"cookie\", \"x token\"]").unwrap_err(), expected);
        assert!(parse("redact_field = []").unwrap_err().contains("unknown key `redact_field`"));
    }
}
