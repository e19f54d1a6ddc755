//! What proxies say about clients. Only the word of a trusted proxy counts (`trusted_proxies`): anyone can write a header.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};
use rfc7239::{Forwarded, NodeIdentifier, NodeName};

use super::ClientAddress;
use crate::config::{ForwardedHeader, Proxy};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// The proxies that the host trusts.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    proxies: Vec<Proxy>,
    header: ForwardedHeader,
}

/// What a request says about its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedClient {
    /// The client, or the proxy that is nearest to it among those that can be trusted.
    pub address: ClientAddress,
    /// Whether the client used TLS, if a proxy says so.
    pub is_secure: Option<bool>,
}

impl TrustedProxies {
    /// These proxies, which write this kind of header.
    pub fn new(proxies: Vec<Proxy>, header: ForwardedHeader) -> Self {
        Self { proxies, header }
    }

    /// Whether what comes from an address is said by a proxy.
    pub fn trusts(&self, address: &ClientAddress) -> bool {
        match address.ip() {
            Some(ip) => self.proxies.iter().any(|proxy| proxy.is_at(ip)),
            None => self.proxies.contains(&Proxy::Unix),
        }
    }

    /// What the headers of a request from a trusted `peer` say. Each proxy adds what it sees behind what is there already,
    /// so the last entry is from the peer itself. Entries count from there, for as long as they come from trusted proxies.
    pub fn client_of(&self, peer: ClientAddress, headers: &HeaderMap) -> ForwardedClient {
        match self.header {
            ForwardedHeader::XForwarded => self.by_x_forwarded(peer, headers),
            ForwardedHeader::Forwarded => self.by_forwarded(peer, headers),
        }
    }

    fn by_x_forwarded(&self, peer: ClientAddress, headers: &HeaderMap) -> ForwardedClient {
        let address = self.nearest(peer, entries(headers, &X_FORWARDED_FOR).map(|entry| address(entry?)));
        let proto = entries(headers, &X_FORWARDED_PROTO).next().flatten();
        ForwardedClient { address, is_secure: proto.and_then(is_secure) }
    }

    fn by_forwarded(&self, peer: ClientAddress, headers: &HeaderMap) -> ForwardedClient {
        let elements = entries(headers, &FORWARDED).map_while(|entry| rfc7239::parse(entry?).next()?.ok());
        let elements: Vec<_> = elements.collect();
        let address = self.nearest(peer, elements.iter().map(node));
        let proto = elements.first().and_then(|element| element.protocol);
        ForwardedClient { address, is_secure: proto.and_then(is_secure) }
    }

    fn nearest(&self, peer: ClientAddress, named: impl Iterator<Item = Option<ClientAddress>>) -> ClientAddress {
        let mut nearest = peer;
        for address in named {
            let Some(address) = address.filter(|_| self.trusts(&nearest)) else { break };
            nearest = address;
        }
        nearest
    }
}

/// The values of a header field, which may be in several lines, from the last one. None stands for one that is not text: those
/// before it may be the client's, and those behind it are not.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    let lines = headers.get_all(name).into_iter().rev().map(HeaderValue::as_bytes);
    let entries = lines.flat_map(|line| line.rsplit(|byte| *byte == b','));
    entries.map(|entry| std::str::from_utf8(entry).ok().filter(|text| text.is_ascii()).map(str::trim))
}

/// An address as proxies write it: with or without a port, one of IPv6 with or without brackets.
fn address(text: &str) -> Option<ClientAddress> {
    let with_port = || text.parse::<SocketAddr>().ok().map(ClientAddress::Socket);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().ok().map(ClientAddress::Ip).or_else(with_port)
}

fn node(element: &Forwarded<'_>) -> Option<ClientAddress> {
    let NodeIdentifier { name: NodeName::Ip(ip), port } = element.forwarded_for.as_ref()? else { return None };
    Some(match port {
        Some(port) => ClientAddress::Socket(SocketAddr::new(*ip, *port)),
        None => ClientAddress::Ip(*ip),
    })
}

