//! Requests to the admin listener that the host's own client would never send.

use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::raw::Answer;
use crate::{TestHost, within};

/// A connection to the listener, TCP or Unix.
pub type Line = Box<dyn Both>;

/// What can be read from and written to.
pub trait Both: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

/// A client of an admin listener, with its token.
pub struct Operator {
    /// `http://ADDRESS` or `unix:PATH`
    pub address: String,
    /// The token that the host accepts.
    pub token: String,
}

impl Operator {
    /// For a host that keeps its token in the default place.
    ///
    /// # Panics
    /// If it has no admin listener.
    pub fn of(host: &TestHost) -> Self {
        let address = host.host.admin_address().unwrap_or_else(|| panic!("there is no admin listener"));
        Self::at(&address, &host.file("hassock.token"))
    }

    /// For a host at `http://ADDRESS` or `unix:PATH`.
    ///
    /// # Panics
    /// If there is no token.
    pub fn at(address: &str, token: &Path) -> Self {
        let token = std::fs::read_to_string(token).unwrap_or_else(|error| panic!("no token: {error}"));
        Self { address: address.to_owned(), token: token.trim().to_owned() }
    }

    /// A connection on which nothing was sent.
    ///
    /// # Panics
    /// If there is none.
    pub async fn connect(&self) -> Line {
        self.try_connect().await.unwrap_or_else(|error| panic!("no connection to {}: {error}", self.address))
    }

    /// The same for a listener that may be gone.
    ///
    /// # Errors
    /// If it is.
    pub async fn try_connect(&self) -> std::io::Result<Line> {
        match self.address.strip_prefix("unix:") {
            Some(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            None => Ok(Box::new(TcpStream::connect(self.address.trim_start_matches("http://")).await?)),
        }
    }

    /// The head of a request such as `GET /v1/apps`, with the token and more fields, each with its line end.
    pub fn head(&self, line: &str, fields: &str) -> String {
        format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{fields}\r\n", self.token)
    }

    /// Ask with the token and without a body.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask(&self, line: &str) -> Answer {
        self.raw(self.head(line, "")).await
    }

    /// Ask with the token and a body.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, line: &str, body: &[u8]) -> Answer {
        let head = self.head(line, &format!("content-length: {}\r\n", body.len()));
        self.raw([head.as_bytes(), body].concat()).await
    }

    /// Send a request as it is, and read the whole answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn raw(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut line = self.connect().await;
        let sent = within("the request to be taken", line.write_all(request.as_ref())).await;
        sent.unwrap_or_else(|error| panic!("the request is not taken: {error}"));
        answer(line).await.unwrap_or_else(|| panic!("no answer"))
    }
}

/// The answer on a connection; none if the host hangs up instead.
pub async fn answer(mut line: Line) -> Option<Answer> {
    let mut bytes = Vec::new();
    // If the host hangs up, an error may follow the answer, or nothing comes at all.
    let _ = within("the answer", line.read_to_end(&mut bytes)).await;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

impl Answer {
    /// The body, which has to be JSON.
    ///
    /// # Panics
    /// If it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON: {self:?}: {error}"))
    }
}
