//! What a client of `hassock.v1` says: messages for the module, and what it asks the host for.

use hassock_frames::{Packed, Payload};
use tokio::time::Instant;

use super::run::Session;
use crate::app::connection::{Close, Opened, SendError};
use crate::app::{Amount, Start, TopicError, call};
use crate::auth::AuthError;
use crate::client_protocol::{Control, FromClient, ToClient, parse};
use crate::module::FailedCall;
use crate::module::payload;
use crate::socket::Transport;

/// Bytes of what a module says to a client whose request it refuses.
const MAX_TEXT: usize = 1 << 10;

/// Why the host does not do what a client asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refused<'a> {
    /// The module has no function for it.
    NotSupported(&'static str),
    /// The module does not want it, and says why.
    ByModule(&'a str),
    /// The host cannot.
    Topic(TopicError),
    /// The token is not accepted.
    Token(AuthError),
    /// The answer does not fit into the outbox.
    TooLarge,
}

impl Refused<'_> {
    /// The code of the protocol.
    fn code(&self) -> &'static str {
        match self {
            Self::NotSupported(_) => "not-supported",
            Self::ByModule(_) => "refused",
            Self::Topic(TopicError::InvalidName) => "invalid-topic",
            Self::Topic(TopicError::TooMany) => "too-many-topics",
            Self::Topic(TopicError::Forgotten) => "closing",
            Self::Token(AuthError::NoKeys) => "unavailable",
            Self::Token(_) => "invalid-token",
            Self::TooLarge => "too-large",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::NotSupported(text) => (*text).to_owned(),
            Self::ByModule(text) => text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default().to_owned(),
            Self::Topic(error) => error.to_string(),
            Self::Token(error) => error.to_string(),
            Self::TooLarge => "the answer is larger than `outbox_bytes`".to_owned(),
        }
    }
}

