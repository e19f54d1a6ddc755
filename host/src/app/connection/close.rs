//! The table of close codes: every reason for which the host closes a connection, and what the client is told.
//!
//! | code | when | the client should |
//! |---|---|---|
//! | 1001 | the host stops, or the app was removed from the config | reconnect later, or to another host |
//! | 1002 | protocol error (RFC 6455, or `hassock.v1`) | fix its code |
//! | 1007 | a text message that is not UTF-8, or a compressed message that cannot be decompressed | fix its code |
//! | 1009 | a message larger than `message_bytes` | send less |
//! | 1011 | a call of the module failed: it trapped, reached a limit or returned an error | reconnect later |
//! | 1012 | the version was rolled back, and the version before it cannot read the attachment | reconnect at once |
//! | 1013 | the client reads too slowly, the app is too busy, or the host has no memory left | reconnect with backoff |
//! | 4401 | the token has expired | reconnect with another token |
//!
//! Clients and modules may close with other codes. The host never sends 1005 and 1006; they tell a module that the
//! close frame had no code, or that there was no close frame.

use std::io;

use hassock_frames::{DecodeError, Encoded};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};

use crate::client_protocol::{NotOfTheProtocol, ToClient};
use crate::module::bindings::hassock::host::types::{ClosedBy, Closing};
use crate::module::{CallError, FailedCall};

/// The maximum length of the reason of a close frame, in bytes: a control frame has 125, and the code takes two.
pub const MAX_REASON: usize = 123;

/// The reason of a close for which the memory budget is used up.
const OUT_OF_MEMORY: &str = "the host has no memory left";

/// The reason of a close for which the outbox is full.
const TOO_SLOW: &str = "too slow: the outbox is full";

/// The reason of an end for which the client takes no bytes.
const STUCK: &str = "the client takes no more bytes";

/// The code with which a client of `hassock.v1` gives up a socket from which nothing comes: "Timeout" in the IANA registry.
const GAVE_UP: u16 = 3008;

/// How a connection is to end, or has ended.
#[derive(Debug, Clone)]
pub struct Close {
    /// The close code of RFC 6455, section 7.4.
    pub code: u16,
    /// At most [`MAX_REASON`] bytes.
    pub reason: Utf8Bytes,
    /// The side that closes.
    pub by: ClosedBy,
}

