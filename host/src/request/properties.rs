//! What holds for any request. A test and the fuzz target in `host/fuzz` check it; the judge is the parser of URLs that
//! browsers follow.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is what a failed test does")]

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, header};
use url::{Host, Url};

use super::hosts::{is_served, is_without_domain};
use super::origin::{is_allowed, is_among, line_that_allows};
use super::{Routes, ServedHosts, subprotocols};
use crate::config::{Config, MoreOrigins};

/// Check a request: its origin, host, path and subprotocols are a line each. What follows is a config.
///
/// # Panics
/// If a property does not hold.
pub(crate) fn check(text: &str) {
    let mut lines = text.splitn(5, '\n');
    let [origin, host, path, offers, config] = [(); 5].map(|()| lines.next().unwrap_or_default());
    check_subprotocols(offers);
    // The parser of requests refuses other values.
    if HeaderValue::from_str(origin).is_err() || HeaderValue::from_str(host).is_err() {
        return;
    }
    check_origin(origin, host);
    check_names(origin, host);
    if let Ok(config) = Config::parse("hassock.toml".as_ref(), config) {
        check_config(&config, origin, host, path);
    }
}

/// Without a list, a page may connect to the host that it came from.
fn check_origin(origin: &str, host: &str) {
    if is_allowed(None, Some(origin), Some(host))
        && let (Some(page), Some(host)) = (host_in(origin), host_in(&format!("http://{host}")))
    {
        assert_eq!(page, host, "{origin} may connect to another host");
    }
}

/// What is taken for this machine is this machine for a browser as well.
fn check_names(origin: &str, host: &str) {
    if is_without_domain(host)
        && let Some(Host::Domain(name)) = host_in(&format!("http://{host}"))
    {
        assert!(is_localhost(&name), "{host} has a domain");
    }
    if is_among(MoreOrigins::Loopback, Some(origin))
        && let Some(page) = host_in(origin)
    {
        let is_ours = match &page {
            Host::Domain(name) => is_localhost(name),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        assert!(is_ours, "{origin} is not this machine");
    }
}

fn check_config(config: &Config, origin: &str, host: &str, path: &str) {
    if let (ServedHosts::Only(names), true) =
        (ServedHosts::new(config), is_served(&ServedHosts::new(config), Some(host)))
        && let Some(host) = host_in(&format!("http://{host}"))
    {
        let named = |name: &String| match name.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => host == Host::<String>::Ipv6(address),
            _ => host_in(&format!("http://{name}")).is_none_or(|named| named == host),
        };
        assert!(names.iter().any(named), "{host} is not one of {names:?}");
    }
    let mut routes = Routes::default();
    for (name, app) in &config.apps {
        check_list(app.origins.as_deref(), origin);
        app.path.iter().for_each(|path| routes.insert(&format!("{name} {path}"), [path], path.clone()));
    }
    let fits = |known: &&String| known.strip_suffix('*').map_or(known == &path, |prefix| path.starts_with(prefix));
    let rank = |known: &&String| (!known.ends_with('*'), known.len());
    let expected = config.apps.values().flat_map(|app| app.path.iter()).filter(fits).max_by_key(rank);
    assert_eq!(routes.find(path), expected, "{path}");
}

/// The line that the log suggests allows this origin and what was allowed before, and nothing else.
fn check_list(allowed: Option<&[String]>, origin: &str) {
    let line = line_that_allows(allowed, origin);
    let mut table: toml::Table = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    let origins: Vec<String> = table.remove("origins").unwrap().try_into().unwrap();
    assert!(is_allowed(Some(&origins), Some(origin), None), "{line}");
    let (new, old) = origins.split_last().unwrap();
    assert_eq!((new.as_str(), old), (origin, allowed.unwrap_or_default()));
}

fn check_subprotocols(offers: &str) {
    let mut headers = HeaderMap::new();
    let Ok(value) = HeaderValue::from_str(offers) else { return };
    headers.append(header::SEC_WEBSOCKET_PROTOCOL, value);
    let offered = subprotocols::offered(&headers);
    for item in &offered {
        assert!(!item.is_empty() && !item.contains(',') && item.trim() == item, "`{item}` of `{offers}`");
    }
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(&offered.join(", ")).unwrap());
    assert_eq!(subprotocols::offered(&headers), offered);
}

/// The host of an address as a browser reads it. Origins and `Host` headers have no user and no path, and the hosts of other
/// schemes have other rules.
fn host_in(url: &str) -> Option<Host> {
    let plain = !url.contains(['@', '\\', '?', '#', '\t']) && url.matches('/').count() == 2;
    let url = Url::parse(url).ok().filter(|url| plain && ["http", "https"].contains(&url.scheme()))?;
    let host = url.host()?.to_owned();
    Some(match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
        address => address,
    })
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// `host/fuzz/run request` looks for further inputs.
    #[test]
    fn the_corpus_of_the_fuzz_target_has_all_properties() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/request");
        let read = |file: fs::DirEntry| fs::read_to_string(file.path()).unwrap();
        let texts: Vec<String> = fs::read_dir(folder).unwrap().map(|file| read(file.unwrap())).collect();
        assert!(texts.len() >= 20, "{} files", texts.len());
        texts.iter().for_each(|text| super::check(text));
    }
}
