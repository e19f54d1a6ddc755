//! The calls of the module for what a client has sent, and what follows from them.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use hassock_frames::Packed;
use tokio::time::Instant;

use super::alarm::not_after_the_token;
use super::read::Batch;
use super::run::Session;
use crate::app::call;
use crate::app::connection::{Close, Opened};
use crate::module::FailedCall;
use crate::socket::Transport;

/// Whether the module has handled a batch.
pub(super) enum IsHandled {
    Yes,
    No,
}

impl<S: Transport> Session<'_, S> {
    /// Let the module handle messages, and write what it sent. `end` came behind them.
    pub(super) async fn hand_over(&mut self, messages: Packed, end: Option<Close>, now: Instant) -> Result<(), Close> {
        let mut batch = Batch::new(messages, end);
        match self.handle_directly(&mut batch, now)? {
            IsHandled::Yes => {}
            IsHandled::No => self.call(batch).await?,
        }
        self.write().await
    }

    /// Let the module handle messages, if that can be done without waiting.
    pub(super) fn handle_directly(&mut self, batch: &mut Batch, now: Instant) -> Result<IsHandled, Close> {
        if !batch.messages.is_empty() {
            let called = call::receive_directly(&self.opened.app, &self.opened.connection, &batch.messages, now);
            let Some(result) = called else { return Ok(IsHandled::No) };
            if batch.end.is_none() {
                self.called(result, None)?;
                self.forget(std::mem::take(&mut batch.messages));
            }
        }
        match batch.end.take() {
            Some(close) => Err(close),
            None => Ok(IsHandled::Yes),
        }
    }

    /// Let the module handle messages, and write meanwhile.
    pub(super) async fn call(&mut self, batch: Batch) -> Result<(), Close> {
        let Opened { app, connection, .. } = self.opened;
        let Batch { messages, end, .. } = batch;
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
                Ok(())
            }
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
                    true => {
                        connection.give_up_if_stuck();
                        writer.write(connection).await
                    }
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

    pub(super) fn call_failed(&self, failed: &FailedCall) -> Close {
        Close::call_failed(failed, self.opened.app.setup().error_close_code())
    }
}
