//! What is wrong with a table `[apps.NAME.auth]`.

use std::net::IpAddr;

use http::Uri;

use super::validate::{MAX_SPAN, Report, at_least_one, long_enough};
use super::{AuthConfig, Size, TokenPlace};

/// The header of a message of `hassock.v1` has at most 16 KiB, of which this leaves some for the rest.
const MAX_TOKEN: Size = Size::kibibytes(8);

/// More would be a set of something else.
const MAX_KEYS: Size = Size::mebibytes(4);

/// Add every problem of the table to `report`. `key` is that of the table.
pub(super) fn validate(report: &mut Report<'_>, key: &str, auth: &AuthConfig) {
    one_source(report, key, auth);
    algorithms(report, key, auth);
    if let Some(url) = &auth.jwks_url {
        jwks_url(report, &format!("{key}.jwks_url"), url);
    }
    for (name, file) in [("public_key", &auth.public_key), ("jwks_ca", &auth.jwks_ca)] {
        if file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            report.add(&format!("{key}.{name}"), "is empty; name a file");
        }
    }
    if auth.jwks_ca.is_some() && !auth.jwks_url.as_ref().is_some_and(|url| url.starts_with("https://")) {
        report.add(&format!("{key}.jwks_ca"), "is only for a `jwks_url` with `https://`");
    }
    for (name, span) in [("jwks_keep", auth.jwks_keep), ("jwks_timeout", auth.jwks_timeout)] {
        long_enough(report, &format!("{key}.{name}"), span);
    }
    for (name, span) in [("jwks_keep", auth.jwks_keep), ("jwks_timeout", auth.jwks_timeout), ("leeway", auth.leeway)] {
        if span.get() > MAX_SPAN {
            report.add(&format!("{key}.{name}"), "must be at most 365days");
        }
    }
    at_least_one(report, &format!("{key}.jwks_bytes"), auth.jwks_bytes.bytes());
    if auth.jwks_bytes > MAX_KEYS {
        report.add(&format!("{key}.jwks_bytes"), "must be at most 4MiB");
    }
    if auth.max_token_bytes > MAX_TOKEN || auth.max_token_bytes.bytes() == 0 {
        report.add(&format!("{key}.max_token_bytes"), "must be 1 to 8KiB");
    }
    if auth.audience.as_ref().is_some_and(|audience| audience.0.is_empty()) {
        report.add(&format!("{key}.audience"), "is empty, so that no token would do; name one, or leave the key out");
    }
    places(report, &format!("{key}.token_from"), auth);
}

fn one_source(report: &mut Report<'_>, key: &str, auth: &AuthConfig) {
    let sources = [
        ("hmac_secret", auth.hmac_secret.is_some()),
        ("public_key", auth.public_key.is_some()),
        ("jwks_url", auth.jwks_url.is_some()),
    ];
    let mut given = sources.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
    match (given.next(), given.next()) {
        (None, _) => report.add(
            &format!("{key}.hmac_secret"),
            "missing; give `hmac_secret = \"${VARIABLE}\"`, `public_key = \"FILE\"` or `jwks_url = \"https://…\"`",
        ),
        (Some(one), Some(other)) => report.add(&format!("{key}.{other}"), format!("and `{one}` exclude each other")),
        _ => {}
    }
}

fn algorithms(report: &mut Report<'_>, key: &str, auth: &AuthConfig) {
    let (own, algorithms) = (format!("{key}.algorithms"), auth.algorithms());
    if algorithms.is_empty() {
        report.add(&own, "is empty, so that no token would do; name one, or leave the key out");
    }
    // A public key that is taken for a secret would let anybody make tokens.
    let is_secret = auth.hmac_secret.is_some();
    if algorithms.iter().any(|algorithm| algorithm.least_secret().is_some() != is_secret) {
        let message = match is_secret {
            true => "has one that is not for `hmac_secret`, which has `HS256`, `HS384` and `HS512`",
            false => "has one that is for `hmac_secret` only: `HS256`, `HS384` and `HS512`",
        };
        report.add(&own, message);
    }
    let least = algorithms.iter().filter_map(|algorithm| algorithm.least_secret()).max();
    if let (Some(secret), Some(least)) = (&auth.hmac_secret, least)
        && secret.expose().len() < least
    {
        let message = format!(
            "has fewer than the {least} bytes that its algorithm needs, so that it could be guessed; take what `openssl rand \
             -hex {least}` prints"
        );
        report.add(&format!("{key}.hmac_secret"), message);
    }
}

