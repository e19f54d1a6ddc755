//! The session: what one connection's task does from the handshake to the last byte.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hassock_frames::Packed;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::alarm::not_after_the_token;
use super::away::Away;
use super::close_handshake::close_handshake;
use super::link::Link;
use super::rate_limiter::RateLimiter;
use super::read::{Batch, Reader};
use super::write::Writer;
use crate::app::connection::{Close, DueTimer, IsBack, Opened};
use crate::app::{Amount, call, versions};
use crate::module::FailedCall;
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
        // What was sent before the close is delivered before it. If that fails, the close handshake fails too.
        let _ = session.writer.write(&opened.connection).await;
    }
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

    /// Handle one event after the other until the connection is to be closed, or is.
    async fn handle_events(&mut self) -> Close {
        loop {
            let done = match poll_fn(|context| self.poll_event(context)).await {
                Event::Wakeup => self.wakeup().await,
                Event::Batch(batch) => {
                    let (messages, end, now) = self.admit(batch);
                    let end = end.and_then(|end| self.end_or_wait(end));
                    match self.opened.connection.speaks() {
                        // The alarm does not go off while there is always something to read.
                        _ if self.has_expired(now) => Err(Close::token_expired()),
                        // Boxed, because each idle connection would keep the room for it.
                        true => Box::pin(self.spoken(messages, end, now)).await,
                        false => self.hand_over(messages, end, now).await,
                    }
                }
                Event::Alarm => match self.wait_longer() {
                    Some(lost) => return lost,
                    None if self.away.is_some() => Ok(()),
                    None => self.alarm().await,
                },
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

    async fn wakeup(&mut self) -> Result<(), Close> {
        if versions::is_unsettled(&self.opened.app, &self.opened.connection)
            && let Err(failed) = versions::version_for(&self.opened.app, Some(&self.opened.connection)).await
        {
            return Err(self.call_failed(&failed));
        }
        let welcomed = self.welcome().await;
        self.unless_ended(welcomed)?;
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
        self.write().await
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

    /// Count what was read. Returns the messages, the end that came behind them, and the time.
    fn admit(&mut self, batch: Batch) -> (Packed, Option<Close>, Instant) {
        let now = Instant::now();
        (self.last_heard, self.pinged_at, self.reader.has_heard) = (now, None, false);
        self.writer.queue_pongs(batch.pongs);
        if batch.messages.is_empty() {
            return (batch.messages, batch.end, now);
        }
        self.opened.app.traffic.received(Amount { messages: batch.messages.len(), bytes: batch.bytes });
        if let Some(resume) = self.rate.count(batch.messages.len(), now) {
            self.paused_until = Some(resume);
            self.set_alarm(resume);
        }
        if let Some(tap) = self.opened.connection.tap() {
            tap.sent(&batch.messages);
        }
        (batch.messages, batch.end, now)
    }

    /// Let the module handle messages, and write what it sent. `end` came behind them.
    pub(super) async fn hand_over(&mut self, messages: Packed, end: Option<Close>, now: Instant) -> Result<(), Close> {
        if messages.is_empty() {
            return match end {
                Some(close) => Err(close),
                None => self.write().await,
            };
        }
        if let Some(result) = call::receive_directly(&self.opened.app, &self.opened.connection, &messages, now) {
            return match end {
                Some(close) => Err(close),
                None => {
                    self.called(result, None)?;
                    self.forget(messages);
                    self.write().await
                }
            };
        }
        let Opened { app, connection, .. } = self.opened;
        // Boxed, because each idle connection would keep the room for this call, which is half of what it needs.
        let mut call = Box::pin(call::receive(app, connection, &messages));
        match end {
            // The end came behind these messages. Nothing can be sent any more, and it stays the end,
            // whatever becomes of the call, which is in the log.
            Some(close) => {
                let _ = call.await;
                Err(close)
            }
            None => {
                self.drive(call.as_mut()).await?;
                drop(call);
                self.forget(messages);
                self.write().await
            }
        }
    }

    /// Write what is in the outbox, and what the connection has not got yet of its topics.
    async fn write(&mut self) -> Result<(), Close> {
        if self.away.is_some() {
            return self.opened.connection.outbox.take_close().map_or(Ok(()), Err);
        }
        loop {
            self.writer.write(&self.opened.connection).await?;
            if !self.opened.connection.is_behind() || self.opened.connection.is_unsure() {
                return Ok(());
            }
            self.opened.app.topics.catch_up(&self.opened.connection);
        }
    }

    /// The module has handled these messages. Their memory is free before the client gets an answer, after which it may
    /// send the next one.
    fn forget(&self, messages: Packed) {
        drop(messages);
        self.reader.recount(&self.opened.connection.input);
    }

    /// Let a call run to its end, and write meanwhile what is sent to the client: a call may wait for a
    /// database. A call is never dropped half-way because the client went away.
    pub(super) async fn drive(
        &mut self,
        mut call: Pin<&mut impl Future<Output = Result<(), FailedCall>>>,
    ) -> Result<(), Close> {
        if self.away.is_some() {
            let result = call.await;
            return self.called(result, None);
        }
        let connection = &*self.opened.connection;
        let keepalive = self.opened.limits.keepalive.get();
        // A client of the protocol hears of the host also while a call takes long.
        let beats = connection.speaks() && self.paused_until.is_none();
        let (writer, alarm) = (&mut self.writer, &mut self.alarm);
        let pump = async move {
            loop {
                let is_late = |context: &mut Context<'_>| beats && alarm.as_mut().poll(context).is_ready();
                let written = match connection.messages_or(is_late).await {
                    true => writer.write(connection).await,
                    false => {
                        alarm.as_mut().reset(Instant::now() + keepalive);
                        writer.write_now(connection.heartbeat(), connection).await
                    }
                };
                if let Err(close) = written {
                    break close;
                }
            }
        };
        let (result, lost) = tokio::select! {
            biased;
            result = &mut call => (result, None),
            lost = pump => (call.await, Some(lost)),
        };
        // Heartbeats during the call have set the alarm without regard to the token: it must not end a call.
        let due = not_after_the_token(self.alarm.deadline(), self.opened);
        if due < self.alarm.deadline() {
            self.alarm.as_mut().reset(due);
        }
        self.called(result, lost)
    }

    /// What follows from a call, during which the connection may have been lost.
    fn called(&self, result: Result<(), FailedCall>, lost: Option<Close>) -> Result<(), Close> {
        let failed = result.err().map(|error| self.call_failed(&error));
        // A client that may come back must not find a connection whose module has failed.
        let first = if self.opened.connection.resumption().is_some() { failed.or(lost) } else { lost.or(failed) };
        match first {
            // The first close counts: a module that closes and then fails has closed.
            Some(close) => Err(self.opened.connection.outbox.take_close().unwrap_or(close)),
            None => Ok(()),
        }
    }

    fn call_failed(&self, failed: &FailedCall) -> Close {
        Close::call_failed(failed, self.opened.app.setup().error_close_code())
    }
}
