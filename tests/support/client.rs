//! A WebSocket client for tests.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::within;

/// An open connection, seen from outside.
pub struct Client {
    /// The WebSocket itself, for what the methods do not do.
    pub socket: WebSocketStream<TcpStream>,
    /// The 101 answer.
    pub response: Response,
}

/// How a connection ended, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The close code; 1006 if there was no close frame.
    pub code: u16,
    /// The reason in the close frame.
    pub reason: String,
}

impl Client {
    /// Open a WebSocket.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn connect(address: &str, path: &str) -> Self {
        Self::with(address, path, |_| {}).await.unwrap_or_else(|error| panic!("{path} is refused: {error}"))
    }

    /// Open a WebSocket with a changed request.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn with(address: &str, path: &str, change: impl FnOnce(&mut Request)) -> Result<Self, Error> {
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        change(&mut request);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (socket, response) = within("the handshake", client_async(request, stream)).await?;
        Ok(Self { socket, response })
    }

    /// Send a text message.
    ///
    /// # Panics
    /// If the connection is closed.
    pub async fn send(&mut self, text: impl Into<String>) {
        let message = Message::text(text.into());
        self.socket.send(message).await.unwrap_or_else(|error| panic!("cannot send: {error}"));
    }

    /// The next message, whatever its type.
    ///
    /// # Panics
    /// If the connection ends instead.
    pub async fn message(&mut self) -> Message {
        loop {
            match within("a message", self.socket.next()).await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(frame))) => panic!("closed instead of a message: {frame:?}"),
                Some(Ok(message)) => return message,
                other => panic!("no message: {other:?}"),
            }
        }
    }

    /// The next message, which has to be text.
    ///
    /// # Panics
    /// If it is not.
    pub async fn text(&mut self) -> String {
        match self.message().await {
            Message::Text(text) => text.to_string(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next message, which has to be JSON.
    ///
    /// # Panics
    /// If it is not.
    pub async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON: {text}: {error}"))
    }

    /// Send a message and wait for the next one.
    pub async fn ask(&mut self, text: impl Into<String>) -> String {
        self.send(text).await;
        self.text().await
    }

    /// Send a message and wait for the next one, or for the end of the connection.
    ///
    /// # Errors
    /// If the end comes.
    pub async fn try_ask(&mut self, text: impl Into<String>) -> Result<String, Closed> {
        // If the host has closed, this fails, and so does the next line.
        let _ = self.socket.send(Message::text(text.into())).await;
        self.try_text().await
    }

    /// The next message, which has to be text, or the end of the connection.
    ///
    /// # Errors
    /// If the end comes.
    ///
    /// # Panics
    /// If the message is not text.
    pub async fn try_text(&mut self) -> Result<String, Closed> {
        match within("a message or the end", self.socket.next()).await {
            Some(Ok(Message::Text(text))) => Ok(text.to_string()),
            Some(Ok(Message::Close(frame))) => Err(Closed::from(frame)),
            Some(Err(_)) | None => Err(Closed { code: 1006, reason: String::new() }),
            other => panic!("no text: {other:?}"),
        }
    }

    /// Send a command to the `probe` module and wait for its result.
    ///
    /// # Panics
    /// If the module reports an error.
    pub async fn probe(&mut self, command: Value) -> Value {
        let mut answer = self.try_probe(command.clone()).await;
        match answer.get_mut("ok") {
            Some(result) => result.take(),
            None => panic!("{command} failed: {answer}"),
        }
    }

    /// Send a command to the `probe` module and return its answer, `{"ok": …}` or `{"error": …}`.
    ///
    /// # Panics
    /// If the answer is not JSON.
    pub async fn try_probe(&mut self, command: Value) -> Value {
        self.send(command.to_string()).await;
        self.json().await
    }

    /// Have the `probe` module run a statement that returns rows; returns them.
    ///
    /// # Panics
    /// If it fails.
    pub async fn query(&mut self, sql: &str, values: Value) -> Value {
        self.probe(json!({ "query": { "sql": sql, "values": values } })).await
    }

    /// Have the `probe` module run a statement that returns no rows; returns what it did.
    ///
    /// # Panics
    /// If it fails.
    pub async fn execute(&mut self, sql: &str, values: Value) -> Value {
        self.probe(json!({ "execute": { "sql": sql, "values": values } })).await
    }

    /// Have the `probe` module run a statement that fails; returns the case and the text of the error.
    ///
    /// # Panics
    /// If it does not fail.
    pub async fn sql_error(&mut self, sql: &str, values: Value) -> (String, String) {
        let answer = self.try_probe(json!({ "query": { "sql": sql, "values": values } })).await;
        match (answer["sql"].as_str(), answer["error"].as_str()) {
            (Some(case), Some(text)) => (case.to_owned(), text.to_owned()),
            _ => panic!("{sql} did not fail in the database: {answer}"),
        }
    }

    /// Wait for the end of the connection, whatever comes before it.
    pub async fn closed(&mut self) -> Closed {
        let mut closed = Closed { code: 1006, reason: String::new() };
        while let Some(Ok(message)) = within("the end of the connection", self.socket.next()).await {
            if let Message::Close(frame) = message {
                closed = Closed::from(frame);
            }
        }
        closed
    }

    /// Send a close frame, and do not wait for the answer.
    ///
    /// # Panics
    /// If the connection is closed.
    pub async fn close_with(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.socket.close(Some(frame)).await.unwrap_or_else(|error| panic!("cannot close: {error}"));
    }

    /// Close without a code and wait for the answer.
    pub async fn close(mut self) {
        // This fails if the host has closed already, which is as good.
        let _ = self.socket.close(None).await;
        self.closed().await;
    }
}

impl From<Option<CloseFrame>> for Closed {
    fn from(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self { code: frame.code.into(), reason: frame.reason.to_string() },
            None => Self { code: 1005, reason: String::new() },
        }
    }
}

/// Ask for a WebSocket and be refused: the status and the body of the answer.
///
/// # Panics
/// If it is not refused.
pub async fn refused(address: &str, path: &str, change: impl FnOnce(&mut Request)) -> (u16, String) {
    match Client::with(address, path, change).await {
        Err(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8_lossy(&body).into_owned())
        }
        Err(error) => panic!("{path}: no answer but {error}"),
        Ok(_) => panic!("{path} was accepted"),
    }
}
