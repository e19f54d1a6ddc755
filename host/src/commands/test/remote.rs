//! Playing a transcript against a running host, through real sockets.
//!
//! Before a step begins, everything that the step before has caused must be done, as inside one process. Otherwise
//! the order of what two clients do would be chance. There is no clock to ask, but pings have the same effect: a
//! session handles one batch after the other, so it reads the second of two pings, which is sent after the answer to
//! the first, only when the call for the earlier messages has ended; and it writes what waits for its client before
//! it reads. So two pings on each connection settle everything except what no client has caused: timers, and
//! `closed`. Expectations wait for those.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hassock_transcript::backend::{
    Answer, Backend, BackendError, CallFault, Connect, Cost, FailedCall, LogLine, Message, Publication, Received, Rows,
    StatementFault,
};
use hassock_transcript::format::{Action, Fault};
use http::Uri;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use super::in_process::never_accepted;
use crate::admin::{Client, ClientError, MessageKind, NewMessage};
use crate::commands::CommandError;
use crate::testkit::socket::{self, Socket};

/// The longest time that a remote `advance` waits. Inside this process, time costs nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why nothing is published.
pub(super) const NO_PUBLISHER: &str = "`publish` needs the admin listener of the running host: name the config that the host was \
    started with, `--config FILE`";

/// Where a host listens: `ws://127.0.0.1:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    authority: String,
    /// Stands before every path.
    prefix: String,
}

/// Why a text is not the address of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; it should look like ws://127.0.0.1:8080")]
pub struct BadUrl(String);

/// A running host, with the clients of one transcript.
pub struct Remote {
    runtime: Runtime,
    url: Url,
    response_timeout: Duration,
    clients: HashMap<String, Socket>,
    publisher: Option<Publisher>,
}

/// Publishes through the admin listener of the host, as `hassock publish` does.
#[derive(Debug, Clone)]
pub struct Publisher(Arc<Client>);

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let uri: Uri = text.parse().map_err(|error| BadUrl(format!("`{text}` is not a URL: {error}")))?;
        match uri.scheme_str() {
            Some("ws") => {}
            Some("wss") => {
                return Err(BadUrl(format!(
                    "`{text}` needs TLS, which `hassock test` does not support: name the host behind the proxy"
                )));
            }
            _ => return Err(BadUrl(format!("`{text}` does not begin with ws://"))),
        }
        let authority = uri.authority().ok_or_else(|| BadUrl(format!("`{text}` names no host")))?;
        let port = authority.port_u16().unwrap_or(80);
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { authority: format!("{}:{port}", authority.host()), prefix })
    }
}

impl Url {
    /// Make sure that a host listens there.
    ///
    /// # Errors
    /// If there is none, or it does not answer within `response_timeout`.
    pub async fn reach(&self, response_timeout: Duration) -> Result<(), BackendError> {
        let reached = timeout(response_timeout, TcpStream::connect(&self.authority)).await;
        let reached = reached.map_err(|_| self.silent(response_timeout))?;
        reached.map(drop).map_err(|error| BackendError(self.absent(&error)))
    }

    fn absent(&self, error: &std::io::Error) -> String {
        format!("no host answers at {}: {error}", self.authority)
    }

    fn silent(&self, response_timeout: Duration) -> BackendError {
        BackendError(format!("the host at {} has not answered for {response_timeout:?}", self.authority))
    }
}

impl Publisher {
    /// For the host that was started with a config.
    ///
    /// # Errors
    /// If the config does not name its admin listener, or its token cannot be used.
    pub fn of_config(config: &Path) -> Result<Self, CommandError> {
        Ok(Self(Arc::new(Client::of_config(config)?)))
    }

    async fn publish(&self, publication: &Publication) -> Result<Option<String>, BackendError> {
        let failed = |error: ClientError| BackendError(error.to_string());
        let app = match &publication.app {
            Some(app) => app.clone(),
            None => self.only_app().await?,
        };
        let (kind, bytes) = match &publication.message {
            Message::Text(text) => (MessageKind::Text, text.clone().into()),
            Message::Binary(bytes) => (MessageKind::Binary, bytes.clone().into()),
        };
        let message = NewMessage { topic: &publication.topic, kind, id: publication.id.as_deref(), bytes };
        let published = self.0.publish(&app, message).await.map_err(failed)?;
        Ok(published.position.map(|position| position.to_string()))
    }

