//! The session: what one connection's task does from the handshake to the last byte.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::alarm::not_after_the_token;
use super::away::Away;
use super::calls::IsHandled;
use super::close_handshake::close_handshake;
use super::link::Link;
use super::rate_limiter::RateLimiter;
use super::read::{Batch, Reader};
use super::write::Writer;
use crate::app::connection::{Close, DueTimer, IsBack, Opened};
use crate::app::{Amount, call, versions};
use crate::module::bindings::hassock::host::types::ClosedBy;
use crate::socket::Transport;

/// Serve an accepted connection to its end. `read_ahead` is what came behind the request.
pub async fn run<S: Transport>(socket: S, read_ahead: Bytes, opened: Opened) {
    let compression = opened.connection.outbox.compression();
    let reader = Reader::new(opened.limits.message_bytes.bytes(), compression, &read_ahead);
    // It keeps hyper's buffer alive.
    drop(read_ahead);
    let mut session = Session::new(Link::First(socket), reader, &opened);
    let close = session.serve().await;
    let is_here = session.away.is_none() && !session.writer.is_stuck;
    if matches!(close.by, ClosedBy::Host | ClosedBy::Module) && is_here {
        // What was sent before the close is delivered before it, also to a client that has to confirm something. If that fails,
        // the close handshake fails too.
        opened.connection.resumption().iter().for_each(|resumption| {
            resumption.give_up();
        });
        let _ = session.writer.write(&opened.connection).await;
    }
    // It does not wait any more.
    session.away = None;
    // Boxed: an open connection need not keep the room for its end.
    let Session { writer, reader, .. } = session;
    Box::pin(end(writer, reader, opened, close)).await;
}

/// Run the close handshake, and tell the module.
async fn end(writer: Writer<impl Transport>, reader: Reader, opened: Opened, close: Close) {
    let (limits, connection) = (Arc::clone(&opened.limits), Arc::clone(&opened.connection));
    opened.connection.note_end(&close);
    // The module hears of the end at once; the client's answer may take its time.
    let close_handshake = async {
        // A client that took no more bytes will not take a close frame either.
        if !writer.is_stuck {
            let handshake = close_handshake(writer, reader, &close, &limits, &connection);
            let _ = timeout(limits.close_timeout.get(), handshake).await;
        }
        // The module may hear of the end much later. Nothing of this is in memory any more.
        connection.outbox.abandon();
        // Less is never refused.
        let _ = connection.input.resize(0);
    };
    tokio::join!(close_handshake, opened.finish(close.clone()));
}

pub(super) struct Session<'a, S> {
    pub(super) opened: &'a Opened,
    pub(super) reader: Reader,
    pub(super) writer: Writer<Link<S>>,
    rate: RateLimiter,
    pub(super) alarm: Pin<Box<Sleep>>,
    /// The client sent too fast: nothing is read until then.
    pub(super) paused_until: Option<Instant>,
    pub(super) last_heard: Instant,
    pub(super) pinged_at: Option<Instant>,
    /// The client is away, and may come back until the alarm. Boxed, because each connection would keep the room for it.
    pub(super) away: Option<Box<Away>>,
    /// The socket was drained in this poll of the task. It is not read again before the next poll, which would find nothing.
    pub(super) drained: Arc<AtomicBool>,
    /// A timer fired in the last wakeup, so the client is next: a timer that is due again whenever its call ends would
    /// otherwise keep the session from reading.
    is_clients_turn: bool,
}

enum Event {
    /// There is something in the outbox, or a timer is due.
    Wakeup,
    /// The client sent something.
    Batch(Batch),
    /// Time to resume reading, or to ask whether the client is still there.
    Alarm,
}

/// What is left to do for an event.
enum Begun {
    /// Write what is in the outbox.
    Done,
    /// What the session was woken for, and write.
    Wakeup,
    /// What the client sent, which may have to wait. Boxed, because each idle connection would keep the room for it.
    Batch(Box<Batch>),
    /// What is to be done from time to time.
    Alarm,
    /// End, or wait for the client.
    Failed(Close),
    /// The client did not come back in time.
    Lost(Close),
}

