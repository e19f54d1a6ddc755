//! Addresses to listen on, as people write them: `127.0.0.1:8080`, `localhost:8080`, `:8080` or `8080`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::de::{self, Deserializer};

use super::scalars::Plain;

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address; write it as \"127.0.0.1:8080\", \"localhost:8080\" or \"8080\"")]
pub struct NotAnAddress(String);

/// Read an address. Without a host, or with `localhost`, it is one of this machine only: to be reachable from others is
/// a decision, and written as `0.0.0.0:8080`.
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

/// Read an address from the config: a string, or a port as a number.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = <Plain as serde::Deserialize>::deserialize(deserializer)?.0;
    listen_address(&text).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        }
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused() {
        for text in ["", ":", "everywhere", "example.org:80", "localhost", "65536", "+80", "127.0.0.1", "1:2"] {
            let message = listen_address(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{text}` is not an address; write it as")), "{message}");
        }
    }
}