    async fn only_app(&self) -> Result<String, BackendError> {
        let apps = self.0.apps().await.map_err(|error| BackendError(error.to_string()))?;
        match apps.as_slice() {
            [only] => Ok(only.app.clone()),
            apps => {
                let names: Vec<&str> = apps.iter().map(|app| app.app.as_str()).collect();
                Err(BackendError(format!(
                    "say which app, as `publish APP (TOPIC) …`: there are `{}`",
                    names.join("`, `")
                )))
            }
        }
    }
}

impl Remote {
    /// Play against the host at an address. An expectation waits for `response_timeout`.
    ///
    /// # Errors
    /// If the system refuses a runtime.
    pub fn new(url: Url, response_timeout: Duration) -> Result<Self, BackendError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| BackendError(format!("the runtime cannot be made: {error}")))?;
        Ok(Self { runtime, url, response_timeout, clients: HashMap::new(), publisher: None })
    }

    /// The same with a way to publish.
    #[must_use]
    pub fn publishing(self, publisher: Publisher) -> Self {
        Self { publisher: Some(publisher), ..self }
    }

    /// All bytes that the host has written to a client, its answer to the request included.
    pub fn received_bytes(&self, client: &str) -> Vec<u8> {
        self.clients.get(client).map(Socket::bytes).unwrap_or_default()
    }

    fn client(&self, name: &str) -> Result<&Socket, BackendError> {
        self.clients.get(name).ok_or_else(|| never_accepted(name))
    }

    /// Wait until the host has done all that the clients have caused.
    fn settle(&self) {
        let all = async {
            for _ in 0..2 {
                for socket in self.clients.values() {
                    socket.answered().await;
                }
            }
        };
        // The expectations notice a host that hangs.
        let _ = self.runtime.block_on(async { timeout(self.response_timeout, all).await });
    }

    fn act(&self, client: &str, act: impl FnOnce(&Socket) -> bool) -> Result<(), BackendError> {
        let socket = self.client(client)?;
        let was_open = self.runtime.block_on(async { act(socket) });
        self.settle();
        if was_open { Ok(()) } else { Err(BackendError("the connection is closed".to_owned())) }
    }

    fn leave(&self, client: &str, leave: impl FnOnce(&Socket) -> bool) -> Result<(), BackendError> {
        let socket = self.client(client)?;
        let was_open = self.runtime.block_on(async {
            let was_open = leave(socket);
            let _ = timeout(self.response_timeout, socket.end()).await;
            was_open
        });
        self.settle();
        if was_open { Ok(()) } else { Err(BackendError("the connection is closed".to_owned())) }
    }
}

/// The name of a step that can be played only inside this process; none if it can be played against a running host.
pub fn in_process_only(action: &Action) -> Option<&'static str> {
    match action {
        Action::Sql { .. } | Action::Script { .. } => Some("sql"),
        Action::Swap { .. } => Some("swap"),
        Action::Set { .. } => Some("set"),
        Action::Failed { .. } => Some("failed"),
        Action::Fail(Fault::Statement { .. }) => Some("fail sql"),
        Action::Fail(Fault::Call { .. }) => Some("fail call"),
        Action::Fail(Fault::Instances { .. }) => Some("fail instances"),
        Action::Fail(Fault::Outbox { .. }) => Some("fail outbox"),
        Action::Advance(time) if *time > LONGEST_WAIT => Some("advance by more than a minute"),
        Action::Advance(_)
        | Action::Connect(_)
        | Action::Return(_)
        | Action::Send { .. }
        | Action::Say { .. }
        | Action::Hear { .. }
        | Action::Publish(_)
        | Action::Expect { .. }
        | Action::Nothing { .. }
        | Action::Skip { .. }
        | Action::Disconnect { .. }
        | Action::Vanish { .. }
        | Action::Closed { .. } => None,
    }
}

/// Whether a step can be played against a running host only with a [`Publisher`].
pub(super) fn needs_publisher(action: &Action) -> bool {
    matches!(action, Action::Publish(_))
}

fn refused(step: &str) -> BackendError {
    BackendError(format!(
        "`{step}` works only inside this process, and cannot be played against a running host (--url)"
    ))
}

