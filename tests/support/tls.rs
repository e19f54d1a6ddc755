//! Certificates of an authority of our own, and clients that trust it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::within;

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A WebSocket through TLS.
pub type TlsClient = WebSocketStream<TlsStream<TcpStream>>;

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// If the system has no random numbers.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Each authority has a name of its own.
        let name = format!("authority {} of the tests", NUMBER.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap_or_else(|error| panic!("no key: {error}"));
        Self(CertifiedIssuer::self_signed(params, key).unwrap_or_else(|error| panic!("no authority: {error}")))
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Write a new certificate for some names, and its key, to `NAME.crt` and `NAME.key` in a folder.
    ///
    /// # Panics
    /// If that does not work.
    pub fn issue(&self, folder: &Path, name: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap_or_else(|error| panic!("no key: {error}"));
        let names = names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let params = CertificateParams::new(names).unwrap_or_else(|error| panic!("no names: {error}"));
        let signed = params.signed_by(&key, &self.0).unwrap_or_else(|error| panic!("not signed: {error}"));
        let files = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        write(&files.0, &signed.pem());
        write(&files.1, &key.serialize_pem());
        files
    }

    /// A client that trusts this authority alone, and speaks these versions of TLS.
    ///
    /// # Panics
    /// If the crypto provider does not work here.
    pub fn connector(&self, versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap_or_else(|error| panic!("not an authority: {error}"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let builder = builder.unwrap_or_else(|error| panic!("no TLS: {error}"));
        TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }

    /// A stream to a host that has to prove that it is `name`.
    ///
    /// # Errors
    /// If it does not, or TLS fails otherwise.
    ///
    /// # Panics
    /// If the host does not accept the connection.
    pub async fn stream(
        &self,
        address: &str,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("no connection: {error}"));
        let name = ServerName::try_from(name.to_owned()).unwrap_or_else(|error| panic!("no name: {error}"));
        within("the handshake of TLS", self.connector(versions).connect(name, stream)).await
    }

    /// A WebSocket to a host that has to prove that it is `name`.
    ///
    /// # Panics
    /// If it does not, or the WebSocket is refused.
    pub async fn open(&self, address: &str, name: &str, path: &str) -> TlsClient {
        let stream = self.stream(address, name, rustls::ALL_VERSIONS).await;
        let stream = stream.unwrap_or_else(|error| panic!("{name}: {error}"));
        let opened = within("the handshake", client_async(format!("wss://{name}{path}"), stream)).await;
        opened.unwrap_or_else(|error| panic!("{path} is refused: {error}")).0
    }
}

/// Replace a file as a program does that renews certificates: at once.
fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, file));
    written.unwrap_or_else(|error| panic!("{} is not written: {error}", file.display()));
}
