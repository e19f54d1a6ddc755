//! The client of the admin listener: the command line uses it to talk to a running host.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::TOKEN_FILE;
use super::error::ErrorBody;
use super::lines::Lines;
use super::publish::Published;
use super::tail::TailLine;
use crate::app::versions::{AppReport, Outcome, PinOutcome};
use crate::config::{AdminAddress, AdminConfig, ConfigError, Duration as Span, Locator, Problems, Size};
use crate::deploy::{Pin, Rollout};
use crate::record::Entry;
use crate::text::terminal_text;
use crate::token::{Token, TokenError};

/// What is not encoded in a segment of a path or in a query (RFC 3986, "unreserved").
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The host responds to most requests at once. A script must not wait for a host that hangs.
const ANSWER: Duration = Duration::from_secs(30);

/// Compiling takes seconds, longer at low priority, and other deploys may come first. After this time the client
/// stops waiting; the deploy continues.
const DEPLOY_ANSWER: Duration = Duration::from_secs(15 * 60);

/// Why a request to a host failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The config does not name the address of the host.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host of this config has not created its token yet.
    #[error(
        "{}: there is no such file; the host creates it when it starts: is it running with this config?", file.display()
    )]
    NoToken {
        /// The token file.
        file: PathBuf,
    },
    /// Nothing listens at the address.
    #[error("no host answers at {address}: is it running? ({source})")]
    Unreachable {
        /// The address.
        address: AdminAddress,
        /// What the system says.
        source: io::Error,
    },
    /// The token belongs to another host.
    #[error("the host at {address} does not accept the token in {}; was it started with this config?", file.display())]
    Unauthorized {
        /// The address.
        address: AdminAddress,
        /// The token file.
        file: PathBuf,
    },
    /// The host refused the request.
    #[error("{message}")]
    Refused {
        /// A word for the reason.
        kind: String,
        /// What the host says.
        message: String,
    },
    /// The gate refused the module.
    #[error("{message}\nthe running version goes on")]
    Gate {
        /// A word for the reason.
        kind: String,
        /// What the host says.
        message: String,
    },
    /// The module is larger than the host accepts.
    #[error("the module has {size}, and the host accepts at most `admin.module_bytes` = {most}")]
    TooLarge {
        /// The size of the module.
        size: Size,
        /// The limit in the config.
        most: Size,
    },
    /// The host has not responded in time.
    #[error("the host at {address} has not answered for {}; it may still carry out the request", Span::from(*limit))]
    Silent {
        /// The address.
        address: AdminAddress,
        /// How long the client has waited.
        limit: Duration,
    },
    /// A response of many lines ended before its last one.
    #[error("the host at {address} went away before the {what} ended ({reason}); what came before is complete")]
    BrokeOff {
        /// The address.
        address: AdminAddress,
        /// What the lines are.
        what: &'static str,
        /// The reason, as far as it is known.
        reason: String,
    },
    /// This version of the client does not understand the response.
    #[error("the response of the host at {address} cannot be understood: {reason}; is it a Hassock of this version?")]
    Strange {
        /// The address.
        address: AdminAddress,
        /// What is wrong with it.
        reason: String,
    },
}

/// A message to publish.
#[derive(Debug)]
pub(crate) struct NewMessage<'a> {
    /// The topic.
    pub(crate) topic: &'a str,
    /// Whether it is a text.
    pub(crate) kind: MessageKind,
    /// Names it, so that it is published once.
    pub(crate) id: Option<&'a str>,
    /// The message itself.
    pub(crate) bytes: Bytes,
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// A text.
    Text,
    /// Bytes.
    Binary,
}

/// Talks to the host that serves a config.
#[derive(Debug)]
pub(crate) struct Client {
    address: AdminAddress,
    file: PathBuf,
    token: Token,
    module_bytes: Size,
}

