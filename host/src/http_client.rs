//! One request to another server: for what the host asks of others by itself, which is little.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// Why a request was not answered.
pub(crate) type HttpError = Box<dyn Error + Send + Sync>;

/// Whose certificates a server may have.
#[derive(Debug, Clone)]
pub(crate) enum Authorities {
    /// Those of public authorities.
    Public,
    /// Those of these authorities.
    Only(Arc<RootCertStore>),
}

/// Send a request on a connection of its own. The answer may have so many bytes. Nothing is followed: a redirection is an
/// answer like others.
///
/// # Errors
/// If the server cannot be reached, does not prove who it is, or does not answer with HTTP.
pub(crate) async fn exchange(
    mut request: Request<Bytes>,
    authorities: &Authorities,
    most: usize,
) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri().clone();
    let authority = uri.authority().ok_or("the address has no host")?;
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
            let connector = TlsConnector::from(authorities.config()?);
            speak(connector.connect(ServerName::try_from(name)?, stream).await?, request, most).await
        }
        false => speak(stream, request, most).await,
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Bytes>,
    most: usize,
) -> Result<Response<Bytes>, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The task of the connection ends when this function does, also if the server does not answer in time.
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, most).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

impl Authorities {
    /// TLS with their certificates.
    fn config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let roots = match self {
            Self::Public => Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }),
            Self::Only(roots) => Arc::clone(roots),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }
}
