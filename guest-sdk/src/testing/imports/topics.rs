//! `hassock:host/topics`

use crate::history::{HistoryPage, Options, Position, Published, StartAt, Subscription};
use crate::testing::answer;
use crate::testing::current::state;
use crate::testing::engine::closing;
use crate::testing::history;
use crate::testing::outbox::SendError;
use crate::testing::state::{Connection, State};
use crate::{ClosedBy, Message, TopicError};

/// Bytes of the id of a message.
const MAX_ID: usize = 128;

pub(crate) fn subscribe(id: u64, topic: &str) -> Result<(), TopicError> {
    state("Connection::subscribe", |state| {
        let limits = state.limits.clone();
        let connection = state.known(id).ok_or(TopicError::UnknownConnection)?;
        answer::subscribe(connection, &limits, topic)
    })
}

pub(crate) fn unsubscribe(id: u64, topic: &str) -> Result<(), TopicError> {
    state("Connection::unsubscribe", |state| {
        state.known(id).ok_or(TopicError::UnknownConnection)?.topics.remove(topic);
        Ok(())
    })
}

pub(crate) fn publish(topic: &str, message: Message) -> Result<u32, TopicError> {
    state("topics::publish", |state| Ok(publish_to(state, topic, &message, &Options::default())?.reached))
}

pub(crate) fn publish_except(topic: &str, message: Message, except: u64) -> Result<u32, TopicError> {
    let options = Options { except: Some(except), ..Options::default() };
    state("topics::publish_except", |state| Ok(publish_to(state, topic, &message, &options)?.reached))
}

pub(crate) fn subscribe_from(id: u64, topic: &str, start: StartAt) -> Result<Subscription, TopicError> {
    state("Connection::subscribe_from", |state| history::subscribe(state, id, topic, start))
}

pub(crate) fn publish_with(topic: &str, message: Message, options: Options) -> Result<Published, TopicError> {
    state("Publish::publish", |state| {
        if options.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_ID) {
            return Err(TopicError::InvalidTopic);
        }
        let key = options.id.clone().map(|id| (topic.to_owned(), id));
        if let Some(before) = key.as_ref().and_then(|key| state.published.get(key)) {
            return Ok(Published { is_duplicate: true, ..*before });
        }
        let published = publish_to(state, topic, &message, &options)?;
        state.published.extend(key.map(|key| (key, published)));
        Ok(published)
    })
}

pub(crate) fn history(topic: &str, since: Option<Position>, limit: u32) -> Result<HistoryPage, TopicError> {
    state("history", |state| history::page(state, topic, since, limit))
}

pub(crate) fn members(topic: &str, after: Option<u64>, limit: u32) -> Vec<(u64, Option<String>)> {
    state("topics::members", |state| {
        let members = state.subscribers(topic).filter(|(id, _)| Some(*id) > after).take(limit as usize);
        members.map(|(id, connection)| (id, connection.presence.clone())).collect()
    })
}

pub(crate) fn member_count(topic: &str) -> u32 {
    state("topics::count", |state| u32::try_from(state.subscribers(topic).count()).unwrap_or(u32::MAX))
}

pub(crate) fn subscribers(topic: &str) -> Vec<u64> {
    state("topics::subscribers", |state| state.subscribers(topic).map(|(id, _)| id).collect())
}

/// Publish what a transaction has committed. One that can be inserted can be published.
pub(super) fn publish_from_outbox(state: &mut State, topic: &str, message: &Message) {
    let _ = publish_to(state, topic, message, &Options::default());
}

fn publish_to(state: &mut State, topic: &str, message: &Message, options: &Options) -> Result<Published, TopicError> {
    if message.as_bytes().len() > state.limits.outbox_bytes {
        return Err(TopicError::TooLarge);
    }
    let position =
        if options.skip_history { None } else { history::keep(state, topic, message, options.id.as_deref()) };
    let others = state.subscribers(topic).filter(|(id, _)| Some(*id) != options.except);
    let reached = others.filter_map(|(_, connection)| reach(connection, message)).count();
    Ok(Published { reached: u32::try_from(reached).unwrap_or(u32::MAX), position, is_duplicate: false })
}

/// Queue a message for a subscriber. If its outbox is full, it is closed: it would otherwise miss a message without
/// knowing it.
fn reach(connection: &mut Connection, message: &Message) -> Option<()> {
    match connection.outbox.push(std::slice::from_ref(message)) {
        Ok(()) => Some(()),
        Err(SendError::Full) => {
            connection.outbox.overflow(closing(1013, "too slow: the outbox is full", ClosedBy::Host));
            None
        }
        Err(SendError::Closing | SendError::TooLarge) => None,
    }
}
