//! A part of a history, for those who ask for it.

use tokio::time::Instant;

use super::history::{History, Kept, Start};
use crate::client_protocol::{Gap, Position};

/// Bytes of messages or members that are returned at once: they are copied several times on their way to a module.
pub(super) const MAX_PAGE: usize = 1 << 20;

/// A part of the history of a topic.
#[derive(Debug, Clone)]
pub struct HistoryPage {
    /// The messages, oldest first, each with its position.
    pub messages: Vec<(Position, Kept)>,
    /// The position of the last message of the topic.
    pub latest: Position,
    /// Why messages before these, and after the position that was asked for, are missing, if they are.
    pub gap: Option<Gap>,
    /// Whether there are more: newer ones, or older ones if no position was asked for.
    pub is_cut: bool,
}

/// A part of a history.
pub(super) fn page(history: &mut History, since: Option<Position>, limit: usize) -> HistoryPage {
    let start = since.map_or(Start::Last(limit), Start::Since);
    let (offset, gap) = history.begin(start, Instant::now());
    let latest = history.position();
    let bytes = |kept: &&Kept| kept.bytes();
    let mut kept: Vec<&Kept> = match since {
        Some(_) => within(MAX_PAGE, history.after(offset).take(limit), bytes).collect(),
        None => within(MAX_PAGE, history.after(offset).rev(), bytes).collect(),
    };
    if since.is_none() {
        kept.reverse();
    }
    let is_cut = kept.len() < history.after(offset).count();
    let messages = kept.into_iter().map(|kept| (history.position_of(kept.offset), kept.clone())).collect();
    HistoryPage { messages, latest, gap, is_cut }
}

/// The first ones, until they have so many bytes: at least one.
pub(super) fn within<T>(
    most: usize,
    all: impl Iterator<Item = T>,
    bytes: impl Fn(&T) -> usize,
) -> impl Iterator<Item = T> {
    let mut sum = 0;
    all.take_while(move |one| {
        let is_first = sum == 0;
        sum += bytes(one);
        is_first || sum <= most
    })
}
