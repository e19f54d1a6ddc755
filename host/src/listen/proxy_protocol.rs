//! The header of the PROXY protocol, version 2, with which a proxy begins a connection
//! (<https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>).

use std::io;
use std::net::{IpAddr, SocketAddr};

use ppp::v2::{Addresses, Command, Header, Type};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The fixed part: a signature of 12 bytes, version and command, family, length of the rest.
const FIXED: usize = 16;

/// Bytes of the rest. Addresses have at most 216; what proxies add about TLS may include the names in a certificate.
const MOST: usize = 4 << 10;

/// What a client used for TLS, in the first byte of the field about it (`PP2_CLIENT_SSL`).
const CLIENT_SSL: u8 = 1;

/// What a proxy says about a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ProxyHeader {
    /// It is the proxy's own.
    FromProxyItself,
    /// It is that of a client whose address the proxy does not say.
    Unknown,
    /// It is that of this client.
    Client {
        address: SocketAddr,
        /// Whether it reached the proxy through TLS, as far as the proxy says.
        is_secure: bool,
    },
}

/// Read the header, and not a byte more.
///
/// # Errors
/// If there is none, or it is not valid.
pub(super) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<ProxyHeader> {
    let mut header = vec![0; FIXED];
    socket.read_exact(&mut header).await?;
    if !header.starts_with(ppp::v2::PROTOCOL_PREFIX) {
        return Err(invalid("it does not begin with a header of the PROXY protocol, version 2"));
    }
    let rest = header.last_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
    if rest > MOST {
        return Err(invalid("the header of the PROXY protocol is too long"));
    }
    header.resize(FIXED + rest, 0);
    socket.read_exact(header.get_mut(FIXED..).unwrap_or_default()).await?;
    let header = Header::try_from(header.as_slice()).map_err(|error| invalid(&error.to_string()))?;
    Ok(content(&header))
}

fn content(header: &Header<'_>) -> ProxyHeader {
    if header.command == Command::Local {
        return ProxyHeader::FromProxyItself;
    }
    let address = match header.addresses {
        Addresses::IPv4(pair) => SocketAddr::new(IpAddr::V4(pair.source_address), pair.source_port),
        Addresses::IPv6(pair) => SocketAddr::new(IpAddr::V6(pair.source_address), pair.source_port),
        Addresses::Unspecified | Addresses::Unix(_) => return ProxyHeader::Unknown,
    };
    let mut fields = header.tlvs().map_while(Result::ok).filter(|field| field.kind == u8::from(Type::SSL));
    let is_secure = fields.any(|field| field.value.first().is_some_and(|flags| flags & CLIENT_SSL != 0));
    ProxyHeader::Client { address, is_secure }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use ppp::v2::{Builder, Protocol, Version};

    use super::*;

    async fn read_all(bytes: &[u8]) -> Result<(ProxyHeader, String), String> {
        let mut socket = bytes;
        let named = read(&mut socket).await.map_err(|error| error.to_string())?;
        Ok((named, String::from_utf8_lossy(socket).into_owned()))
    }

    fn header(command: Command, source: &str, ssl: Option<u8>) -> Vec<u8> {
        let addresses = (source.parse::<SocketAddr>().unwrap(), source.parse::<SocketAddr>().unwrap());
        let mut builder = Builder::with_addresses(Version::Two | command, Protocol::Stream, addresses);
        if let Some(flags) = ssl {
            builder = builder.write_tlv(Type::SSL, &[flags, 0, 0, 0, 0]).unwrap();
        }
        [builder.build().unwrap(), b"GET /".to_vec()].concat()
    }

    #[tokio::test]
    async fn the_client_is_named_and_nothing_more_is_read() {
        for (source, ssl, is_secure) in [
            ("192.0.2.7:50412", None, false),
            ("[2001:db8::1]:50412", Some(CLIENT_SSL), true),
            ("192.0.2.7:1", Some(0), false),
        ] {
            let (named, rest) = read_all(&header(Command::Proxy, source, ssl)).await.unwrap();
            assert_eq!(named, ProxyHeader::Client { address: source.parse().unwrap(), is_secure });
            assert_eq!(rest, "GET /");
        }
    }

    #[tokio::test]
    async fn a_proxy_may_connect_for_itself() {
        let (named, rest) = read_all(&header(Command::Local, "192.0.2.7:1", None)).await.unwrap();
        assert_eq!((named, rest.as_str()), (ProxyHeader::FromProxyItself, "GET /"));
        let unknown = [ppp::v2::PROTOCOL_PREFIX, &[0x21, 0, 0, 0], b"GET /"].concat();
        assert_eq!(read_all(&unknown).await.unwrap(), (ProxyHeader::Unknown, "GET /".to_owned()));
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let long = [ppp::v2::PROTOCOL_PREFIX, &[0x21, 0x11, 0xff, 0xff]].concat();
        let wrong_version = [ppp::v2::PROTOCOL_PREFIX, &[0x11, 0x11, 0, 0]].concat();
        for bytes in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), b"PROXY TCP4 1.2.3.4 ".to_vec(), long, wrong_version] {
            assert!(read_all(&bytes).await.is_err());
        }
        let whole = header(Command::Proxy, "192.0.2.7:1", None);
        for length in 0..28 {
            assert!(read_all(&whole[..length]).await.is_err(), "{length} bytes");
        }
    }
}
