//! The end of a WebSocket: the close handshake of RFC 6455, section 7, and a TCP close that loses nothing.

use std::pin::Pin;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;

use super::transport::Transport;
use crate::app::connection::Close;
use crate::module::bindings::hassock::host::types::ClosedBy;

/// Say goodbye as far as the other side still listens. The caller bounds the time.
pub(super) async fn close_handshake(mut socket: WebSocketStream<impl Transport>, close: &Close) {
    match close.by {
        ClosedBy::Transport => return,
        // The answer to the client's close frame is queued already.
        ClosedBy::Client => drop(socket.flush().await),
        ClosedBy::Host | ClosedBy::Module => {
            // An error here is that of a close handshake which is under way already.
            let _ = socket.close(close.frame()).await;
            // Data may still be under way; what counts is the client's close frame.
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() {
                    let _ = socket.flush().await;
                    return;
                }
            }
            let _ = socket.flush().await;
        }
    }
    linger(socket).await;
}

/// Close the sending side and read what still comes: if the kernel has unread data when a socket is
/// dropped, it resets the connection, and the client may never see the close frame.
async fn linger(socket: WebSocketStream<impl Transport>) {
    let mut stream = socket.into_inner();
    if Pin::new(&mut stream).shutdown().await.is_err() {
        return;
    }
    let mut discarded = [0; 1024];
    while let Ok(1..) = stream.read(&mut discarded).await {}
}
