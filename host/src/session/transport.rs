//! What carries the bytes of a connection.

use tokio::io::{AsyncRead, AsyncWrite};

/// A TCP connection, or in tests of modules a pair of buffers: nothing in the way of a message knows which.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}
