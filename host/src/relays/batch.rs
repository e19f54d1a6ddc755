//! What a relay does with rows: it reads some, publishes them in their order, and removes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hassock_frames::Payload;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::Audience;
use super::relay::{Look, Relay, names};
use crate::app::{App, PublishError, PublishOptions};
use crate::database::{DatabaseError, MAX_TOPIC, OutboxHead, OutboxPayload, OutboxRow};

/// Bytes of a database's name in the id of a message. With the rest, the id has fewer than
/// [`MAX_MESSAGE_ID`](crate::app::MAX_MESSAGE_ID).
const NAME_IN_ID: usize = 64;

/// How many batches of rows stay for a while after they were published. When there are more, the oldest are removed at once.
const KEPT_BATCHES: usize = 4;

/// Rows of one batch.
#[derive(Debug, Default)]
struct Chosen {
    /// Those to read, in their order.
    ids: Vec<u64>,
    /// Those that can never be published, and why.
    hopeless: Vec<(u64, String, String)>,
    /// Not all rows were chosen, or there may be others.
    is_full: bool,
}

impl Relay {
    /// Publish the next rows, and remove those that were published some time ago.
    pub(super) async fn publish_batch(&mut self) -> Result<Look, DatabaseError> {
        let audience = Arc::clone(&self.audience.borrow());
        let batch = self.database.outbox().map_or(1, |outbox| outbox.batch());
        self.remove_published(batch.saturating_mul(KEPT_BATCHES)).await?;
        if audience.is_empty() {
            return Ok(Look::Nothing);
        }
        // Those that were published are still there.
        let most = batch.saturating_add(self.published.len());
        let found = self.reader.heads(&names(&audience), most).await?;
        let heads: Vec<_> = found.into_iter().filter(|head| !self.published.has(head.id)).collect();
        self.set_oldest(&heads);
        if heads.is_empty() {
            return Ok(Look::Nothing);
        }
        let chosen = choose(&heads, &audience, batch, self.database.max_result_bytes());
        let rows = self.reader.rows(&chosen.ids).await?;
        let apps = heads.iter().filter_map(|head| Some((head.id, audience.get(&head.app)?))).collect();
        let look = self.publish_rows(&chosen, rows, &apps).await;
        for (id, app, reason) in &chosen.hopeless {
            self.give_up(*id, app, reason);
        }
        self.remove_published(batch.saturating_mul(KEPT_BATCHES)).await?;
        Ok(look)
    }

    /// Remove what was published some time ago, and what is too much to remember.
    async fn remove_published(&mut self, most: usize) -> Result<(), DatabaseError> {
        let kept = self.database.outbox().map(|outbox| outbox.kept()).unwrap_or_default();
        let due = self.published.due(kept, most);
        self.reader.remove(&due).await?;
        self.published.forget(due.len());
        Ok(())
    }

    /// Publish rows in the order in which they were chosen. Stops before a row for which there is no memory or no cluster now, and when the relay
    /// is to stop.
    async fn publish_rows(&mut self, chosen: &Chosen, rows: Vec<OutboxRow>, apps: &HashMap<u64, &Arc<App>>) -> Look {
        let mut rows: HashMap<u64, OutboxRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        let began = Instant::now();
        for id in &chosen.ids {
            if began.elapsed() > LONGEST_BATCH {
                return Look::More;
            }
            let (Some(row), Some(app)) = (rows.remove(id), apps.get(id)) else { continue };
            // In memory, time may stand still.
            if self.database.outbox().is_some_and(|outbox| outbox.poll().is_some()) {
                self.pace.wait(app, row.message_bytes(), &self.stop).await;
            }
            if self.stop.is_cancelled() {
                return Look::Nothing;
            }
            match publish(app, self.database.name(), &row).await {
                Ok(()) => {
                    self.published.note(row.id);
                    if let Some(outbox) = self.database.outbox() {
                        outbox.stats.note_published();
                    }
                }
                Err(NotPublished::Later) => return Look::Later,
                Err(NotPublished::Hopeless(reason)) => self.give_up(row.id, &app.name, &reason),
            }
            // Subscribers get a chance to read what is queued for them.
            yield_now().await;
        }
        if chosen.is_full { Look::More } else { Look::Nothing }
    }

    /// Remove a row that can never be published, which would stop all rows behind it.
    fn give_up(&mut self, id: u64, app: &str, reason: &str) {
        self.published.note(id);
        if let Some(outbox) = self.database.outbox() {
            outbox.stats.note_removed();
        }
        let database = self.database.name();
        tracing::error!(
            app,
            database,
            row = id,
            "a row of the outbox is removed, because it cannot be published: {reason}"
        );
    }

    fn set_oldest(&self, heads: &[OutboxHead]) {
        if let Some(outbox) = self.database.outbox() {
            outbox.stats.set_oldest(heads.iter().map(|head| head.age).max().unwrap_or(Duration::ZERO));
        }
    }
}

