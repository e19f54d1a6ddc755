//! Every bound, with its default and its reason. Invariant 5: there is no unbounded queue, table or wait.

use serde::Deserialize;

use super::{Duration, Size};

/// `[limits]`: bounds of the whole host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostLimits {
    /// TCP connections at the same time; more wait in the kernel's queue. An idle WebSocket costs about 12 KiB.
    pub max_connections: usize,
    /// Of these, from one address: one client must not take all. Raise it behind a proxy.
    pub connections_per_address: usize,
    /// How long a client may take to send its request: a silent one must not hold a place.
    pub handshake_timeout: Duration,
    /// Bytes of a request's head.
    pub request_head_bytes: Size,
    /// Instances of all apps together. The sum of the apps' `instances` may be half of it, because two
    /// versions of a module live side by side while one replaces the other. Each reserves address space
    /// of the size of the largest `memory`, and about four memory maps.
    pub max_instances: u32,
    /// How long connections get to close when the host stops.
    pub drain_timeout: Duration,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            connections_per_address: 1_000,
            handshake_timeout: Duration::from_secs(10),
            request_head_bytes: Size::kibibytes(16),
            max_instances: 1_000,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// `[apps.NAME.limits]`: bounds of each connection, call and instance of an app.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppLimits {
    /// Bytes of one message from a client; a larger one closes the connection with 1009.
    pub message_bytes: Size,
    /// Messages that a client may send in a second. One that sends faster is read more slowly: nothing
    /// is lost, its own TCP connection fills up.
    pub messages_per_second: u32,
    /// Messages in one `receive`: a fast client must not make calls without end.
    pub batch_messages: usize,
    /// Bytes at which a batch is full, for the same reason.
    pub batch_bytes: Size,
    /// Bytes queued for one client. A client that reads too slowly must not fill the host's memory.
    pub outbox_bytes: Size,
    /// Bytes that a module keeps with a connection, and bytes of a timer's payload.
    pub attachment_bytes: Size,
    /// Subscriptions of one connection.
    pub topics_per_connection: usize,
    /// Timers of one connection.
    pub timers_per_connection: usize,
    /// Timers of the app itself.
    pub timers_per_app: usize,
    /// Instances of the module: so many of its calls run at the same time.
    pub instances: u32,
    /// Calls after which an instance is replaced by a fresh one, so that a leak in a module ends.
    pub instance_calls: u32,
    /// How long a call waits for a free instance. Then the connection is closed with 1013.
    pub instance_wait: Duration,
    /// Linear memory of one instance; at most 4 GiB.
    pub memory: Size,
    /// Time that one call may compute. Measured in ticks of 10 ms: an endless loop ends here.
    pub cpu_time: Duration,
    /// Time that one call may take, waiting for databases included.
    pub call_timeout: Duration,
    /// Log lines of one call; the rest is counted and left out.
    pub log_lines_per_call: u32,
    /// A silent connection is pinged after this time and given up after twice this time.
    pub keepalive: Duration,
    /// How long a client may refuse to take bytes before its connection is given up.
    pub write_timeout: Duration,
    /// How long a client may take to answer a close frame.
    pub close_timeout: Duration,
}

impl Default for AppLimits {
    fn default() -> Self {
        Self {
            message_bytes: Size::mebibytes(1),
            messages_per_second: 50_000,
            batch_messages: 64,
            batch_bytes: Size::kibibytes(256),
            outbox_bytes: Size::mebibytes(1),
            attachment_bytes: Size::kibibytes(64),
            topics_per_connection: 64,
            timers_per_connection: 16,
            timers_per_app: 1_000,
            instances: 32,
            instance_calls: 100_000,
            instance_wait: Duration::from_secs(5),
            memory: Size::mebibytes(64),
            cpu_time: Duration::from_secs(1),
            call_timeout: Duration::from_secs(30),
            log_lines_per_call: 100,
            keepalive: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
        }
    }
}
