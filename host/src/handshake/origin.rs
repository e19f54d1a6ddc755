//! The origin check (RFC 6455, section 10.2): a browser lets any page open a WebSocket anywhere, with the
//! user's cookies, so the server has to look at where the page came from.

/// Whether a page of `origin` may connect. `allowed` is the app's list; without one, only pages of the
/// host that the request is for. Clients that are no browsers send no origin, and are not what this is about.
pub(super) fn is_allowed(allowed: Option<&[String]>, origin: Option<&str>, host: Option<&str>) -> bool {
    let Some(origin) = origin else { return true };
    match allowed {
        Some(allowed) => allowed.iter().any(|entry| entry == "*" || entry.eq_ignore_ascii_case(origin)),
        None => same_host(origin, host.unwrap_or_default()),
    }
}

fn same_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    let without_default =
        |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    !host.is_empty() && without_default(authority) == without_default(host)
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn without_a_list_only_the_same_host_may() {
        let host = Some("example.org:8080");
        assert!(is_allowed(None, None, host));
        assert!(is_allowed(None, Some("http://example.org:8080"), host));
        assert!(is_allowed(None, Some("https://Example.org"), Some("example.org")));
        assert!(is_allowed(None, Some("http://example.org"), Some("example.org:80")));
        for stranger in ["http://example.org", "http://evil.org:8080", "null", "", "http://example.org:8080.evil.org"] {
            assert!(!is_allowed(None, Some(stranger), host), "{stranger}");
        }
        assert!(!is_allowed(None, Some("http://"), None));
    }

    #[test]
    fn a_list_is_all_there_is() {
        let list = ["https://example.org".to_owned()];
        assert!(is_allowed(Some(&list), Some("https://example.org"), Some("x")));
        assert!(!is_allowed(Some(&list), Some("https://x"), Some("x")));
        assert!(!is_allowed(Some(&[]), Some("https://x"), Some("x")));
        assert!(is_allowed(Some(&["*".to_owned()]), Some("https://x"), None));
    }
}
