//! Writing: what the outbox holds, with one flush for all of it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt};
use tokio::time::error::Elapsed;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use super::transport::Transport;
use crate::app::connection::{Close, Connection, Next};
use crate::lazy_timeout::lazy_timeout;

/// The socket with what was taken from the outbox. Every step can be cancelled without losing a message.
pub(super) struct Writer<S> {
    pub(super) socket: WebSocketStream<S>,
    queue: VecDeque<Frame>,
    /// Nothing is queued here or in the socket's buffer.
    is_flushed: bool,
    /// The client took no bytes for as long as it may.
    pub(super) is_stuck: bool,
    timeout: Duration,
}

impl<S: Transport> Writer<S> {
    pub(super) fn new(socket: WebSocketStream<S>, timeout: Duration) -> Self {
        Self { socket, queue: VecDeque::new(), is_flushed: true, is_stuck: false, timeout }
    }

    /// Write what the outbox holds, with one flush at the end. A close that was asked for comes as the error.
    pub(super) async fn write(&mut self, connection: &Connection) -> Result<(), Close> {
        loop {
            // Something is left only if an earlier write was cancelled.
            if !self.is_flushed
                && let Err(close) = self.flush_in_time(connection).await
            {
                // It may have been closed for being slow, which says more than that it is stuck.
                return Err(connection.outbox.take_close().unwrap_or(close));
            }
            match connection.outbox.next(&mut self.queue) {
                Next::Messages => self.is_flushed = false,
                Next::Close(close) => return Err(close),
                Next::Nothing => return Ok(()),
            }
        }
    }

    async fn flush_in_time(&mut self, connection: &Connection) -> Result<(), Close> {
        let flushed = lazy_timeout(self.timeout, self.flush(connection)).await;
        self.observation(flushed)
    }

    fn observation(&mut self, written: Result<Result<(), tungstenite::Error>, Elapsed>) -> Result<(), Close> {
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Close::broken(&error)),
            Err(_) => {
                self.is_stuck = true;
                Err(Close::lost("the client takes no more bytes"))
            }
        }
    }

    async fn flush(&mut self, connection: &Connection) -> Result<(), tungstenite::Error> {
        while !self.queue.is_empty() {
            poll_fn(|context| Pin::new(&mut self.socket).poll_ready(context)).await?;
            if let Some(frame) = self.queue.pop_front() {
                if let Some(tap) = connection.tap() {
                    tap.received(&frame);
                }
                Pin::new(&mut self.socket).start_send(frame)?;
            }
        }
        self.socket.flush().await?;
        self.is_flushed = true;
        Ok(())
    }

    /// Ask a silent client whether it is still there.
    pub(super) async fn ping(&mut self) -> Result<(), Close> {
        let sent = lazy_timeout(self.timeout, self.socket.send(Frame::Ping(Bytes::new()))).await;
        self.observation(sent)
    }
}
