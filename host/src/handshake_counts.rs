//! How handshakes end, counted for metrics: for each app, and for the host those that reach no app.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeOutcome {
    /// The module accepted the connection.
    Accepted,
    /// The client has a connection again that it had before.
    Resumed,
    /// The module refused it.
    Refused,
    /// The module's `open` failed, or returned a response that is not valid.
    Failed,
    /// All instances were busy, or the call took too long, or the app has to catch up with ends.
    Busy,
    /// The memory budget was used up.
    OutOfMemory,
    /// The host is stopping.
    Stopping,
    /// The client has no token, or one that is not accepted.
    Unauthorized,
    /// The keys of tokens could not be fetched.
    NoKeys,
    /// Pages of the origin may not connect.
    Origin,
    /// The request was for a host that is not served.
    Host,
    /// The client's address has too many connections.
    TooMany,
    /// No app has the path.
    NotFound,
    /// Plain HTTP to the path of a WebSocket.
    NotWebsocket,
    /// The request is malformed, or did not come in time.
    Malformed,
    /// TLS failed.
    Tls,
    /// The header of the PROXY protocol is missing, or is that of a proxy that is not trusted.
    ProxyProtocol,
}

/// A counter for each outcome.
#[derive(Debug, Default)]
pub struct HandshakeCounts([AtomicU64; HandshakeOutcome::ALL.len()]);

impl HandshakeOutcome {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Accepted,
        Self::Resumed,
        Self::Refused,
        Self::Failed,
        Self::Busy,
        Self::OutOfMemory,
        Self::Stopping,
        Self::Unauthorized,
        Self::NoKeys,
        Self::Origin,
        Self::Host,
        Self::TooMany,
        Self::NotFound,
        Self::NotWebsocket,
        Self::Malformed,
        Self::Tls,
        Self::ProxyProtocol,
    ];

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Resumed => "resumed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::OutOfMemory => "out-of-memory",
            Self::Stopping => "stopping",
            Self::Unauthorized => "unauthorized",
            Self::NoKeys => "no-keys",
            Self::Origin => "origin",
            Self::Host => "host",
            Self::TooMany => "too-many",
            Self::NotFound => "not-found",
            Self::NotWebsocket => "not-websocket",
            Self::Malformed => "malformed",
            Self::Tls => "tls",
            Self::ProxyProtocol => "proxy-protocol",
        }
    }
}

impl HandshakeCounts {
    /// One ended this way.
    pub fn count(&self, outcome: HandshakeOutcome) {
        if let Some(count) = self.0.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many ended how. Only outcomes that have occurred.
    pub fn report(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let all = HandshakeOutcome::ALL.iter().map(|outcome| outcome.name()).zip(counts);
        all.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_own_counter() {
        let counts = HandshakeCounts::default();
        assert!(counts.report().is_empty());
        for (number, outcome) in (1..).zip(HandshakeOutcome::ALL) {
            (0..number).for_each(|_| counts.count(outcome));
        }
        let expected: Vec<_> = HandshakeOutcome::ALL.iter().map(|outcome| outcome.name()).zip(1..).collect();
        assert_eq!(counts.report(), expected);
    }
}
