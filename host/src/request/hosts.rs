//! The names under which clients reach the host, which the `Host` header names.

use std::net::IpAddr;

use crate::config::{Config, MoreOrigins};

/// The names under which clients reach the host: requests for others are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServedHosts {
    /// Any.
    Any,
    /// These, in lower case.
    Only(Vec<String>),
    /// These, addresses and `localhost`. A website cannot let the latter refer to the host.
    WithoutDomainOr(Vec<String>),
}

impl ServedHosts {
    /// The names in the config, and what a command adds to them.
    pub(crate) fn new(config: &Config) -> Self {
        let names = config.hosts.as_ref().map(|hosts| hosts.iter().map(|host| host.to_ascii_lowercase()).collect());
        match (names, config.overrides.more_origins) {
            (names, MoreOrigins::Loopback) => Self::WithoutDomainOr(names.unwrap_or_default()),
            (Some(names), MoreOrigins::None) => Self::Only(names),
            (None, MoreOrigins::None) => Self::Any,
        }
    }
}

/// Whether clients may reach the host under the name of this `Host` header.
pub(crate) fn is_served(hosts: &ServedHosts, host: Option<&str>) -> bool {
    let authority = host.unwrap_or_default();
    match hosts {
        ServedHosts::Any => true,
        ServedHosts::Only(names) => is_one_of(names, authority),
        ServedHosts::WithoutDomainOr(names) => is_without_domain(authority) || is_one_of(names, authority),
    }
}

/// Whether the host of an authority is one of these names. An address can be written in several ways.
fn is_one_of(names: &[String], authority: &str) -> bool {
    let host = host_of(authority);
    let host = host.strip_suffix('.').unwrap_or(&host);
    match host.parse::<IpAddr>() {
        Ok(address) => names.iter().any(|name| name.parse() == Ok(address)),
        Err(_) => names.iter().any(|name| name == host),
    }
}

/// Whether an authority (`host:port`) has an address or `localhost` instead of a domain.
pub(crate) fn is_without_domain(authority: &str) -> bool {
    let host = host_of(authority);
    is_localhost(&host) || host.parse::<IpAddr>().is_ok()
}

/// The host of an authority, without its port and the brackets of an address.
pub(super) fn host_of(authority: &str) -> String {
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split_once(']').map_or(address, |(address, _)| address),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host.to_ascii_lowercase()
}

/// RFC 6761, section 6.3: names that never leave the machine.
pub(super) fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_served_under_its_names() {
        let only = ServedHosts::Only(vec!["chat.example.org".to_owned(), "0:0::1".to_owned()]);
        let developing = ServedHosts::WithoutDomainOr(vec!["chat.example.org".to_owned()]);
        assert!(is_served(&developing, Some("chat.example.org:8080")));
        for (host, everywhere) in [
            (Some("chat.example.org"), true),
            (Some("Chat.Example.org:443"), true),
            (Some("chat.example.org."), true),
            (Some("[::1]:8080"), true),
            (Some("evil.org"), false),
            (Some("chat.example.org.evil.org"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(is_served(&only, host), everywhere, "{host:?}");
            assert!(is_served(&ServedHosts::Any, host));
        }
        for host in ["127.0.0.1:8080", "[::1]", "localhost:80", "192.168.0.9", "app.localhost"] {
            assert!(is_served(&developing, Some(host)), "{host}");
        }
        for host in [Some("evil.org:8080"), Some("localhost.evil.org"), None] {
            assert!(!is_served(&developing, host), "{host:?}");
        }
    }
}
