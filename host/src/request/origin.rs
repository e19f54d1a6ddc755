//! The origin check (RFC 6455, section 10.2). A browser lets any page open a WebSocket to any server, with the user's
//! cookies, so the server has to check the origin of the page.

use std::net::IpAddr;

use super::hosts::{host_of, is_localhost};
use crate::config::MoreOrigins;

/// Whether a page of `origin` may connect. `allowed` is the app's list. An app without a list allows only pages of
/// the host that the request names. A client without an origin is not a browser, and is not restricted here.
pub(crate) fn is_allowed(allowed: Option<&[String]>, origin: Option<&str>, host: Option<&str>) -> bool {
    let Some(origin) = origin else { return true };
    match allowed {
        Some(allowed) => allowed.iter().any(|entry| entry == "*" || entry.eq_ignore_ascii_case(origin)),
        None => is_same_host(origin, host.unwrap_or_default()),
    }
}

/// Whether the host lets this origin connect to every app.
pub(crate) fn is_among(more: MoreOrigins, origin: Option<&str>) -> bool {
    match more {
        MoreOrigins::None => false,
        MoreOrigins::Loopback => origin.is_some_and(is_loopback),
    }
}

/// The line of the config that would allow `origin` as well.
pub(crate) fn line_that_allows(allowed: Option<&[String]>, origin: &str) -> String {
    let entries = allowed.unwrap_or_default().iter().map(String::as_str).chain([origin]);
    // An escaped JSON string is also a valid TOML string.
    let quoted: Vec<String> = entries.map(|entry| serde_json::json!(entry).to_string()).collect();
    format!("origins = [{}]", quoted.join(", "))
}

/// Whether the page was loaded from this machine, under any of its names or addresses and on any port.
fn is_loopback(origin: &str) -> bool {
    let Some(("http" | "https", authority)) = origin.split_once("://") else { return false };
    let host = host_of(authority);
    is_localhost(&host) || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_same_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return false;
    };
    let default_port = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    let without_default =
        |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    !host.is_empty() && without_default(authority) == without_default(host)
}

/// RFC 3986, section 3.1. A prefix that is not a scheme would hide where the host begins.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_list_only_pages_of_the_same_host_are_allowed() {
        let host = Some("example.org:8080");
        assert!(is_allowed(None, None, host));
        assert!(is_allowed(None, Some("http://example.org:8080"), host));
        assert!(is_allowed(None, Some("https://Example.org"), Some("example.org")));
        assert!(is_allowed(None, Some("http://example.org"), Some("example.org:80")));
        for stranger in [
            "http://example.org",
            "http://evil.org:8080",
            "null",
            "",
            "http://example.org:8080.evil.org",
            "http:https://example.org:8080",
        ] {
            assert!(!is_allowed(None, Some(stranger), host), "{stranger}");
        }
        assert!(!is_allowed(None, Some("http://"), None));
    }

    #[test]
    fn a_list_allows_nothing_else() {
        let list = ["https://example.org".to_owned()];
        assert!(is_allowed(Some(&list), Some("https://example.org"), Some("x")));
        assert!(!is_allowed(Some(&list), Some("https://x"), Some("x")));
        assert!(!is_allowed(Some(&[]), Some("https://x"), Some("x")));
        assert!(is_allowed(Some(&["*".to_owned()]), Some("https://x"), None));
    }

    #[test]
    fn loopback_is_this_machine_by_any_name() {
        for origin in [
            "http://localhost:5173",
            "https://LOCALHOST",
            "http://app.localhost:3000",
            "http://127.0.0.1:8000",
            "http://127.9.9.9",
            "http://[::1]:5173",
        ] {
            assert!(is_among(MoreOrigins::Loopback, Some(origin)), "{origin}");
            assert!(!is_among(MoreOrigins::None, Some(origin)), "{origin}");
        }
        for origin in [
            "http://localhost.evil.org",
            "http://evillocalhost",
            "http://127.0.0.1.evil.org",
            "http://192.168.0.1:5173",
            "http://[::2]",
            "file://localhost",
            "null",
            "localhost",
        ] {
            assert!(!is_among(MoreOrigins::Loopback, Some(origin)), "{origin}");
        }
        assert!(!is_among(MoreOrigins::Loopback, None));
    }

    #[test]
    fn the_line_allows_the_origin() {
        #[derive(serde::Deserialize)]
        struct Keys {
            origins: Vec<String>,
        }
        let list = ["https://example.org".to_owned()];
        assert_eq!(line_that_allows(None, "http://localhost:5173"), r#"origins = ["http://localhost:5173"]"#);
        for origin in ["http://localhost:5173", "null", "http://a\"] #", "http://a\\"] {
            let Keys { origins } = toml::from_str(&line_that_allows(Some(&list), origin)).unwrap();
            assert_eq!(origins, ["https://example.org", origin]);
            assert!(is_allowed(Some(&origins), Some(origin), None));
        }
    }
}