impl Client {
    /// The client for the host that was started with a config file.
    ///
    /// # Errors
    /// If the file does not name the address of its host, or the token file is missing or cannot be used.
    pub(crate) fn of_config(file: &Path) -> Result<Self, ClientError> {
        let (config, locator) = AdminConfig::load(file)?;
        let Some(config) = config else {
            let message =
                "missing; a host accepts commands if its config has a table `[admin]`. Add it and restart the host";
            return Err(problem(&locator, "admin", message));
        };
        if let AdminAddress::Tcp(address) = config.listen
            && address.port() == 0
        {
            let message = "port 0 is any free port, which this command cannot know; give a port or a `unix:` socket";
            return Err(problem(&locator, "admin.listen", message));
        }
        Self::new(&config, &config.listen, &locator)
    }

    /// The client for a host at `address`, which has the real port if the config has port 0.
    pub(super) fn new(config: &AdminConfig, address: &AdminAddress, locator: &Locator) -> Result<Self, ClientError> {
        let file = locator.folder().join(&config.token_file);
        let token = Token::of_client(&file).map_err(|error| match error {
            TokenError::Missing => ClientError::NoToken { file: file.clone() },
            error => problem(locator, TOKEN_FILE, format!("{}: {error}", file.display())),
        })?;
        Ok(Self { address: address.within(locator.folder()), file, token, module_bytes: config.module_bytes })
    }

    /// The address of the host.
    pub(crate) fn address(&self) -> &AdminAddress {
        &self.address
    }

    /// All apps and their versions.
    ///
    /// # Errors
    /// If the host does not respond.
    pub(crate) async fn apps(&self) -> Result<Vec<AppReport>, ClientError> {
        self.send(Method::GET, "/v1/apps".to_owned(), Bytes::new(), ANSWER).await
    }

    /// Deploy a component.
    ///
    /// # Errors
    /// If the host does not respond, or refuses.
    pub(crate) async fn deploy(&self, app: &str, module: Vec<u8>, rollout: Rollout) -> Result<Outcome, ClientError> {
        if module.len() > self.module_bytes.bytes() {
            return Err(ClientError::TooLarge { size: module.len().into(), most: self.module_bytes });
        }
        let query = match rollout {
            Rollout::Full => String::new(),
            Rollout::Canary(share) => format!("?canary={}", encode(&share.to_string())),
        };
        self.send(Method::POST, path(app, "versions", &query), module.into(), DEPLOY_ANSWER).await
    }

    /// Give all connections to the canary.
    ///
    /// # Errors
    /// If the host does not respond, or refuses.
    pub(crate) async fn promote(&self, app: &str) -> Result<Outcome, ClientError> {
        self.send(Method::POST, path(app, "promote", ""), Bytes::new(), ANSWER).await
    }

    /// Take the canary back, or return to the previous version.
    ///
    /// # Errors
    /// If the host does not respond, or refuses.
    pub(crate) async fn rollback(&self, app: &str) -> Result<Outcome, ClientError> {
        self.send(Method::POST, path(app, "rollback", ""), Bytes::new(), ANSWER).await
    }

    /// Keep open connections on their version, or end that.
    ///
    /// # Errors
    /// If the host does not respond, or refuses.
    pub(crate) async fn pin(&self, app: &str, pin: Pin) -> Result<PinOutcome, ClientError> {
        let query = match pin {
            Pin::Default => String::new(),
            Pin::Off => "?off".to_owned(),
            Pin::For(span) => format!("?for={}", encode(&humantime::format_duration(span).to_string())),
        };
        self.send(Method::POST, path(app, "pin", &query), Bytes::new(), ANSWER).await
    }

    /// Record the next connections of an app.
    ///
    /// # Errors
    /// If the host does not respond, or refuses.
    pub(crate) async fn record(&self, app: &str, connections: usize) -> Result<Lines<Entry>, ClientError> {
        let path = path(app, "record", &format!("?connections={connections}"));
        self.lines(Method::POST, path, "recording").await
    }

