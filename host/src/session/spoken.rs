//! What a client of `hassock.v1` says: messages for the module, and what it asks the host for.

use hassock_frames::{Packed, Payload};
use tokio::time::Instant;

use super::run::Session;
use super::transport::Transport;
use crate::app::connection::{Close, Opened, SendError};
use crate::app::{Amount, Start, TopicError, call};
use crate::auth::AuthError;
use crate::client_protocol::{Control, FromClient, ToClient, parse};
use crate::module::FailedCall;
use crate::module::payload;

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
    /// Handle what a client of the protocol has sent, in its order.
    pub(super) async fn spoken(&mut self, messages: Packed, end: Option<Close>, now: Instant) -> Result<(), Close> {
        let mut ready = Packed::default();
        for message in messages.iter() {
            match parse(message) {
                Ok(FromClient::Message(payload)) => ready.push(payload),
                // Nobody is there any more who could get what was asked for.
                Ok(FromClient::Control(..)) if end.is_some() => {}
                Ok(FromClient::Control(control, payload)) => {
                    self.hand_over(std::mem::take(&mut ready), None, now).await?;
                    self.control(control, payload).await?;
                }
                Err(error) => {
                    self.hand_over(ready, None, now).await?;
                    return Err(Close::not_of_the_protocol(error));
                }
            }
        }
        self.hand_over(ready, end, now).await
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
            Control::Heartbeat | Control::Other => Ok(()),
        }
    }

    async fn subscribe(&mut self, request: u64, topic: &str, start: Start) -> Result<(), Close> {
        let Opened { app, connection, limits, .. } = self.opened;
        let mut answer = None;
        self.ask(async {
            answer = call::subscribe(app, connection, topic).await?;
            Ok(())
        })
        .await?;
        let refused = match &answer {
            None => Refused::NotSupported("the application does not let clients subscribe by themselves"),
            Some(Err(text)) => Refused::ByModule(text),
            Some(Ok(())) => {
                let most = limits.topics_per_connection;
                match app.topics.subscribe_from(connection, topic, start, Some(request), most) {
                    Ok(_) => return Ok(()),
                    Err(error) => Refused::Topic(error),
                }
            }
        };
        self.refuse(request, refused);
        Ok(())
    }

    async fn request(&mut self, request: u64, question: Payload<'_>) -> Result<(), Close> {
        let Opened { app, connection, .. } = self.opened;
        let mut answer = None;
        self.ask(async {
            answer = call::request(app, connection, question).await?;
            Ok(())
        })
        .await?;
        let refused = match &answer {
            None => Refused::NotSupported("the application does not answer requests"),
            Some(Err(text)) => Refused::ByModule(text),
            Some(Ok(message)) => {
                let reply = ToClient::Reply { request }.with(payload(message));
                let amount = Amount::of(&reply);
                match connection.outbox.push_spoken(reply) {
                    Ok(()) => {
                        app.traffic.sent(amount, 1);
                        return Ok(());
                    }
                    Err(SendError::TooLarge) => Refused::TooLarge,
                    Err(error) => {
                        connection.outbox.fail(error);
                        return Ok(());
                    }
                }
            }
        };
        self.refuse(request, refused);
        Ok(())
    }

    /// Call the module for the client, whose messages are written meanwhile.
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
