//! The HTTP client that carries spans. The thread that sends them belongs to no runtime, so the requests run on that of the
//! host.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// Bytes of an answer. A collector says little.
const ANSWER: usize = 64 << 10;

/// Sends requests, each on a connection of its own: there is about one a second.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Handle,
    timeout: Duration,
}

impl Client {
    /// A client that runs on the runtime of the caller.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { runtime: Handle::current(), timeout }
    }
}

#[wasmtime_wasi::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let limit = self.timeout;
        let exchange = self.runtime.spawn(async move { timeout(limit, exchange(request)).await });
        exchange.await??
    }
}

async fn exchange(mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri().clone();
    let authority = uri.authority().ok_or("the address of the collector has no host")?;
    // An address of IPv6 has brackets in a URI.
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
    let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
    // A server expects the path alone (RFC 9112, section 3.2.1).
    *request.uri_mut() = uri.path_and_query().map(|path| Uri::from(path.clone())).unwrap_or_default();
    let stream = TcpStream::connect((name.as_str(), port)).await?;
    match is_secure {
        true => {
            let connector = TlsConnector::from(public_authorities()?);
            speak(connector.connect(ServerName::try_from(name)?, stream).await?, request).await
        }
        false => speak(stream, request).await,
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The task of the connection ends when this function does, also if the collector does not answer in time.
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// TLS with the certificates of public authorities.
fn public_authorities() -> Result<Arc<ClientConfig>, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