    /// Publish a message.
    ///
    /// # Errors
    /// If the host does not respond, or refuses.
    pub(crate) async fn publish(&self, app: &str, message: NewMessage<'_>) -> Result<Published, ClientError> {
        let NewMessage { topic, kind, id, bytes } = message;
        let binary = if kind == MessageKind::Binary { "&binary" } else { "" };
        let id = id.map(|id| format!("&id={}", encode(id))).unwrap_or_default();
        let path = path(app, "publish", &format!("?topic={}{binary}{id}", encode(topic)));
        self.send(Method::POST, path, bytes, ANSWER).await
    }

    /// See what is published to a topic.
    ///
    /// # Errors
    /// If the host does not respond, or refuses.
    pub(crate) async fn tail(&self, app: &str, topic: &str) -> Result<Lines<TailLine>, ClientError> {
        let path = path(app, "tail", &format!("?topic={}", encode(topic)));
        self.lines(Method::GET, path, "tail").await
    }

    /// A response of many lines.
    async fn lines<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        what: &'static str,
    ) -> Result<Lines<T>, ClientError> {
        let response = self.in_time(ANSWER, self.ask(method, path, Bytes::new())).await?;
        if response.status().is_success() {
            return Ok(Lines::new(response.into_body(), self.address.clone(), what));
        }
        let status = response.status();
        let body = self.in_time(ANSWER, async { self.whole(response).await }).await?;
        Err(self.refusal(status, &body))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: Bytes,
        limit: Duration,
    ) -> Result<T, ClientError> {
        let exchange = async {
            let response = self.ask(method, path, body).await?;
            Ok((response.status(), self.whole(response).await?))
        };
        let (status, body) = self.in_time(limit, exchange).await?;
        match status.is_success() {
            true => serde_json::from_slice(&body).map_err(|error| self.strange(error)),
            false => Err(self.refusal(status, &body)),
        }
    }

    /// The error of a response that is not a success.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        if status == StatusCode::UNAUTHORIZED {
            return ClientError::Unauthorized { address: self.address.clone(), file: self.file.clone() };
        }
        let Ok(ErrorBody { error, kind }) = serde_json::from_slice(body) else {
            return self.strange(format!("status {status}"));
        };
        let message = terminal_text(&error).into_owned();
        match status {
            StatusCode::UNPROCESSABLE_ENTITY => ClientError::Gate { kind, message },
            _ => ClientError::Refused { kind, message },
        }
    }

    async fn in_time<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let silent = |_| ClientError::Silent { address: self.address.clone(), limit };
        timeout(limit, answer).await.map_err(silent)?
    }

    async fn ask(&self, method: Method, path: String, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let mut sender = self.connect().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .body(Full::new(body))
            .map_err(|error| self.strange(error))?;
        sender.send_request(request).await.map_err(|error| self.strange(error))
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = response.into_body().collect().await.map_err(|error| self.strange(error))?;
        Ok(body.to_bytes())
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let unreachable = |source| ClientError::Unreachable { address: self.address.clone(), source };
        match &self.address {
            AdminAddress::Tcp(address) => self.speak(TcpStream::connect(address).await.map_err(unreachable)?).await,
            AdminAddress::Unix(path) => self.speak(UnixStream::connect(path).await.map_err(unreachable)?).await,
        }
    }

    async fn speak<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, ClientError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| self.strange(error))?;
        // Its errors are those of the request.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn strange(&self, reason: impl ToString) -> ClientError {
        ClientError::Strange { address: self.address.clone(), reason: reason.to_string() }
    }
}

fn path(app: &str, action: &str, query: &str) -> String {
    format!("/v1/apps/{}/{action}{query}", encode(app))
}

fn encode(part: &str) -> String {
    utf8_percent_encode(part, PART).to_string()
}

fn problem(locator: &Locator, key: &str, message: impl Into<String>) -> ClientError {
    let problem = locator.problem(key, message);
    ClientError::Config(Problems(vec![problem]).into())
}