fn jwks_url(report: &mut Report<'_>, key: &str, url: &str) {
    let uri = url.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
    match uri.as_ref().and_then(Uri::scheme_str) {
        Some("https") => {}
        Some("http") if uri.as_ref().and_then(Uri::host).is_some_and(is_loopback) => {}
        Some("http") => {
            report.add(key, "has `http://`, so that anybody on the way could give the host other keys; use https")
        }
        _ => report.add(key, "is not an address; write it as \"https://example.org/.well-known/jwks.json\""),
    }
    // A path may have one.
    if uri.as_ref().and_then(Uri::authority).is_some_and(|authority| authority.as_str().contains('@')) {
        report.add(key, "has a user or a password, which the host does not send");
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn places(report: &mut Report<'_>, key: &str, auth: &AuthConfig) {
    if auth.token_from.is_empty() {
        report.add(key, "is empty, so that no request could have a token; name a place, or leave the key out");
    }
    for place in &auth.token_from {
        let is_written =
            |name: &String| !name.contains(|letter: char| letter.is_whitespace() || "&=;,".contains(letter));
        if let TokenPlace::Query(name) | TokenPlace::Cookie(name) = place
            && !is_written(name)
        {
            report.add(key, format!("`{name}` cannot be the name of a parameter or of a cookie"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, TokenAlgorithm};
    use super::*;

    const SECRET: &str = "hmac_secret = \"0123456789abcdef0123456789abcdef\"";

    fn parse(keys: &str) -> Result<AuthConfig, String> {
        let text = format!("[apps.a]\npath = \"/a\"\nmodule = \"a.wasm\"\n[apps.a.auth]\n{keys}");
        match Config::parse(Path::new("hassock.toml"), &text) {
            Ok(config) => Ok(config.apps.into_values().next().unwrap().auth.unwrap()),
            Err(problems) => Err(problems.to_string()),
        }
    }

    #[test]
    fn the_kind_of_the_key_says_which_algorithms() {
        assert_eq!(parse(SECRET).unwrap().algorithms(), [TokenAlgorithm::Hs256]);
        assert_eq!(parse("public_key = \"key.pem\"").unwrap().algorithms().len(), 4);
        let auth = parse("jwks_url = \"http://[::1]:1/keys\"\nalgorithms = [\"PS512\", \"EdDSA\"]\naudience = \"me\"")
            .unwrap();
        assert_eq!(auth.algorithms(), [TokenAlgorithm::Ps512, TokenAlgorithm::EdDSA]);
        assert_eq!(auth.audience.unwrap().0, ["me"]);
        let places = "token_from = [\"query:token\", \"cookie:session\", \"header\", \"subprotocol\"]";
        let places = parse(&format!("{SECRET}\n{places}")).unwrap().token_from;
        assert_eq!(
            places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            "query:token cookie:session header subprotocol"
        );
    }

    #[test]
    fn problems_have_line_and_key() {
        let public = "public_key = \"key.pem\"";
        for (keys, expected) in [
            ("", ":4: apps.a.auth.hmac_secret: missing; give `hmac_secret"),
            (&format!("{SECRET}\n{public}"), ":6: apps.a.auth.public_key: and `hmac_secret` exclude each other"),
            ("hmac_secret = \"short\"", ":5: apps.a.auth.hmac_secret: has fewer than the 32 bytes"),
            (
                &format!("{SECRET}\nalgorithms = [\"HS512\"]"),
                ":5: apps.a.auth.hmac_secret: has fewer than the 64 bytes",
            ),
            (&format!("{SECRET}\nalgorithms = [\"RS256\"]"), ":6: apps.a.auth.algorithms: has one that is not for"),
            (
                &format!("{public}\nalgorithms = [\"RS256\", \"HS256\"]"),
                ":6: apps.a.auth.algorithms: has one that is for",
            ),
            (&format!("{public}\nalgorithms = [\"none\"]"), ":6: apps.a.auth.algorithms: unknown value `none`"),
            (&format!("{public}\nalgorithms = []"), ":6: apps.a.auth.algorithms: is empty"),
            ("public_key = \"\"", ":5: apps.a.auth.public_key: is empty"),
            ("jwks_url = \"http://example.org/keys\"", ":5: apps.a.auth.jwks_url: has `http://`"),
            ("jwks_url = \"example\"", ":5: apps.a.auth.jwks_url: is not an address"),
            ("jwks_url = \"https://u:hunter2@h/\"", ":5: apps.a.auth.jwks_url: has a user or a password"),
            (&format!("{public}\njwks_ca = \"ca.pem\""), ":6: apps.a.auth.jwks_ca: is only for"),
            (&format!("{public}\njwks_keep = \"1ms\""), ":6: apps.a.auth.jwks_keep: must be at least 10ms"),
            (&format!("{public}\nleeway = \"400days\""), ":6: apps.a.auth.leeway: must be at most 365days"),
            (&format!("{public}\njwks_bytes = \"5MiB\""), ":6: apps.a.auth.jwks_bytes: must be at most 4MiB"),
            (&format!("{public}\nmax_token_bytes = \"13KiB\""), ":6: apps.a.auth.max_token_bytes: must be 1 to 8KiB"),
            (&format!("{public}\naudience = []"), ":6: apps.a.auth.audience: is empty"),
            (&format!("{public}\ntoken_from = []"), ":6: apps.a.auth.token_from: is empty"),
            (&format!("{public}\ntoken_from = [\"body\"]"), ":6: apps.a.auth.token_from: `body` is not a place"),
            (&format!("{public}\ntoken_from = [\"cookie:a b\"]"), ":6: apps.a.auth.token_from: `a b` cannot be"),
            ("hmac_secret = \"${HASSOCK_NO_SUCH_VARIABLE}\"", "`HASSOCK_NO_SUCH_VARIABLE` is not set"),
        ] {
            let problems = parse(keys).unwrap_err();
            assert!(problems.contains(expected) && !problems.contains("hunter2"), "missing {expected:?} in {problems}");
        }
    }

    #[test]
    fn no_problem_shows_a_secret() {
        for keys in ["hmac_secret = [\"hunter2\"]", "hmac_secret = { a = \"hunter2\" }", "hmac_secret = \"hunter2\""] {
            let problems = parse(keys).unwrap_err();
            assert!(!problems.contains("hunter2"), "{problems}");
        }
        let text = "[apps.a]\npath = \"/a\"\nmodule = \"a.wasm\"\nauth = \"hunter2hunter2\"";
        let problems = Config::parse(Path::new("hassock.toml"), text).unwrap_err().to_string();
        assert!(problems.contains("apps.a.auth") && !problems.contains("hunter2"), "{problems}");
        assert!(!format!("{:?}", parse(SECRET)).contains("0123456789abcdef"));
    }
}
