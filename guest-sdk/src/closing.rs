//! How a connection ends.

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closing {
    /// The close code (RFC 6455, section 7.4): the client's code if the client closed, else the code that the host
    /// sent. 1005 if the client gave none, 1006 if the transport broke.
    pub code: u16,
    /// The reason that was sent with the code, at most 123 bytes; empty if there was none.
    pub reason: String,
    /// Which side ended it.
    pub by: ClosedBy,
}

/// Which side ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosedBy {
    /// The client sent a close frame.
    Client,
    /// The module called [`Connection::close`](crate::Connection::close).
    Module,
    /// The host closed it: a protocol error, a limit, a failed call, or its shutdown.
    Host,
    /// Neither side sent a close frame: the TCP connection broke.
    Transport,
}
