//! `hassock:host/topics`

use hassock_frames::Encoded;

use crate::app::call::InstanceState;
use crate::app::observer::CallObserver;
use crate::app::{self, Keeping, Publication, PublishError, TopicError};
use crate::client_protocol;
use crate::module::bindings::hassock::host::topics::{
    Error, Gap, HistoryPage, Host, KeptMessage, Member, Position, PublishOptions, Published, Start, Subscription,
};
use crate::module::bindings::hassock::host::types::Message;
use crate::module::payload;

impl Host for InstanceState {
    fn subscribe(&mut self, id: u64, topic: String) -> Result<(), Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        let Some(call) = &self.call else { return Err(Error::UnknownConnection) };
        let most = call.setup.limits.topics_per_connection;
        call.app.topics.subscribe(&connection, &topic, most)?;
        // It may have something to read.
        self.mark_dirty(connection);
        Ok(())
    }

    fn subscribe_from(&mut self, id: u64, topic: String, start: Start) -> Result<Subscription, Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        let Some(call) = &mut self.call else { return Err(Error::UnknownConnection) };
        call.expire_room();
        let most = call.setup.limits.topics_per_connection;
        let subscribed = call.app.topics.subscribe_from(&connection, &topic, start.into(), None, most)?;
        self.mark_dirty(connection);
        let missing = subscribed.gap.map(Into::into);
        Ok(Subscription { position: subscribed.position.map(Into::into), missing })
    }

    fn unsubscribe(&mut self, id: u64, topic: String) -> Result<(), Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        if let Some(call) = &self.call {
            call.app.topics.unsubscribe(&connection, &topic);
        }
        // A client of `hassock.v1` is told.
        self.mark_dirty(connection);
        Ok(())
    }

    fn publish(&mut self, topic: String, message: Message) -> Result<u32, Error> {
        Ok(self.publish_message(&topic, &message, app::PublishOptions::default())?.reached)
    }

    fn publish_except(&mut self, topic: String, message: Message, except: u64) -> Result<u32, Error> {
        let options = app::PublishOptions { except: Some(except), ..Default::default() };
        Ok(self.publish_message(&topic, &message, options)?.reached)
    }

    fn publish_with(&mut self, topic: String, message: Message, options: PublishOptions) -> Result<Published, Error> {
        let options = app::PublishOptions::from(&options);
        let Publication { reached, position, is_duplicate } = self.publish_message(&topic, &message, options)?;
        Ok(Published { reached, position: position.map(Into::into), is_duplicate })
    }

    fn history(&mut self, topic: String, since: Option<Position>, limit: u32) -> Result<HistoryPage, Error> {
        let Some(call) = &self.call else { return Err(Error::NoHistory) };
        let since = since.map(Into::into);
        call.app.topics.history(&topic, since, limit as usize).map(page).ok_or(Error::NoHistory)
    }

    fn members(&mut self, topic: String, after: Option<u64>, limit: u32) -> Vec<Member> {
        let Some(call) = &self.call else { return Vec::new() };
        let (members, _) = call.app.topics.members(&topic, after.unwrap_or(0), limit as usize);
        members.into_iter().map(|member| Member { id: member.connection, data: member.data }).collect()
    }

    fn member_count(&mut self, topic: String) -> u32 {
        let count = self.call.as_ref().map_or(0, |call| call.app.topics.member_count(&topic));
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn subscribers(&mut self, topic: String) -> Vec<u64> {
        self.call.as_ref().map(|call| call.app.topics.subscribers(&topic)).unwrap_or_default()
    }
}

impl InstanceState {
    fn publish_message(
        &mut self,
        topic: &str,
        message: &Message,
        options: app::PublishOptions<'_>,
    ) -> Result<Publication, Error> {
        let Some(call) = &mut self.call else {
            return Ok(Publication { reached: 0, position: None, is_duplicate: false });
        };
        call.expire_room();
        let trace = match &call.observer {
            Some(CallObserver::Trace(trace)) => Some(trace.publish(topic)),
            _ => None,
        };
        let published = call.app.publish_from_call(&call.setup, topic, payload(message), options, &mut call.dirty)?;
        if let Some(trace) = trace {
            trace.reached(published.reached);
        }
        Ok(published)
    }
}

impl<'a> From<&'a PublishOptions> for app::PublishOptions<'a> {
    fn from(options: &'a PublishOptions) -> Self {
        let keeping = if options.skip_history { Keeping::Skip } else { Keeping::Keep };
        Self { except: options.except, id: options.id.as_deref(), keeping }
    }
}

impl From<TopicError> for Error {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::InvalidName => Self::InvalidTopic,
            TopicError::TooMany => Self::TooManyTopics,
            TopicError::Forgotten => Self::UnknownConnection,
        }
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::TooLarge | PublishError::OutOfMemory(_) => Self::TooLarge,
            PublishError::InvalidId => Self::InvalidTopic,
            PublishError::Unavailable => Self::Unavailable,
        }
    }
}

impl From<Position> for client_protocol::Position {
    fn from(Position { epoch, offset }: Position) -> Self {
        Self { epoch, offset }
    }
}

impl From<client_protocol::Position> for Position {
    fn from(client_protocol::Position { epoch, offset }: client_protocol::Position) -> Self {
        Self { epoch, offset }
    }
}

impl From<client_protocol::Gap> for Gap {
    fn from(gap: client_protocol::Gap) -> Self {
        match gap {
            client_protocol::Gap::Count => Self::Count,
            client_protocol::Gap::Age => Self::Age,
            client_protocol::Gap::Bytes => Self::Bytes,
            client_protocol::Gap::Restart => Self::Restart,
            client_protocol::Gap::None => Self::None,
        }
    }
}

impl From<Start> for app::Start {
    fn from(start: Start) -> Self {
        match start {
            Start::Now => Self::Now,
            Start::Since(position) => Self::Since(position.into()),
            Start::Last(count) => Self::Last(count as usize),
        }
    }
}

/// A part of a history, for a module.
pub(super) fn page(page: app::HistoryPage) -> HistoryPage {
    let kept = page.messages.into_iter().map(|(position, kept)| KeptMessage {
        position: position.into(),
        message: message_of(&kept.message),
        id: kept.id.as_deref().map(str::to_owned),
    });
    HistoryPage { messages: kept.collect(), latest: page.latest.into(), missing: page.gap.map(Into::into) }
}

fn message_of(kept: &Encoded) -> Message {
    match kept.as_text() {
        Some(text) => Message::Text(text.to_owned()),
        None => Message::Binary(kept.payload().to_vec()),
    }
}