impl Close {
    /// A close by the host, with a code and a reason.
    fn host(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Utf8Bytes::from_static(reason), by: ClosedBy::Host }
    }

    /// A close by the host because of a call. The reason names the version that served the call.
    fn of_call(code: u16, reason: &str, version: &str) -> Self {
        Self { code, reason: format!("{reason} (version {version})").into(), by: ClosedBy::Host }
    }

    /// The host is stopping.
    pub fn going_away() -> Self {
        Self::host(1001, "the host is stopping")
    }

    /// The config does not contain the app any more.
    pub fn app_gone() -> Self {
        Self::host(1001, "the application is gone")
    }

    /// The token of the client has expired, and it has sent no other one.
    pub(crate) fn token_expired() -> Self {
        Self::host(4401, "the token has expired")
    }

    /// The outbox overflowed.
    pub fn too_slow() -> Self {
        Self::host(1013, TOO_SLOW)
    }

    /// The memory budget of the host is used up.
    pub fn out_of_memory() -> Self {
        Self::host(1013, OUT_OF_MEMORY)
    }

    /// Whether the connection ends because the memory budget of the host is used up.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.by == ClosedBy::Host && self.reason.as_str() == OUT_OF_MEMORY
    }

    /// The application failed. The cause is written to the log and not told to the client.
    pub fn failed(code: u16, version: &str) -> Self {
        Self::of_call(code, "the application failed", version)
    }

    /// A call failed; `error_close_code` is the app's code for errors that its module returned.
    pub fn call_failed(failed: &FailedCall, error_close_code: u16) -> Self {
        let FailedCall { version, error } = failed;
        match error {
            CallError::Returned(_) => Self::failed(error_close_code, version),
            CallError::Stranded(_) => Self::of_call(1012, "the application was rolled back", version),
            CallError::Stopping => Self::going_away(),
            CallError::Busy { .. } | CallError::HostBusy(_) => Self::of_call(1013, "the application is busy", version),
            CallError::CpuTime { .. } | CallError::Timeout(_) => {
                Self::of_call(1011, "the application took too long", version)
            }
            CallError::Panic { .. } | CallError::Trap { .. } | CallError::Memory { .. } | CallError::Instantiate(_) => {
                Self::failed(1011, version)
            }
        }
    }

    /// The client sent a close frame, perhaps without a code.
    pub fn client(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(CloseFrame { code, reason }) => match code.into() {
                // A client may also report a protocol error of the host, which a module cannot find.
                code if is_allowed(code) || code == 1002 => Self { code, reason, by: ClosedBy::Client },
                _ => Self::host(1002, "protocol error"),
            },
            None => Self { code: 1005, reason: Utf8Bytes::default(), by: ClosedBy::Client },
        }
    }

    /// The TCP connection broke or timed out.
    pub fn lost(reason: &str) -> Self {
        Self { code: 1006, reason: Utf8Bytes::from(reason), by: ClosedBy::Transport }
    }

    /// The close that follows from what a client sent.
    pub fn undecodable(error: &DecodeError) -> Self {
        match error {
            DecodeError::Frame(error) => Self::broken(error),
            DecodeError::Deflate => Self::host(1007, "a compressed message cannot be decompressed"),
        }
    }

    /// The client took no bytes for `write_timeout`.
    pub fn stuck() -> Self {
        Self::lost(STUCK)
    }

    /// The client is back with another socket, so the one that it had is of no use.
    pub(crate) fn replaced() -> Self {
        Self::lost("the client is back with another connection")
    }

    /// The client is back, and cannot go on with this connection.
    pub(crate) fn abandoned() -> Self {
        Self::lost("the client is back without what it had received")
    }

    /// Whether the client may come back: its network has failed, or it believes that.
    pub(crate) fn is_loss(&self) -> bool {
        match self.by {
            ClosedBy::Transport => true,
            ClosedBy::Client => self.code == GAVE_UP,
            ClosedBy::Module | ClosedBy::Host => false,
        }
    }

    /// Whether the connection ends because its client does not read.
    pub(crate) fn is_too_slow(&self) -> bool {
        match self.by {
            ClosedBy::Host => self.reason.as_str() == TOO_SLOW,
            ClosedBy::Transport => self.reason.as_str() == STUCK,
            ClosedBy::Client | ClosedBy::Module => false,
        }
    }

    /// The close that follows from an error while reading from or writing to a WebSocket.
    pub fn broken(error: &tungstenite::Error) -> Self {
        use tungstenite::Error;
        match error {
            Error::Utf8(_) => Self::host(1007, "a text message must be UTF-8"),
            Error::Capacity(CapacityError::MessageTooLong { .. }) => Self::host(1009, "the message is too large"),
            Error::Capacity(_) => Self::host(1009, "too large"),
            // A client that disconnects without a close frame does not violate the protocol.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::lost("the client went away"),
            Error::Protocol(_) => Self::host(1002, "protocol error"),
            Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => Self::lost("the connection timed out"),
            _ => Self::lost("the connection broke"),
        }
    }

    /// The close frame to send. None for codes that are never sent.
    pub fn frame(&self) -> Option<CloseFrame> {
        let sendable = !matches!(self.code, 1005 | 1006 | 1015);
        sendable.then(|| CloseFrame { code: self.code.into(), reason: self.reason.clone() })
    }

    /// A message of `hassock.v1` that is not one.
    pub(crate) fn not_of_the_protocol(error: NotOfTheProtocol) -> Self {
        Self { code: 1002, reason: error.to_string().into(), by: ClosedBy::Host }
    }

    /// What a client of `hassock.v1` is told before the close frame: whether it should connect again, and when. None if it
    /// closes itself.
    pub(crate) fn farewell(&self) -> Option<Encoded> {
        let (reconnect, after) = match (self.by, self.code) {
            (ClosedBy::Client | ClosedBy::Transport, _) => return None,
            // Codes like the statuses of HTTP: the same request would get the same answer.
            (_, 1000 | 1002 | 1003 | 1007..=1010 | 4400..=4499) => (false, 0),
            (_, 1012) => (true, 0),
            (_, 1013) => (true, 5_000),
            _ => (true, 1_000),
        };
        Some(ToClient::Closing { reconnect, after }.encoded())
    }

    /// What the module is told about the end of the connection.
    pub fn to_closing(&self) -> Closing {
        Closing { code: self.code, reason: self.reason.to_string(), by: self.by }
    }
}

/// The name of a side in WIT.
pub(crate) fn side_name(side: ClosedBy) -> &'static str {
    match side {
        ClosedBy::Client => "client",
        ClosedBy::Module => "module",
        ClosedBy::Host => "host",
        ClosedBy::Transport => "transport",
    }
}

/// Whether a module may close with this code: RFC 6455, section 7.4, and the IANA registry.
pub fn is_allowed(code: u16) -> bool {
    matches!(code, 1000 | 1001 | 1003 | 1007..=1014 | 3000..=4999)
}
