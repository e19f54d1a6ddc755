//! TLS for the listeners, with rustls: the certificates of a listener, and their renewal while it serves.

mod certificates;
mod renewal;

pub use certificates::{CertificateError, Certificates};
pub(crate) use renewal::keep_current;

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::socket::Socket;

/// The only protocol that is spoken: WebSockets begin with HTTP/1.1 (RFC 6455).
const PROTOCOL: &[u8] = b"http/1.1";

/// Bytes of records that a connection may keep until the system takes them. The memory budget does not see them, and they
/// are a copy for each connection.
const UNSENT: usize = 16 << 10;

/// Make the handshake with a client.
///
/// # Errors
/// If it does not succeed.
pub(crate) async fn accept(acceptor: &TlsAcceptor, socket: Socket) -> io::Result<TlsStream<Socket>> {
    acceptor.accept_with(socket, |connection| connection.set_buffer_limit(Some(UNSENT))).await
}

/// What accepts TLS 1.2 and 1.3 with the certificates that are current at that moment.
///
/// # Errors
/// If the crypto provider does not work on this system.
pub fn acceptor(certificates: &Arc<Certificates>) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_no_client_auth().with_cert_resolver(Arc::clone(certificates) as _);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // Clients that come back at the same time, after a restart of a proxy or a network, need no second full handshake.
    config.ticketer = ring::Ticketer::new()?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
