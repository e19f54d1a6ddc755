//! The end of a WebSocket: the close handshake of RFC 6455, section 7, and a TCP close that does not lose data.

use std::future::poll_fn;
use std::task::Poll;

use hassock_frames::Encoded;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::read::Reader;
use super::write::Writer;
use crate::app::connection::{Close, Connection};
use crate::config::AppLimits;
use crate::memory_budget::Share;
use crate::module::bindings::hassock::host::types::ClosedBy;
use crate::socket::Transport;

/// Bytes of a message that are kept to find the close frame behind it.
const MOST_KEPT: usize = 64 << 10;

/// Perform the close handshake for as long as the other side still reads. The caller limits the time.
pub(super) async fn close_handshake(
    mut writer: Writer<impl Transport>,
    mut reader: Reader,
    close: &Close,
    limits: &AppLimits,
    connection: &Connection,
) {
    let input = &connection.input;
    if close.by == ClosedBy::Transport {
        return;
    }
    keep_little(&mut reader, input);
    let frame = Encoded::close(close.frame().as_ref());
    let farewell = connection.speaks().then(|| close.farewell()).flatten();
    if writer.close(farewell, frame).await.is_err() {
        return;
    }
    if close.by == ClosedBy::Client && !writer.has_pinged {
        // Its close frame was the last that it sends, unless it still has to answer a ping.
        return;
    }
    // Data may still arrive; the host waits for the client's close frame.
    while !reader.is_over && !close.is_out_of_memory() {
        poll_fn(|context| {
            let batch = reader.poll_batch(&mut writer.socket, limits, input, context);
            keep_little(&mut reader, input);
            match batch {
                _ if reader.is_over => Poll::Ready(()),
                Poll::Ready(batch) if !batch.is_drained => Poll::Ready(()),
                Poll::Ready(_) | Poll::Pending => Poll::Pending,
            }
        })
        .await;
    }
    reader.release(input);
    linger(writer.socket).await;
}

/// A client may be in the middle of a message, which no module gets any more. A large one is not kept until its end: the
/// host does not wait for the close frame behind it then, but still reads what comes.
fn keep_little(reader: &mut Reader, input: &Share) {
    if reader.held() > MOST_KEPT {
        reader.release(input);
    }
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
