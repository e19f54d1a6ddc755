//! Rows that were published and are still in the table.

use std::collections::{HashSet, VecDeque};
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Rows that were published and are still in the table, in the order in which they were published. They must not be published
/// again by this host; if it dies, the next one does.
#[derive(Debug, Default)]
pub(super) struct Published {
    rows: VecDeque<(Instant, u64)>,
    ids: HashSet<u64>,
}

impl Published {
    /// A row was published now.
    pub(super) fn note(&mut self, id: u64) {
        if self.ids.insert(id) {
            self.rows.push_back((Instant::now(), id));
        }
    }

    /// Whether a row was published.
    pub(super) fn has(&self, id: u64) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<u64> {
        self.rows.iter().map(|(_, id)| *id).collect()
    }

    /// Those that may be removed, because they were `kept` for so long, or because there are more than `most`.
    pub(super) fn due(&self, kept: Duration, most: usize) -> Vec<u64> {
        let surplus = self.rows.len().saturating_sub(most);
        let is_due = |(place, (at, _)): &(usize, &(Instant, u64))| *place < surplus || at.elapsed() >= kept;
        self.rows.iter().enumerate().take_while(is_due).map(|(_, (_, id))| *id).collect()
    }

    /// The first so many rows are no longer in the table.
    pub(super) fn forget(&mut self, count: usize) {
        for (_, id) in self.rows.drain(..count) {
            self.ids.remove(&id);
        }
    }

    /// Wait until a row may be removed.
    pub(super) async fn is_due(&self, kept: Duration) {
        match self.rows.front() {
            Some((at, _)) => sleep_until(*at + kept).await,
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rows_stay_for_a_while_unless_there_are_too_many() {
        let (kept, mut published) = (Duration::from_millis(100), Published::default());
        published.note(1);
        published.note(1);
        advance(Duration::from_millis(60)).await;
        published.note(2);
        published.note(3);
        assert_eq!((published.due(kept, 9), published.due(kept, 1)), (vec![], vec![1, 2]));
        published.is_due(kept).await;
        assert_eq!((published.due(kept, 9), published.all()), (vec![1], vec![1, 2, 3]));
        published.forget(1);
        assert!(!published.has(1) && published.has(2));
        assert_eq!((published.len(), published.due(kept, 9)), (2, vec![]));
        advance(kept).await;
        assert_eq!(published.due(kept, 9), [2, 3]);
    }
}
