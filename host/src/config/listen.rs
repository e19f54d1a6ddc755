//! Where clients connect: `listen` for plain listeners, `[listeners.NAME]` for those with TLS or behind a proxy.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use super::scalars::{Plain, one_or_many};

/// The address that is listened on when the config names none: reachable from this machine only.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// What the path of a Unix socket begins with.
const UNIX: &str = "unix:";

/// What the name of a socket of systemd begins with.
const SYSTEMD: &str = "systemd:";

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address; write it as \"127.0.0.1:8080\", \"localhost:8080\", \"8080\", \"unix:web.sock\" or \
     \"systemd:NAME\""
)]
pub struct NotAnAddress(String);

/// Where one listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port; port 0 takes any free one.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// The name of a socket that systemd has opened (`FileDescriptorName=`).
    Systemd(String),
}

impl ListenAddress {
    /// The same with its path made absolute; the config's paths are relative to `folder`.
    pub fn within(&self, folder: &Path) -> Self {
        match self {
            Self::Unix(path) => {
                let path = folder.join(path);
                Self::Unix(std::path::absolute(&path).unwrap_or(path))
            }
            other => other.clone(),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = NotAnAddress;

    /// Without a host, or with `localhost`, it is an address of this machine only: to be reachable from others is a
    /// decision, and written as `0.0.0.0:8080`.
    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let named = |prefix: &str| text.strip_prefix(prefix).filter(|name| !name.is_empty());
        if let Some(path) = named(UNIX) {
            return Ok(Self::Unix(path.into()));
        }
        if let Some(name) = named(SYSTEMD) {
            return Ok(Self::Systemd(name.to_owned()));
        }
        listen_address(text).map(Self::Tcp)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Self::Systemd(name) => write!(f, "{SYSTEMD}{name}"),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Plain::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }
}

/// The value of `listen`: one address or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddresses(pub Vec<ListenAddress>);

impl Default for ListenAddresses {
    fn default() -> Self {
        Self(vec![DEFAULT.into()])
    }
}

impl<'de> Deserialize<'de> for ListenAddresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer, "an address or a list of addresses").map(Self)
    }
}

/// A listener with TLS, or behind a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Where it is, as `listen`. Required.
    pub address: ListenAddress,
    /// Whether each connection begins with a header of the PROXY protocol, version 2, which names the client. Only
    /// `trusted_proxies` may connect then.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// The permissions of a Unix socket, such as `"0660"`. Without the key: `"0666"`, because everyone on the machine may connect to
    /// a TCP port too.
    #[serde(default)]
    pub mode: Option<SocketMode>,
    /// The certificates, by names that you choose. With at least one, the listener speaks TLS.
    #[serde(default)]
    pub tls: BTreeMap<String, CertificateConfig>,
}

impl ListenerConfig {
    /// A listener without TLS or proxy.
    pub fn plain(address: ListenAddress) -> Self {
        Self { address, proxy_protocol: false, mode: None, tls: BTreeMap::new() }
    }
}

/// A certificate with its key. A client gets the one that has the name it asks for (SNI), or the first one. The files are
/// read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// The file with the certificate and those between it and the authority, in PEM (`fullchain.pem`). Required.
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub certificate: PathBuf,
    /// The file with the private key, in PEM (`privkey.pem`). Required.
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub key: PathBuf,
}

/// Permissions of a socket, written as `"0660"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMode(pub u32);

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o666)
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for SocketMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or_else(|| de::Error::custom(format!("`{text}` is not a mode; write it as \"0660\"")))
    }
}

/// Read an address and a port: `127.0.0.1:8080`, `localhost:8080`, `:8080` or `8080`.
///
/// # Errors
/// If it is not an address.
pub fn listen_address(text: &str) -> Result<SocketAddr, NotAnAddress> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
    let is_plain = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if is_plain => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        _ => Err(NotAnAddress(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, String> {
        let text = format!("{text}\n[apps.a]\npath = \"/a\"\nmodule = \"a.wasm\"\n");
        Config::parse(Path::new("hassock.toml"), &text).map_err(|problems| problems.to_string())
    }

    fn addresses(text: &str) -> Vec<String> {
        parse(text).unwrap().all_listeners().iter().map(|(_, listener)| listener.address.to_string()).collect()
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:9000", "[::1]:9000"),
            ("localhost:9000", "127.0.0.1:9000"),
            (":9000", "127.0.0.1:9000"),
            ("9000", "127.0.0.1:9000"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(listen_address(text).unwrap().to_string(), expected);
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused() {
        for text in ["", ":", "everywhere", "example.org:80", "localhost", "65536", "+80", "127.0.0.1", "1:2", "unix:"]
        {
            let message = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{text}` is not an address; write it as")), "{message}");
        }
    }

    #[test]
    fn there_may_be_several_listeners() {
        assert_eq!(addresses(""), ["127.0.0.1:8080"]);
        assert_eq!(addresses("listen = 9000"), ["127.0.0.1:9000"]);
        assert_eq!(
            addresses("listen = [9000, \"unix:a.sock\", \"systemd:web\"]"),
            ["127.0.0.1:9000", "unix:a.sock", "systemd:web"]
        );
        assert_eq!(addresses("[listeners.public]\naddress = \"0.0.0.0:80\""), ["0.0.0.0:80"]);
        assert_eq!(addresses("listen = 1\n[listeners.public]\naddress = 2"), ["127.0.0.1:1", "127.0.0.1:2"]);
    }

    #[test]
    fn problems_of_listeners_have_their_places() {
        for (text, expected) in [
            ("listen = []", "hassock.toml:1: listen: is empty"),
            ("listen = [1, 1]", "hassock.toml:1: listen: `127.0.0.1:1` is taken by `listen`"),
            (
                "listen = 1\n[listeners.b]\naddress = 1",
                "hassock.toml:3: listeners.b.address: `127.0.0.1:1` is taken by `listen`",
            ),
            ("[listeners.a]\nproxy_protocol = true", "missing field `address`"),
            ("[listeners.a]\naddress = 1\nproxy_protocol = true", "hassock.toml:3: listeners.a.proxy_protocol: "),
            (
                "[listeners.a_address]\naddress = 1\nmode = \"0600\"",
                "hassock.toml:3: listeners.a_address.mode: is only for",
            ),
            (
                "trusted_proxies = [\"127.0.0.1\"]\n[listeners.a]\naddress = \"unix:a\"\nproxy_protocol = true",
                "hassock.toml:4: listeners.a.proxy_protocol: needs a proxy",
            ),
            ("listen = [\"unix:a\", \"unix:./a\"]", "hassock.toml:1: listen: `unix:"),
            ("listen = \"unix:a\"\n[admin]\nlisten = \"unix:a\"", "hassock.toml:3: admin.listen: `unix:"),
            ("[listeners.a]\naddress = 1\nmode = \"0888\"", "hassock.toml:3: listeners.a.mode: `0888` is not a mode"),
            ("[listeners.a]\naddress = 1\n[listeners.a.tls.b]\nkey = \"\"", "missing field `certificate`"),
            (
                "[listeners.a]\naddress = 1\n[listeners.a.tls.b]\nkey = \"\"\ncertificate = \"a.pem\"",
                "hassock.toml:4: listeners.a.tls.b.key: is empty",
            ),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
