//! How fast a relay publishes what has piled up. Rows can wait, and a client whose outbox is full cannot: it would be closed as too
//! slow, although nobody but the relay was too quick.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// A relay looks at the outboxes after each such part of an outbox that it has published.
const LOOK_AFTER: usize = 4;

/// It goes on when no outbox is fuller than this, in percent.
const ROOM: u8 = 50;

/// The time between two looks. A client on a fast line has read an outbox by then.
const STEP: Duration = Duration::from_millis(5);

/// How long it waits for one client. One that has not read by then is as slow as the limits of the app do not allow.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long it then waits for nobody: a client that reads nothing must not slow down the others.
const IMPATIENCE: Duration = Duration::from_secs(10);

/// What was published to each app.
#[derive(Debug, Default)]
pub(super) struct Pace(HashMap<String, Published>);

#[derive(Debug, Default)]
struct Published {
    /// Bytes since the outboxes were looked at.
    bytes: usize,
    /// Until when nobody is waited for.
    impatient_until: Option<Instant>,
}

impl Pace {
    /// Wait until an app has room for a message of so many bytes, or for long enough.
    pub(super) async fn wait(&mut self, app: &App, bytes: usize, stop: &CancellationToken) {
        let published = self.0.entry(app.name.to_string()).or_default();
        published.bytes = published.bytes.saturating_add(bytes);
        if published.bytes <= app.setup().limits.outbox_bytes.bytes() / LOOK_AFTER {
            return;
        }
        published.bytes = bytes;
        let since = Instant::now();
        if published.impatient_until.is_some_and(|until| since < until) {
            return;
        }
        while fullest(app) > ROOM && !stop.is_cancelled() {
            if since.elapsed() >= PATIENCE {
                published.impatient_until = Some(Instant::now() + IMPATIENCE);
                return;
            }
            sleep(STEP).await;
        }
    }
}

/// How full the fullest outbox of an app is, in percent.
fn fullest(app: &App) -> u8 {
    let mut fullest = 0;
    app.connections.each(|connection| fullest = fullest.max(connection.outbox.filling().1));
    fullest
}
