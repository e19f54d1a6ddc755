//! The transport of a connection's bytes.

use tokio::io::{AsyncRead, AsyncWrite};

/// A socket, or a pair of buffers in tests of modules. The code that handles messages is the same for both.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}
