//! Tokens in a simulation: whatever the config says about keys, they are signed with a secret that everybody knows, so that a
//! test needs no keys. Everything else about them is as in production.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::Value as Json;
use toml::{Table, Value};

/// The secret of all simulated hosts.
pub(super) const SECRET: &str = "the secret of tests, which is not secret";

/// What says with which keys tokens are signed, and for whom.
const KEYS: [&str; 7] = ["hmac_secret", "public_key", "jwks_url", "jwks_ca", "algorithms", "issuer", "audience"];

/// A token with these claims.
pub(super) fn sign(claims: &Json) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.to_string().as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes()).as_ref()))
}

/// Let the apps of a config accept such tokens, where they demand any.
pub(super) fn simplify(config: &mut Table) {
    let apps = config.get_mut("apps").and_then(Value::as_table_mut);
    let apps = apps.into_iter().flat_map(|apps| apps.iter_mut());
    for auth in apps.filter_map(|(_, app)| app.get_mut("auth").and_then(Value::as_table_mut)) {
        for key in KEYS {
            auth.remove(key);
        }
        auth.insert("hmac_secret".to_owned(), Value::String(SECRET.to_owned()));
        let header = Value::String("header".to_owned());
        if let Some(places) =
            auth.get_mut("token_from").and_then(Value::as_array_mut).filter(|places| !places.contains(&header))
        {
            places.push(header);
        }
    }
}