/// How long rows are published before the session is used again: a server ends one that is silent for a minute, and with it the
/// lock by which only one host publishes.
const LONGEST_BATCH: Duration = Duration::from_secs(10);

/// Choose the next rows: as many as a batch has, and with no more bytes than a result may have.
fn choose(heads: &[OutboxHead], audience: &Audience, batch: usize, most_bytes: usize) -> Chosen {
    let mut chosen = Chosen { is_full: heads.len() >= batch, ..Chosen::default() };
    let mut bytes = 0_usize;
    for head in heads.iter().take(batch) {
        let Some(app) = audience.get(&head.app) else {
            // A server may find `chat ` where it looks for `chat`. Such rows would stand before all others for ever.
            chosen.hopeless.push((head.id, head.app.clone(), "no app has exactly this name".to_owned()));
            continue;
        };
        let outbox_bytes = app.setup().limits.outbox_bytes.bytes();
        if let Some(reason) = hopeless(head, outbox_bytes, most_bytes) {
            chosen.hopeless.push((head.id, head.app.clone(), reason));
            continue;
        }
        bytes = bytes.saturating_add(head.message_bytes);
        if bytes > most_bytes {
            chosen.is_full = true;
            break;
        }
        chosen.ids.push(head.id);
    }
    chosen
}

fn hopeless(head: &OutboxHead, outbox_bytes: usize, most_bytes: usize) -> Option<String> {
    let (topic, message) = (head.topic_bytes, head.message_bytes);
    if !(1..=MAX_TOPIC).contains(&topic) {
        return Some(format!("the name of its topic has {topic} bytes, and must have 1 to {MAX_TOPIC}"));
    }
    if message > outbox_bytes {
        return Some(format!("its message has {message} bytes, more than {outbox_bytes} (outbox_bytes)"));
    }
    (message > most_bytes)
        .then(|| format!("its message has {message} bytes, more than {most_bytes} (max_result_bytes of the database)"))
}

/// Why a row was not published.
enum NotPublished {
    /// It can be published later: the host has no memory now, or the cluster cannot be reached.
    Later,
    /// It can never be published.
    Hopeless(String),
}

async fn publish(app: &App, database: &str, row: &OutboxRow) -> Result<(), NotPublished> {
    let hopeless = |reason: &str| NotPublished::Hopeless(reason.to_owned());
    let topic = row.topic.as_deref().ok_or_else(|| hopeless("the name of its topic is not UTF-8"))?;
    let message = match row.message.as_ref() {
        Some(OutboxPayload::Text(text)) => Payload::text(text),
        Some(OutboxPayload::Binary(bytes)) => Payload::binary(bytes),
        None => {
            return Err(hopeless(
                "its message is not UTF-8; insert it through a connection with the character set utf8mb4, or with the format \
                 `binary`",
            ));
        }
    };
    let id = message_id(database, row);
    match app.publish(topic, message, PublishOptions { id: Some(&id), ..PublishOptions::default() }).await {
        Ok(_) => Ok(()),
        Err(PublishError::OutOfMemory(_) | PublishError::Unavailable) => Err(NotPublished::Later),
        Err(error) => Err(NotPublished::Hopeless(error.to_string())),
    }
}

/// The same for the same row, whoever publishes it.
fn message_id(database: &str, row: &OutboxRow) -> String {
    let name = database.get(..NAME_IN_ID).unwrap_or(database);
    format!("outbox-{name}-{}-{}", row.id, row.created)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::MAX_MESSAGE_ID;

    fn head(topic_bytes: usize, message_bytes: usize) -> OutboxHead {
        OutboxHead { id: 1, turn: 0, app: "chat".to_owned(), topic_bytes, message_bytes, age: Duration::ZERO }
    }

    #[test]
    fn a_row_that_can_never_be_published_is_known_before_it_is_read() {
        assert_eq!(hopeless(&head(256, 100), 100, 100), None);
        for (head, reason) in [
            (head(0, 1), "has 0 bytes, and must have 1 to 256"),
            (head(257, 1), "has 257 bytes, and must have 1 to 256"),
            (head(1, 101), "more than 100 (outbox_bytes)"),
        ] {
            assert!(hopeless(&head, 100, 200).is_some_and(|said| said.contains(reason)), "{head:?}");
        }
        assert!(hopeless(&head(1, 90), 100, 80).is_some_and(|said| said.contains("max_result_bytes")));
    }

    #[test]
    fn an_id_is_short_enough_however_long_the_name_of_the_database_is() {
        let created = "2026-01-31T13:05:59.123456Z".to_owned();
        let row = OutboxRow { id: u64::MAX, created, topic: None, message: None };
        let id = message_id(&"d".repeat(300), &row);
        assert!(id.len() <= MAX_MESSAGE_ID, "{}", id.len());
        assert!(id.ends_with(&format!("-{}-2026-01-31T13:05:59.123456Z", u64::MAX)), "{id}");
    }
}