impl<S: Transport> Session<'_, S> {
    /// Handle what a client of the protocol has sent, in its order. Each message counts as handled before that, so that the
    /// client does not send it again if its network fails meanwhile.
    pub(super) async fn spoken(&mut self, messages: Packed, end: Option<Close>, now: Instant) -> Result<(), Close> {
        let mut ready = Packed::default();
        // The end of a socket, or an answer to a ping, does not come from somebody who has read the secret.
        if let Some(resumption) = self.opened.connection.resumption().filter(|_| !messages.is_empty()) {
            resumption.hear();
        }
        for message in messages.iter() {
            match parse(message) {
                Ok(FromClient::Message(payload)) => {
                    ready.push(payload);
                    self.count_handled();
                }
                Ok(FromClient::Control(Control::Heartbeat { received, reply }, _)) => {
                    let heard = self.heard_of(received, reply).await;
                    self.unless_ended(heard)?;
                }
                // Nobody is there any more who could get what was asked for.
                Ok(FromClient::Control(..)) if end.is_some() => {}
                Ok(FromClient::Control(control, payload)) => {
                    self.count_handled();
                    let handed = self.hand_over(std::mem::take(&mut ready), None, now).await;
                    self.unless_ended(handed)?;
                    let done = self.control(control, payload).await;
                    self.unless_ended(done)?;
                }
                Err(error) => {
                    let handed = self.hand_over(ready, None, now).await;
                    self.unless_ended(handed)?;
                    return Err(Close::not_of_the_protocol(error));
                }
            }
        }
        self.hand_over(ready, end, now).await
    }

    fn count_handled(&self) {
        if let Some(resumption) = self.opened.connection.resumption() {
            resumption.handle(1);
        }
    }

    /// The client is there, and may say what it has. It may want to hear of the host.
    async fn heard_of(&mut self, received: Option<u64>, reply: bool) -> Result<(), Close> {
        let connection = &self.opened.connection;
        if let Some(resumption) = connection.resumption() {
            match received {
                // What cannot be is of no use, and does no harm: a client that comes back with it gets another connection.
                Some(received) => drop(resumption.confirm(received)),
                // It does not count, so it does not want to come back.
                None => drop(resumption.give_up()),
            }
        }
        match reply && self.away.is_none() {
            true => self.writer.write_now(connection.heartbeat(), connection).await,
            false => Ok(()),
        }
    }

    async fn control(&mut self, control: Control, payload: Payload<'_>) -> Result<(), Close> {
        match control {
            Control::Subscribe { request, topic, since, last } => {
                let start = match (since, last) {
                    (Some(position), _) => Start::Since(position),
                    (None, Some(count)) => Start::Last(count as usize),
                    (None, None) => Start::Now,
                };
                self.subscribe(request, &topic, start).await
            }
            Control::Unsubscribe { topic } => {
                let Opened { app, connection, .. } = self.opened;
                if !app.topics.unsubscribe(connection, &topic) {
                    let outbox = &connection.outbox;
                    let told = outbox.push_spoken(ToClient::Unsubscribed { topic: &topic }.encoded());
                    told.unwrap_or_else(|error| outbox.fail(error));
                }
                Ok(())
            }
            Control::Token { request, token } => self.refresh(request, &token).await,
            Control::Request { request } => self.request(request, payload).await,
            Control::Heartbeat { .. } | Control::Other => Ok(()),
        }
    }

    async fn subscribe(&mut self, request: u64, topic: &str, start: Start) -> Result<(), Close> {
        let Opened { app, connection, limits, .. } = self.opened;
        let mut answer = None;
        let asked = self.ask(async {
            answer = Some(call::subscribe(app, connection, topic).await?);
            Ok(())
        });
        let ended = asked.await;
        let Some(answer) = answer else { return ended };
        let refused = match &answer {
            None => Refused::NotSupported("the application does not let clients subscribe by themselves"),
            Some(Err(text)) => Refused::ByModule(text),
            Some(Ok(())) => {
                let most = limits.topics_per_connection;
                match app.topics.subscribe_from(connection, topic, start, Some(request), most) {
                    Ok(_) => return ended,
                    Err(error) => Refused::Topic(error),
                }
            }
        };
        self.refuse(request, refused);
        ended
    }

    async fn request(&mut self, request: u64, question: Payload<'_>) -> Result<(), Close> {
        let Opened { app, connection, .. } = self.opened;
        let mut answer = None;
        let asked = self.ask(async {
            answer = Some(call::request(app, connection, question).await?);
            Ok(())
        });
        let ended = asked.await;
        let Some(answer) = answer else { return ended };
        let refused = match &answer {
            None => Refused::NotSupported("the application does not answer requests"),
            Some(Err(text)) => Refused::ByModule(text),
            Some(Ok(message)) => {
                let reply = ToClient::Reply { request }.with(payload(message));
                let amount = Amount::of(&reply);
                match connection.outbox.push_spoken(reply) {
                    Ok(()) => {
                        app.traffic.sent(amount, 1);
                        return ended;
                    }
                    Err(SendError::TooLarge) => Refused::TooLarge,
                    Err(error) => {
                        connection.outbox.fail(error);
                        return ended;
                    }
                }
            }
        };
        self.refuse(request, refused);
        ended
    }

    /// Call the module for the client, whose messages are written meanwhile. If the client is lost during a call that returns,
    /// the answer waits for the client.
    pub(super) async fn ask(&mut self, call: impl Future<Output = Result<(), FailedCall>>) -> Result<(), Close> {
        let mut call = Box::pin(call);
        self.drive(call.as_mut()).await
    }

    pub(super) fn refuse(&self, request: u64, refused: Refused<'_>) {
        let outbox = &self.opened.connection.outbox;
        let error = ToClient::Error { request, code: refused.code(), message: &refused.text() };
        outbox.push_spoken(error.encoded()).unwrap_or_else(|error| outbox.fail(error));
    }
}
