//! `hassock:host/topics`

use crate::testing::answer;
use crate::testing::current::state;
use crate::testing::engine::closing;
use crate::testing::outbox::SendError;
use crate::testing::state::{Connection, State};
use crate::{ClosedBy, Message, TopicError};

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
    state("topics::publish", |state| publish_to(state, topic, &message, None))
}

pub(crate) fn publish_except(topic: &str, message: Message, except: u64) -> Result<u32, TopicError> {
    state("topics::publish_except", |state| publish_to(state, topic, &message, Some(except)))
}

pub(crate) fn subscribers(topic: &str) -> Vec<u64> {
    state("topics::subscribers", |state| state.subscribers(topic).map(|(id, _)| id).collect())
}

fn publish_to(state: &mut State, topic: &str, message: &Message, except: Option<u64>) -> Result<u32, TopicError> {
    if message.as_bytes().len() > state.limits.outbox_bytes {
        return Err(TopicError::TooLarge);
    }
    let others = state.subscribers(topic).filter(|(id, _)| Some(*id) != except);
    let reached = others.filter_map(|(_, connection)| reach(connection, message)).count();
    Ok(u32::try_from(reached).unwrap_or(u32::MAX))
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