fn is_secure(proto: &str) -> Option<bool> {
    match proto.trim_matches('"').to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ForwardedHeader) -> TrustedProxies {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32", "unix"];
        TrustedProxies::new(trusted.iter().map(|text| text.parse().unwrap()).collect(), header)
    }

    fn client(header: ForwardedHeader, peer: &str, lines: &[(&'static str, &str)]) -> (String, Option<bool>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let peer = if peer == "unix" { ClientAddress::Local { user: 1 } } else { address(peer).unwrap() };
        let client = proxies(header).client_of(peer, &headers);
        (client.address.to_string(), client.is_secure)
    }

    #[test]
    fn x_forwarded_for_is_read_from_its_end() {
        let of = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            client(ForwardedHeader::XForwarded, "127.0.0.1:9", &lines).0
        };
        assert_eq!(of(&[]), "127.0.0.1:9");
        assert_eq!(of(&["192.0.2.7"]), "192.0.2.7");
        assert_eq!(of(&["198.51.100.1, 192.0.2.7"]), "192.0.2.7", "the client wrote the first one");
        assert_eq!(of(&["198.51.100.1", "192.0.2.7, 10.1.1.1"]), "192.0.2.7");
        assert_eq!(of(&["10.1.1.1,10.1.1.2"]), "10.1.1.1", "all are proxies");
        assert_eq!(of(&["192.0.2.7:1234"]), "192.0.2.7:1234");
        assert_eq!(of(&["2001:db9::1"]), "2001:db9::1");
        assert_eq!(of(&["[2001:db9::1]"]), "2001:db9::1");
        assert_eq!(of(&["[2001:db9::1]:99"]), "[2001:db9::1]:99");
        assert_eq!(of(&["198.51.100.1, unknown"]), "127.0.0.1:9", "nothing counts behind what cannot be read");
        assert_eq!(of(&[""]), "127.0.0.1:9");
        assert_eq!(of(&["\u{e9}, 192.0.2.7"]), "192.0.2.7", "the client wrote what cannot be read");
        assert_eq!(of(&["198.51.100.1", "\u{e9}"]), "127.0.0.1:9");
    }

    #[test]
    fn x_forwarded_proto_is_that_of_the_nearest_proxy() {
        let of = |value: &str| client(ForwardedHeader::XForwarded, "unix", &[("x-forwarded-proto", value)]);
        assert_eq!(of("https"), ("unix".to_owned(), Some(true)));
        assert_eq!(of("http, https").1, Some(true));
        assert_eq!(of("https, http").1, Some(false));
        assert_eq!(of("gopher").1, None);
    }

    #[test]
    fn forwarded_is_read_from_its_end() {
        let of = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
            client(ForwardedHeader::Forwarded, "[2001:db8::1]:9", &lines)
        };
        assert_eq!(of(&["for=192.0.2.7;proto=https"]), ("192.0.2.7".to_owned(), Some(true)));
        assert_eq!(of(&["For=\"[2001:db9::1]:4711\""]).0, "[2001:db9::1]:4711");
        assert_eq!(
            of(&["for=198.51.100.1;proto=https, for=192.0.2.7;proto=http"]),
            ("192.0.2.7".to_owned(), Some(false))
        );
        assert_eq!(of(&["for=198.51.100.1", "for=192.0.2.7", "for=10.1.1.1"]).0, "192.0.2.7");
        assert_eq!(of(&["for=_hidden"]).0, "[2001:db8::1]:9");
        assert_eq!(of(&["for=198.51.100.1;host=\"a\", for=unknown"]).0, "[2001:db8::1]:9");
        assert_eq!(of(&["for=198.51.100.1\"x, for=192.0.2.7"]).0, "192.0.2.7");
        assert_eq!(of(&["nonsense"]).0, "[2001:db8::1]:9");
        assert_eq!(of(&["for=\u{e9}, for=192.0.2.7"]).0, "192.0.2.7");
        assert_eq!(of(&["for=198.51.100.1", "for=\u{e9}"]).0, "[2001:db8::1]:9");
    }

    #[test]
    fn a_header_of_the_other_kind_does_not_count() {
        let lines = [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https"), ("forwarded", "for=192.0.2.8")];
        assert_eq!(client(ForwardedHeader::XForwarded, "127.0.0.1", &lines).0, "192.0.2.7");
        assert_eq!(client(ForwardedHeader::Forwarded, "127.0.0.1", &lines), ("192.0.2.8".to_owned(), None));
    }

    #[test]
    fn only_proxies_are_trusted() {
        let proxies = proxies(ForwardedHeader::XForwarded);
        for (peer, is_trusted) in [("127.0.0.1:1", true), ("10.2.3.4:1", true), ("192.0.2.7:1", false)] {
            assert_eq!(proxies.trusts(&address(peer).unwrap()), is_trusted, "{peer}");
        }
        assert!(proxies.trusts(&ClientAddress::Local { user: 1 }));
        assert!(!TrustedProxies::default().trusts(&ClientAddress::Local { user: 1 }));
    }
}
