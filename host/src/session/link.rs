//! The socket of a session, which may become another one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::socket::Transport;

/// Where the bytes of a connection come from, and go to.
pub(super) enum Link<S> {
    /// The socket of the handshake.
    First(S),
    /// The socket with which the client came back.
    Later(Box<dyn Transport>),
    /// The client is away. Nothing comes, and nothing can be written.
    Away,
}

impl<S: Transport> AsyncRead for Link<S> {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::First(socket) => Pin::new(socket).poll_read(context, read),
            Self::Later(socket) => Pin::new(socket).poll_read(context, read),
            Self::Away => Poll::Ready(Err(away())),
        }
    }
}

impl<S: Transport> AsyncWrite for Link<S> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::First(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Later(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Away => Poll::Ready(Err(away())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::First(socket) => Pin::new(socket).poll_write_vectored(context, parts),
            Self::Later(socket) => Pin::new(socket).poll_write_vectored(context, parts),
            Self::Away => Poll::Ready(Err(away())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::First(socket) => socket.is_write_vectored(),
            Self::Later(socket) => socket.is_write_vectored(),
            Self::Away => false,
        }
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::First(socket) => Pin::new(socket).poll_flush(context),
            Self::Later(socket) => Pin::new(socket).poll_flush(context),
            Self::Away => Poll::Ready(Err(away())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::First(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Later(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Away => Poll::Ready(Err(away())),
        }
    }
}

fn away() -> io::Error {
    io::ErrorKind::NotConnected.into()
}
