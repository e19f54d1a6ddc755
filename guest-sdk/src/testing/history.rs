//! What topics keep in a test: the last messages, as many as the test says.

use std::collections::{BTreeMap, VecDeque};

use super::answer;
use super::state::State;
use crate::history::{Gap, HistoryPage, KeptMessage, Position, StartAt, Subscription};
use crate::{Message, TopicError};

/// The epoch of every host of a test.
const EPOCH: u64 = 1;

/// The histories of all topics.
#[derive(Debug, Default)]
pub(super) struct Histories {
    patterns: Vec<(String, usize)>,
    by_topic: BTreeMap<String, History>,
    last: u64,
}

#[derive(Debug, Default)]
struct History {
    messages: VecDeque<KeptMessage>,
    last: u64,
    trimmed: u64,
}

impl Histories {
    pub(super) fn configure(&mut self, pattern: String, messages: usize) {
        self.patterns.push((pattern, messages));
    }

    /// How many messages a topic keeps.
    fn most(&self, topic: &str) -> Option<usize> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(beginning) => topic.starts_with(beginning),
            None => topic == pattern,
        };
        let fitting = self.patterns.iter().filter(|(pattern, _)| fits(pattern));
        let longest = fitting.max_by_key(|(pattern, _)| (pattern.trim_end_matches('*').len(), !pattern.ends_with('*')));
        longest.map(|(_, messages)| *messages).filter(|messages| *messages > 0)
    }
}

impl History {
    fn gap_after(&self, position: Position) -> Option<Gap> {
        match position.epoch == EPOCH {
            true => (position.offset < self.trimmed).then_some(Gap::Count),
            false => Some(Gap::Restart),
        }
    }

    /// The offset after which something begins, and why something is missing.
    fn begin(&self, start: StartAt) -> (u64, Option<Gap>) {
        match start {
            StartAt::Now => (self.last, None),
            StartAt::Since(position) => match self.gap_after(position) {
                None => (position.offset.min(self.last), None),
                gap => (self.trimmed, gap),
            },
            StartAt::Last(count) => {
                let skipped = self.messages.len().saturating_sub(count as usize);
                let first = self.messages.get(skipped);
                (first.map_or(self.last, |kept| kept.position.offset - 1), None)
            }
        }
    }

    fn after(&self, offset: u64) -> impl Iterator<Item = &KeptMessage> {
        self.messages.iter().filter(move |kept| kept.position.offset > offset)
    }
}

/// Keep a message, if its topic does.
pub(super) fn keep(state: &mut State, topic: &str, message: &Message, id: Option<&str>) -> Option<Position> {
    let histories = &mut state.histories;
    let most = histories.most(topic)?;
    histories.last += 1;
    let position = Position { epoch: EPOCH, offset: histories.last };
    let history = histories.by_topic.entry(topic.to_owned()).or_default();
    history.last = position.offset;
    history.messages.push_back(KeptMessage { position, message: message.clone(), id: id.map(str::to_owned) });
    while history.messages.len() > most {
        history.trimmed = history.messages.pop_front().map_or(0, |oldest| oldest.position.offset);
    }
    Some(position)
}

/// A part of a history.
pub(super) fn page(
    state: &mut State,
    topic: &str,
    since: Option<Position>,
    limit: u32,
) -> Result<HistoryPage, TopicError> {
    state.histories.most(topic).ok_or(TopicError::NoHistory)?;
    let history = state.histories.by_topic.entry(topic.to_owned()).or_default();
    let (offset, missing) = history.begin(since.map_or(StartAt::Last(limit), StartAt::Since));
    let messages = history.after(offset).take(limit as usize).cloned().collect();
    Ok(HistoryPage { messages, latest: Position { epoch: EPOCH, offset: history.last }, missing })
}

/// Subscribe a connection from a point of the past on.
pub(super) fn subscribe(state: &mut State, id: u64, topic: &str, start: StartAt) -> Result<Subscription, TopicError> {
    let limits = state.limits.clone();
    let keeps = state.histories.most(topic).is_some();
    let connection = state.known(id).ok_or(TopicError::UnknownConnection)?;
    let was_subscribed = connection.topics.contains(topic);
    answer::subscribe(connection, &limits, topic)?;
    if !keeps {
        let missing = matches!(start, StartAt::Since(_)).then_some(Gap::None);
        return Ok(Subscription { position: None, missing });
    }
    let history = state.histories.by_topic.entry(topic.to_owned()).or_default();
    let (offset, missing) = history.begin(start);
    let missed: Vec<Message> = match was_subscribed && start == StartAt::Now {
        true => Vec::new(),
        false => history.after(offset).map(|kept| kept.message.clone()).collect(),
    };
    let position = Some(Position { epoch: EPOCH, offset });
    if let Some(connection) = state.known(id) {
        // What does not fit, a real host sends later.
        for message in &missed {
            let _ = connection.outbox.push(std::slice::from_ref(message));
        }
    }
    Ok(Subscription { position, missing })
}
