//! A server of a set of keys.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::{Authority, TokenMaker};

/// A server of a set of keys. It ends when this is dropped.
pub struct KeyServer {
    /// For `jwks_url`.
    pub url: String,
    shared: Arc<Shared>,
    is_held: watch::Sender<bool>,
    listener: JoinHandle<()>,
}

struct Shared {
    /// The whole answer; none hangs up.
    answer: Mutex<Option<String>>,
    asked: AtomicUsize,
}

impl KeyServer {
    /// One with these keys.
    pub async fn start(makers: &[&TokenMaker]) -> Self {
        Self::serve(makers, None).await
    }

    /// The same with TLS: as `127.0.0.1`, with a certificate of an authority. Its files are in a folder.
    ///
    /// # Panics
    /// If it has no certificate.
    pub async fn secure(makers: &[&TokenMaker], authority: &Authority, folder: &Path) -> Self {
        let (certificate, key) = authority.issue(folder, "keys", &["127.0.0.1"]);
        let certificate = CertificateDer::from_pem_file(certificate).unwrap_or_else(|error| panic!("{error}"));
        let key = PrivateKeyDer::from_pem_file(key).unwrap_or_else(|error| panic!("{error}"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap_or_else(|error| panic!("{error}")).with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap_or_else(|error| panic!("{error}"));
        Self::serve(makers, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(makers: &[&TokenMaker], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no server: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared { answer: Mutex::default(), asked: AtomicUsize::new(0) });
        let (is_held, held) = watch::channel(false);
        let serving = Arc::clone(&shared);
        let listener = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (shared, held, tls) = (Arc::clone(&serving), held.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => answer(tls.accept(socket).await?, &shared, held).await,
                        None => answer(socket, &shared, held).await,
                    }
                });
            }
        });
        let server = Self { url: format!("{scheme}://{address}/keys?v=1"), shared, is_held, listener };
        server.serve_keys(makers);
        server
    }

    /// Have these keys from now on.
    pub fn serve_keys(&self, makers: &[&TokenMaker]) {
        let keys: Vec<_> = makers.iter().map(|maker| maker.jwk()).collect();
        self.say("200 OK", &json!({ "keys": keys }).to_string());
    }

    /// Answer this from now on.
    pub fn say(&self, status: &str, body: &str) {
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        *self.shared.answer.lock() = Some(head + body);
    }

    /// Close each new connection without an answer.
    pub fn hang_up(&self) {
        *self.shared.answer.lock() = None;
    }

    /// Answer nothing until [`go_on`](Self::go_on).
    pub fn hold(&self) {
        self.is_held.send_replace(true);
    }

    /// Answer what was asked meanwhile.
    pub fn go_on(&self) {
        self.is_held.send_replace(false);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Answer one request, which is all that a connection has.
async fn answer(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    shared: &Shared,
    mut held: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    assert!(head.starts_with("GET /keys?v=1 HTTP/1.1\r\n"), "{head}");
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let _ = held.wait_for(|is_held| !is_held).await;
    let answer = shared.answer.lock().clone();
    if let Some(answer) = answer {
        socket.write_all(answer.as_bytes()).await?;
        socket.shutdown().await?;
    }
    Ok(())
}