impl Backend for Remote {
    fn connect(&mut self, client: &str, request: &Connect) -> Result<Answer, BackendError> {
        self.clients.remove(client);
        let Url { authority, prefix } = &self.url;
        let mut request = request.clone();
        request.target.insert_str(0, prefix);
        let connecting = async {
            let stream = TcpStream::connect(authority).await;
            let stream = stream.map_err(|error| self.url.absent(&error))?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            socket::connect(stream, authority, &request).await
        };
        let connected = self.runtime.block_on(async { timeout(self.response_timeout, connecting).await });
        let connected = connected.map_err(|_| self.url.silent(self.response_timeout))?;
        let (answer, socket) = connected.map_err(BackendError)?;
        if let Some(socket) = socket {
            self.clients.insert(client.to_owned(), socket);
        }
        self.settle();
        Ok(answer)
    }

    fn send(&mut self, client: &str, message: Message) -> Result<(), BackendError> {
        self.act(client, |socket| socket.send(message))
    }

    fn receive(&mut self, client: &str) -> Result<Option<Received>, BackendError> {
        let socket = self.client(client)?;
        // The caller reports that nothing came in time.
        let _ = self.runtime.block_on(async { timeout(self.response_timeout, socket.wait()).await });
        Ok(socket.take())
    }

    fn poll(&mut self, client: &str) -> Result<Option<Received>, BackendError> {
        self.settle();
        Ok(self.client(client)?.take())
    }

    fn disconnect(&mut self, client: &str, close: Option<(u16, &str)>) -> Result<(), BackendError> {
        self.leave(client, |socket| socket.close(close))
    }

    fn vanish(&mut self, client: &str) -> Result<(), BackendError> {
        self.leave(client, Socket::vanish)
    }

    fn sql(&mut self, _: &str, _: &str) -> Result<Rows, BackendError> {
        Err(refused("sql"))
    }

    fn execute_batch(&mut self, _: &str, _: &str) -> Result<(), BackendError> {
        Err(refused("sql"))
    }

    fn publish(&mut self, publication: &Publication) -> Result<Option<String>, BackendError> {
        let Some(publisher) = &self.publisher else { return Err(BackendError(NO_PUBLISHER.to_owned())) };
        let published = self.runtime.block_on(publisher.publish(publication))?;
        self.settle();
        Ok(published)
    }

    fn advance(&mut self, time: Duration) -> Result<(), BackendError> {
        // Here time really passes.
        if time > LONGEST_WAIT {
            return Err(refused("advance by more than a minute"));
        }
        self.runtime.block_on(async { sleep(time).await });
        self.settle();
        Ok(())
    }

    fn swap(&mut self, _: Option<&str>, _: &Path) -> Result<(), BackendError> {
        Err(refused("swap"))
    }

    fn fail_sql(&mut self, _: &str, _: StatementFault) -> Result<(), BackendError> {
        Err(refused("fail sql"))
    }

    fn fail_call(&mut self, _: Option<&str>, _: CallFault) -> Result<(), BackendError> {
        Err(refused("fail call"))
    }

    fn fail_instances(&mut self, _: Option<&str>) -> Result<(), BackendError> {
        Err(refused("fail instances"))
    }

    fn fail_outbox(&mut self, _: &str) -> Result<(), BackendError> {
        Err(refused("fail outbox"))
    }

    fn set(&mut self, _: &str, _: &str) -> Result<(), BackendError> {
        Err(refused("set"))
    }

    fn take_failed_calls(&mut self) -> Vec<FailedCall> {
        Vec::new()
    }

    fn client_of(&self, _: u64) -> Option<&str> {
        None
    }

    fn take_log(&mut self) -> Vec<LogLine> {
        Vec::new()
    }

    fn cost(&self) -> Option<Cost> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let url = |text: &str| text.parse::<Url>().map(|url| (url.authority, url.prefix));
        assert_eq!(url("ws://127.0.0.1:8080"), Ok(("127.0.0.1:8080".to_owned(), String::new())));
        assert_eq!(url("ws://example.org/live/"), Ok(("example.org:80".to_owned(), "/live".to_owned())));
        assert_eq!(url("ws://[::1]:9000/").map(|(authority, _)| authority), Ok("[::1]:9000".to_owned()));
        assert!(url("wss://example.org").unwrap_err().0.contains("TLS"));
        for wrong in ["http://example.org", "127.0.0.1:8080", "ws:", ""] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
