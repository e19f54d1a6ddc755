//! `trusted_proxies`: whose word about clients counts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

/// The word for every program that can connect to a Unix socket.
const UNIX: &str = "unix";

/// Where a proxy connects from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// An address or a network.
    Network(IpNet),
    /// A Unix socket.
    Unix,
}

/// Why a text is not a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a proxy that can be trusted; write it as \"192.0.2.7\", \"10.0.0.0/8\", \"2001:db8::/32\" or \"unix\""
)]
pub struct NotAProxy(String);

impl Proxy {
    /// Whether an address is one of the proxy.
    pub fn is_at(&self, address: IpAddr) -> bool {
        match self {
            // A listener of both families shows IPv4 as IPv6.
            Self::Network(network) => network.contains(&address.to_canonical()),
            Self::Unix => false,
        }
    }
}

impl FromStr for Proxy {
    type Err = NotAProxy;

    fn from_str(text: &str) -> Result<Self, NotAProxy> {
        if text == UNIX {
            return Ok(Self::Unix);
        }
        let address = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let network = text.parse::<IpNet>().or_else(|_| address()).ok();
        // If everyone is a proxy, everyone may say anything. IPv4 in the form of IPv6 is compared as IPv4.
        let network = network.filter(|network| network.prefix_len() > 0 && !is_mapped(network));
        network.map(Self::Network).ok_or_else(|| NotAProxy(text.to_owned()))
    }
}

fn is_mapped(network: &IpNet) -> bool {
    matches!(network, IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some())
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The header fields in which proxies say who the client is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "`Config::forwarded_header` describes them")]
pub enum ForwardedHeader {
    #[default]
    XForwarded,
    Forwarded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_addresses_networks_and_unix_sockets() {
        let at = |proxy: &str, address: &str| proxy.parse::<Proxy>().unwrap().is_at(address.parse().unwrap());
        assert!(at("192.0.2.7", "192.0.2.7") && !at("192.0.2.7", "192.0.2.8"));
        assert!(at("10.0.0.0/8", "10.255.0.1") && !at("10.0.0.0/8", "11.0.0.1"));
        assert!(at("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(at("2001:db8::/32", "2001:db8:1::1") && !at("2001:db8::/32", "2001:db9::1"));
        assert!(!at("unix", "127.0.0.1"));
        assert!(at("::ffff:127.0.0.1", "127.0.0.1"));
        for text in ["", "nginx", "10.0.0.0/33", "10.0.0.0/", "*", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104"] {
            assert!(
                text.parse::<Proxy>().unwrap_err().to_string().starts_with(&format!("`{text}` is not a proxy that"))
            );
        }
    }
}