impl<'a, S: Transport> Session<'a, S> {
    fn new(socket: Link<S>, reader: Reader, opened: &'a Opened) -> Self {
        let limits = &opened.limits;
        let now = Instant::now();
        Self {
            rate: RateLimiter::new(limits.messages_per_second, now),
            alarm: Box::pin(sleep_until(not_after_the_token(now + limits.keepalive.get(), opened))),
            writer: Writer::new(socket, limits.write_timeout.get()),
            reader,
            paused_until: None,
            last_heard: now,
            pinged_at: None,
            away: None,
            drained: Arc::default(),
            is_clients_turn: false,
            opened,
        }
    }

    /// Handle events until the end. Each poll of the task may read the socket again.
    async fn serve(&mut self) -> Close {
        if let Some(greeting) = self.opened.connection.greeting(self.opened.limits.keepalive.get(), IsBack::No)
            && let Err(close) = Box::pin(self.writer.write_now(greeting, &self.opened.connection)).await
        {
            return close;
        }
        let drained = Arc::clone(&self.drained);
        let mut serving = pin!(self.handle_events());
        poll_fn(|context| {
            // Only this task uses the flag.
            drained.store(false, Ordering::Relaxed);
            serving.as_mut().poll(context)
        })
        .await
    }

    /// Handle one event after the other until the connection is to be closed, or is. What happens to most events happens in
    /// this function: the result of each function that may wait costs about 60 instructions more.
    async fn handle_events(&mut self) -> Close {
        loop {
            let handled = match poll_fn(|context| self.poll_event(context).map(|event| self.begin(event))).await {
                Begun::Done => Ok(()),
                Begun::Wakeup => self.wakeup().await,
                // Boxed, because each idle connection would keep the room for it.
                Begun::Batch(batch) => Box::pin(self.handle_waiting(*batch)).await,
                Begun::Alarm => self.alarm().await,
                Begun::Failed(close) => Err(close),
                Begun::Lost(close) => return close,
            };
            let done = match handled {
                Ok(()) if self.away.is_some() => self.requested_close(),
                Ok(()) => match self.writer.write(&self.opened.connection).await {
                    Ok(()) if self.opened.connection.is_behind() => Box::pin(self.catch_up()).await,
                    written => written,
                },
                Err(close) => Err(close),
            };
            if let Err(close) = done
                && let Some(close) = self.end_or_wait(close)
            {
                return close;
            }
            if self.away.is_some() {
                // Nothing of the client is in memory any more.
                self.reader.recount(&self.opened.connection.input);
            }
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if std::mem::take(&mut self.is_clients_turn)
            && let Poll::Ready(event) = self.poll_client(context)
        {
            return Poll::Ready(event);
        }
        if self.opened.connection.take_wakeup(context.waker()) {
            return Poll::Ready(Event::Wakeup);
        }
        self.poll_client(context)
    }

    /// What comes from the client, or has to be done because nothing comes.
    fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if self.away.is_none() && self.paused_until.is_none() && !self.drained.load(Ordering::Relaxed) {
            let socket = &mut self.writer.socket;
            let batch = self.reader.poll_batch(socket, &self.opened.limits, &self.opened.connection.input, context);
            let is_drained = matches!(&batch, Poll::Pending | Poll::Ready(Batch { is_drained: true, .. }));
            self.drained.store(is_drained, Ordering::Relaxed);
            if let Poll::Ready(batch) = batch {
                return Poll::Ready(Event::Batch(batch));
            }
        }
        self.alarm.as_mut().poll(context).map(|()| Event::Alarm)
    }

    /// Whether a wakeup is for what is in the outbox, if for anything.
    fn has_only_to_write(&self) -> bool {
        let Opened { app, connection, .. } = self.opened;
        connection.resumption().is_none() && !connection.has_due() && !versions::is_unsettled(app, connection)
    }

    /// Do what the session was woken for, except for writing.
    async fn wakeup(&mut self) -> Result<(), Close> {
        if versions::is_unsettled(&self.opened.app, &self.opened.connection)
            && let Err(failed) = versions::version_for(&self.opened.app, Some(&self.opened.connection)).await
        {
            return Err(self.call_failed(&failed));
        }
        if self.opened.connection.resumption().is_some() {
            let welcomed = self.welcome().await;
            self.unless_ended(welcomed)?;
        }
        // Only the timers that are due now. One that becomes due during these calls waits for the next wakeup.
        for timer in self.opened.connection.take_due() {
            if self.opened.app.timers.claim(Some(self.opened.connection.id), &timer) {
                let fired = self.fire(&timer).await;
                self.unless_ended(fired)?;
            }
        }
        if self.is_clients_turn {
            // The socket is read once in a poll of the task.
            yield_now().await;
        }
        Ok(())
    }

