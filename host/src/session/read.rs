//! Reading: everything that has already arrived becomes one batch, because a call of the module costs half
//! a microsecond and a pipelining client would pay it for each message.

use std::task::{Context, Poll};

use futures_util::StreamExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::transport::Transport;
use crate::app::connection::Close;
use crate::config::AppLimits;
use crate::module::bindings::hassock::host::types::Message;

/// What was read at once.
#[derive(Default)]
pub(super) struct Batch {
    /// In the order of arrival; empty if only control frames came.
    pub(super) messages: Vec<Message>,
    /// The connection ended after them.
    pub(super) end: Option<Close>,
    /// The socket had no more, and wakes the task when it has.
    pub(super) is_drained: bool,
}

/// Read until the socket has no more, a batch is full, or the connection ends.
pub(super) fn poll_batch(
    socket: &mut WebSocketStream<impl Transport>,
    limits: &AppLimits,
    context: &mut Context<'_>,
) -> Poll<Batch> {
    let mut batch = Batch::default();
    let mut bytes = 0;
    // Control frames count too, or a flood of pings would keep this loop going.
    for frames in 0.. {
        if frames >= limits.batch_messages || bytes >= limits.batch_bytes.bytes() {
            break;
        }
        match socket.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(Frame::Text(text)))) => {
                bytes += text.len();
                batch.messages.push(Message::Text(text.as_str().to_owned()));
            }
            Poll::Ready(Some(Ok(Frame::Binary(data)))) => {
                bytes += data.len();
                batch.messages.push(Message::Binary(data.into()));
            }
            // Tungstenite answers pings by itself; modules never see them.
            Poll::Ready(Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_)))) => {}
            Poll::Ready(end) => {
                batch.end = Some(closing(end));
                break;
            }
            Poll::Pending if frames == 0 => return Poll::Pending,
            Poll::Pending => {
                batch.is_drained = true;
                break;
            }
        }
    }
    Poll::Ready(batch)
}

fn closing(end: Option<Result<Frame, tokio_tungstenite::tungstenite::Error>>) -> Close {
    match end {
        Some(Ok(Frame::Close(frame))) => Close::client(frame),
        Some(Err(error)) => Close::broken(&error),
        Some(Ok(_)) | None => Close::lost("the client went away"),
    }
}
