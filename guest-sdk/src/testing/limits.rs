//! The limits of an app.

/// The limits of an app that a handler can reach. The names are the keys of the host's config, `[apps.NAME.limits]`,
/// and the defaults are the same.
///
/// ```
/// use hassock_sdk::testing::Limits;
///
/// let limits = Limits { topics_per_connection: 2, ..Limits::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message from a client; a larger one closes the connection with 1009.
    pub message_bytes: usize,
    /// Bytes queued for one client; each message counts as 64 bytes more than it has.
    pub outbox_bytes: usize,
    /// Bytes that a module keeps with a connection, and bytes of a timer's payload.
    pub attachment_bytes: usize,
    /// Bytes of what others are told about a connection.
    pub presence_bytes: usize,
    /// Subscriptions of one connection.
    pub topics_per_connection: usize,
    /// Timers of one connection.
    pub timers_per_connection: usize,
    /// Timers of the app itself.
    pub timers_per_app: usize,
    /// Transactions that one call may have open on the same database.
    pub transactions_per_call: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 1 << 20,
            outbox_bytes: 1 << 20,
            attachment_bytes: 64 << 10,
            presence_bytes: 1 << 10,
            topics_per_connection: 64,
            timers_per_connection: 16,
            timers_per_app: 1_000,
            transactions_per_call: 1,
        }
    }
}