    /// Call the module for a timer, and write what it sent. A requested close ends the session before the next timer.
    async fn fire(&mut self, timer: &DueTimer) -> Result<(), Close> {
        self.is_clients_turn = true;
        let Opened { app, connection, .. } = self.opened;
        if let Some(tap) = connection.tap() {
            tap.fired();
        }
        // Boxed, because timers are rare, and each connection would keep the room for this call.
        let mut call = Box::pin(call::connection_timer(app, connection, &timer.name, &timer.payload));
        self.drive(call.as_mut()).await?;
        self.write().await
    }

    /// As [`handle`](Self::handle), for a client of the protocol.
    async fn spoken_batch(&mut self, mut batch: Batch) -> Result<(), Close> {
        let now = Instant::now();
        self.admit(&mut batch, now)?;
        let Batch { messages, end, .. } = batch;
        let end = end.and_then(|end| self.end_or_wait(end));
        self.spoken(messages, end, now).await
    }

    /// Do what can be done for an event without waiting.
    fn begin(&mut self, event: Event) -> Begun {
        match event {
            Event::Wakeup if self.has_only_to_write() => Begun::Done,
            Event::Wakeup => Begun::Wakeup,
            Event::Batch(batch) => self.handle(batch),
            Event::Alarm => match self.wait_longer() {
                Some(lost) => Begun::Lost(lost),
                None if self.away.is_some() => Begun::Done,
                None => Begun::Alarm,
            },
        }
    }

    /// Count what was read, and let the module handle it.
    fn handle(&mut self, mut batch: Batch) -> Begun {
        if self.opened.connection.speaks() {
            return Begun::Batch(Box::new(batch));
        }
        let now = Instant::now();
        let handled = self.admit(&mut batch, now).and_then(|()| self.handle_directly(&mut batch, now));
        match handled {
            Ok(IsHandled::Yes) => Begun::Done,
            Ok(IsHandled::No) => Begun::Batch(Box::new(batch)),
            Err(close) => Begun::Failed(close),
        }
    }

    /// Handle a batch that may have to wait.
    async fn handle_waiting(&mut self, batch: Batch) -> Result<(), Close> {
        match self.opened.connection.speaks() {
            true => self.spoken_batch(batch).await,
            false => self.call(batch).await,
        }
    }

    /// Count what was read. Fails if the token of the client has expired: the alarm does not go off while there is always
    /// something to read.
    fn admit(&mut self, batch: &mut Batch, now: Instant) -> Result<(), Close> {
        (self.last_heard, self.pinged_at, self.reader.has_heard) = (now, None, false);
        self.writer.queue_pongs(std::mem::take(&mut batch.pongs));
        if !batch.messages.is_empty() {
            self.opened.app.traffic.received(Amount { messages: batch.messages.len(), bytes: batch.bytes });
            if let Some(resume) = self.rate.count(batch.messages.len(), now) {
                self.paused_until = Some(resume);
                self.set_alarm(resume);
            }
            if let Some(tap) = self.opened.connection.tap() {
                tap.sent(&batch.messages);
            }
        }
        if self.has_expired(now) { Err(Close::token_expired()) } else { Ok(()) }
    }

    /// Write what is in the outbox, and what the connection has not got yet of its topics.
    pub(super) async fn write(&mut self) -> Result<(), Close> {
        if self.away.is_some() {
            return self.requested_close();
        }
        self.writer.write(&self.opened.connection).await?;
        self.catch_up().await
    }

    /// What is left of writing while the client is away.
    fn requested_close(&self) -> Result<(), Close> {
        self.opened.connection.outbox.take_close().map_or(Ok(()), Err)
    }

    /// Write what is kept of the topics of the connection, a part after the other.
    async fn catch_up(&mut self) -> Result<(), Close> {
        let connection = &self.opened.connection;
        while connection.is_behind() && !connection.is_unsure() {
            self.opened.app.topics.catch_up(connection);
            self.writer.write(connection).await?;
        }
        Ok(())
    }
}
