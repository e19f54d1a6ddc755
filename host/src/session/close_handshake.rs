//! The end of a WebSocket: the close handshake of RFC 6455, section 7, and a TCP close that does not lose data.

use std::future::poll_fn;
use std::task::Poll;

use hassock_frames::Encoded;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::read::Reader;
use super::transport::Transport;
use super::write::Writer;
use crate::app::connection::{Close, Connection};
use crate::config::AppLimits;
use crate::module::bindings::hassock::host::types::ClosedBy;

/// Perform the close handshake for as long as the other side still reads. The caller limits the time.
pub(super) async fn close_handshake(
    mut writer: Writer<impl Transport>,
    mut reader: Reader,
    close: &Close,
    limits: &AppLimits,
    connection: &Connection,
) {
    if close.by == ClosedBy::Transport {
        return;
    }
    let frame = Encoded::close(close.frame().as_ref());
    if writer.close(frame, connection).await.is_err() {
        return;
    }
    if close.by == ClosedBy::Client && !writer.has_pinged {
        // Its close frame was the last that it sends, unless it still has to answer a ping.
        return;
    }
    // Data may still arrive; the host waits for the client's close frame, unless it needs the memory.
    while !reader.is_over && !close.is_out_of_memory() {
        let read = poll_fn(|context| {
            if connection.is_evicted(context.waker()) {
                return Poll::Ready(None);
            }
            reader.poll_batch(&mut writer.socket, limits, &connection.input, context).map(Some)
        });
        if read.await.is_none() {
            break;
        }
    }
    reader.release(&connection.input);
    linger(writer.socket).await;
}

/// Close the sending side and read the data that still arrives. If the kernel has unread data when a socket is dropped,
/// it resets the connection, and the client may never see the close frame.
async fn linger(mut socket: impl Transport) {
    if socket.shutdown().await.is_err() {
        return;
    }
    let mut discarded = [0; 1024];
    while let Ok(1..) = socket.read(&mut discarded).await {}
}
