//! A session without its client: the network has failed, and the client may come back.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::link::Link;
use super::read::Reader;
use super::run::Session;
use crate::app::connection::{Arrival, Close, IsBack, Opened, Resumption};
use crate::app::{CountedAway, call, versions};
use crate::socket::Transport;

/// The client is away.
pub(super) struct Away {
    /// How the connection was lost: it ends like this if the client does not come back.
    lost: Close,
    /// When it ends.
    until: Instant,
    _counted: CountedAway,
}

impl<S: Transport> Session<'_, S> {
    /// What follows from the end of a socket, or of the connection. Returns the close if the connection ends, and none if it
    /// waits for its client.
    pub(super) fn end_or_wait(&mut self, close: Close) -> Option<Close> {
        let connection = &self.opened.connection;
        // A client for which nothing is kept cannot come back.
        let may_return = connection.resumption().is_some_and(|resumption| !resumption.is_given_up());
        if !close.is_loss() || !may_return || connection.outbox.is_closing() {
            return Some(close);
        }
        self.wait_for_client(close);
        None
    }

    /// The same for something that was done: nothing follows if the connection waits for its client.
    pub(super) fn unless_ended(&mut self, done: Result<(), Close>) -> Result<(), Close> {
        match done {
            Ok(()) => Ok(()),
            Err(close) => self.end_or_wait(close).map_or(Ok(()), Err),
        }
    }

    /// Do without a socket until the client comes back.
    fn wait_for_client(&mut self, lost: Close) {
        if self.away.is_some() {
            return;
        }
        let Opened { app, connection, limits, .. } = self.opened;
        tracing::debug!(app = %app.name, connection = connection.id, reason = %lost.reason, "the client is away");
        let until = Instant::now() + limits.resume_for.get();
        self.away = Some(Box::new(Away { lost, until, _counted: app.traffic.goes_away() }));
        if let Some(resumption) = connection.resumption() {
            resumption.goes_away();
        }
        self.writer.change_socket(Link::Away);
        self.reader.forget();
        connection.outbox.forget_taken();
        (self.paused_until, self.pinged_at) = (None, None);
        // What has to be seen to from time to time is also seen to without a client.
        self.set_alarm(until.min(Instant::now() + limits.keepalive.get()));
    }

    /// The alarm went off. If the client is away and did not come back in time, returns how the connection was lost.
    pub(super) fn wait_longer(&mut self) -> Option<Close> {
        let Opened { app, connection, limits, .. } = self.opened;
        let (away, now) = (self.away.take()?, Instant::now());
        if connection.resumption().is_some_and(Resumption::has_arrived) {
            // It came in time, and is next.
            self.away = Some(away);
            connection.wake();
            self.set_alarm(now + limits.keepalive.get());
            return None;
        }
        if away.until <= now {
            return Some(away.lost);
        }
        if self.has_expired(now) {
            return Some(Close::token_expired());
        }
        if versions::is_unsettled(app, connection) {
            // No instance was free for its migration when it was woken.
            connection.wake();
        }
        self.set_alarm(away.until.min(now + limits.keepalive.get()));
        self.away = Some(away);
        None
    }

    /// Go on with the client if it is back. The module hears of it when the client has what it has missed.
    pub(super) async fn welcome(&mut self) -> Result<(), Close> {
        let Some(arrival) = self.opened.connection.resumption().and_then(Resumption::take_arrival) else {
            return Ok(());
        };
        // Boxed, because each idle connection would keep the room for it.
        Box::pin(self.go_on(*arrival)).await
    }

    async fn go_on(&mut self, arrival: Arrival) -> Result<(), Close> {
        let Opened { app, connection, limits, .. } = self.opened;
        let Arrival { socket, read_ahead, request, received, secret, verified, slot } = arrival;
        let Some(resumption) = connection.resumption() else { return Ok(()) };
        let Some(rest) = resumption.take_up(secret, received) else {
            // Something has happened since the handshake. If the client has no other socket, it asks again, and gets another
            // connection.
            return match &self.away {
                Some(_) if resumption.is_given_up() => Err(Close::abandoned()),
                _ => Ok(()),
            };
        };
        // The host may not have noticed yet that the client was away.
        self.wait_for_client(Close::replaced());
        tracing::debug!(app = %app.name, connection = connection.id, "the client is back");
        self.away = None;
        resumption.comes_back();
        if let (Some(in_use), Some(verified)) = (&connection.token, &verified) {
            // It was compared in the handshake. A token before it would only expire earlier.
            let _ = in_use.replace(verified);
        }
        connection.occupy(slot);
        self.reader = Reader::new(limits.message_bytes.bytes(), connection.outbox.compression(), &read_ahead);
        drop(read_ahead);
        self.writer.change_socket(Link::Later(socket));
        self.drained.store(false, Ordering::Relaxed);
        let (now, keepalive) = (Instant::now(), limits.keepalive.get());
        self.last_heard = now;
        self.set_alarm(now + keepalive);
        let greeting = connection.greeting(keepalive, IsBack::Yes);
        self.writer.write_again(greeting, rest, connection).await?;
        let mut call = Box::pin(call::resumed(app, connection, &request));
        self.drive(call.as_mut()).await
    }
}
