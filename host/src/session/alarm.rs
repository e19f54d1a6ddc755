//! What a session does when its alarm goes off: resume reading, ping a silent client, and end a connection whose token has
//! expired.

use tokio::time::Instant;

use super::run::Session;
use crate::app::connection::{Close, Opened};
use crate::app::versions;
use crate::socket::Transport;

/// The time, or that at which the token of the client expires, if that is earlier.
pub(super) fn not_after_the_token(due: Instant, opened: &Opened) -> Instant {
    let closes = opened.connection.token.as_ref().and_then(|token| token.closes());
    closes.map_or(due, |closes| closes.min(due))
}

impl<S: Transport> Session<'_, S> {
    /// Resume reading, or see to the keepalive: ping a silent client, and give it up if it stays silent.
    pub(super) async fn alarm(&mut self) -> Result<(), Close> {
        if versions::is_unsettled(&self.opened.app, &self.opened.connection) {
            // No instance was free for its migration when it was woken, and it has said nothing since.
            self.opened.connection.wake();
        }
        let now = Instant::now();
        if self.has_expired(now) {
            return Err(Close::token_expired());
        }
        if let Some(until) = self.paused_until {
            if until > now {
                self.set_alarm(until);
                return Ok(());
            }
            // Nothing was read meanwhile, so its silence says nothing.
            self.paused_until = None;
            (self.last_heard, self.pinged_at) = (now, None);
        }
        if std::mem::take(&mut self.reader.has_heard) {
            // A large message may take longer than the keepalive.
            (self.last_heard, self.pinged_at) = (now, None);
        }
        let keepalive = self.opened.limits.keepalive.get();
        if self.opened.connection.speaks() {
            // The alarm may have been for a token that has been replaced.
            if let Some(answered_by) = self.pinged_at.map(|pinged_at| pinged_at + keepalive).filter(|by| *by > now) {
                self.set_alarm(answered_by);
                return Ok(());
            }
            return Box::pin(self.heartbeat(now + keepalive, now)).await;
        }
        let mut due = self.pinged_at.unwrap_or(self.last_heard) + keepalive;
        if due <= now {
            if self.pinged_at.is_some() {
                return Err(Close::lost("the client did not answer a ping"));
            }
            self.pinged_at = Some(now);
            self.writer.ping(&self.opened.connection).await?;
            due = now + keepalive;
        }
        self.set_alarm(due);
        Ok(())
    }

    /// Let a client of the protocol know that the host is there, and find out whether the client is: it answers. A page in a
    /// browser does not see pings.
    async fn heartbeat(&mut self, next: Instant, now: Instant) -> Result<(), Close> {
        if self.pinged_at.is_some() {
            return Err(Close::lost("the client did not answer a heartbeat"));
        }
        self.pinged_at = Some(now);
        self.writer.write_now(self.opened.connection.heartbeat(), &self.opened.connection).await?;
        self.set_alarm(next);
        Ok(())
    }

    /// Whether the token of the client counts no more.
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.opened.connection.token.as_ref().and_then(|token| token.closes()).is_some_and(|closes| closes <= now)
    }

    /// Ring then, or earlier if the token of the client expires before.
    pub(super) fn set_alarm(&mut self, due: Instant) {
        self.alarm.as_mut().reset(not_after_the_token(due, self.opened));
    }
}
