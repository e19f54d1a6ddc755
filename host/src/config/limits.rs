//! Every bound, with its default and its reason. Invariant 5: no queue, table or wait is unbounded.

use serde::{Deserialize, Serialize};

use super::{Duration, Size};

/// Bounds of the whole host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct HostLimits {
    /// Connections at the same time; more wait in the kernel's queue. An idle WebSocket costs about 12 KiB.
    pub max_connections: usize,
    /// Connections from one address, or from one network of IPv6 (/64): one client must not take all. For connections through
    /// `trusted_proxies`, the address is that of the client.
    pub connections_per_address: usize,
    /// How long a client may take to send its request, and may take no bytes of the answer: a silent one must not hold a
    /// connection.
    pub handshake_timeout: Duration,
    /// Bytes of the head of a request: it is in memory until the module has decided. At least `"8KiB"`.
    pub request_head_bytes: Size,
    /// Instances of all apps together. The sum of the apps' `instances` may be half of it, because two
    /// versions of a module live side by side while one replaces the other. Each reserves 8 GiB of
    /// address space, or that of the largest `memory` if there is not enough, and about four memory maps.
    pub max_instances: u32,
    /// Bytes of everything together that clients and modules make the host keep: messages that are not complete or wait for
    /// the module, outboxes, attachments, payloads of timers. Many connections within their own bounds could fill the
    /// memory of the machine. If it is used up, the connections that use most are closed with 1013. At least `"16MiB"`.
    pub memory_budget: Size,
    /// How long the host goes on when it is to stop, while `/ready` already says no: a load balancer needs some time to send
    /// clients elsewhere.
    pub drain_delay: Duration,
    /// Over which time connections are closed after that, so that not all clients come back at the same moment; at most a
    /// quarter of `drain_timeout`. A few at a time are closed faster.
    pub drain_window: Duration,
    /// How long all of them may take to close: a client that does not answer must not delay a restart. Calls that still wait
    /// after half of what is left of it after `drain_window` are given up, except those of `closed`.
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
            memory_budget: Size::mebibytes(512),
            drain_delay: Duration::from_secs(0),
            drain_window: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Bounds of each connection, call and instance of an app.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AppLimits {
    /// Bytes of one message from a client; a larger one closes the connection with 1009.
    pub message_bytes: Size,
    /// Messages that a client may send in a second. One that sends faster is read more slowly: nothing
    /// is lost, its own TCP connection fills up.
    pub messages_per_second: u32,
    /// Messages in one call of the module: a fast client must not make a call without end.
    pub batch_messages: usize,
    /// Bytes at which a batch is full, for the same reason.
    pub batch_bytes: Size,
    /// Bytes queued for one client. A client that reads too slowly must not fill the host's memory. A call that runs may
    /// exceed this by 64 KiB.
    pub outbox_bytes: Size,
    /// Bytes that a module may keep with a connection, and bytes of a timer's payload: the host has them in memory.
    pub attachment_bytes: Size,
    /// Topics that one connection may subscribe to: each costs memory, and work when it ends.
    pub topics_per_connection: usize,
    /// Bytes of messages that all topics of the app keep together, where each message counts 64 bytes more than its payload: a
    /// module may publish to any number of topics. The oldest messages go first. All apps together keep at most a quarter of
    /// `memory_budget`.
    pub history_bytes: Size,
    /// Bytes of what a module tells others about a connection (`presence`): all of its topics get it.
    pub presence_bytes: Size,
    /// Ids of published messages that are remembered for five minutes, so that a message which is sent again is not published
    /// again: each costs memory. The oldest are forgotten first.
    pub message_ids: usize,
    /// Timers of one connection at the same time, for the same reason as `topics_per_connection`.
    pub timers_per_connection: usize,
    /// Timers of the app itself at the same time, for the same reason.
    pub timers_per_app: usize,
    /// Instances of the module, which is the number of its calls that run at the same time.
    pub instances: u32,
    /// Calls after which an instance is replaced by a fresh one: this bounds what a leak in a module costs.
    pub instance_calls: u32,
    /// How long a call waits for a free instance. After that, the connection is closed with 1013. A call of `closed` or
    /// `app-timer` waits for as long as it takes.
    pub instance_wait: Duration,
    /// Transactions that one call may have open on the same database at the same time: each holds a connection to it, for
    /// which the calls of others wait.
    pub transactions_per_call: usize,
    /// Linear memory of one instance: 64 KiB to 4 GiB. A call that needs more ends, and its instance is replaced.
    pub memory: Size,
    /// Processor time that one call may use, which is looked at every 10 ms: this ends an endless loop.
    pub cpu_time: Duration,
    /// Calls that compute for longer than 10 ms at the same time. Others wait for their turn, a tick each, so an app leaves
    /// cores to those beside it. 0 means all cores but one, and at least one.
    pub computing_calls: u32,
    /// Time that one call may take, including the time in which it waits for databases.
    pub call_timeout: Duration,
    /// Lines that one call may log: a module must not fill the disk. The rest is counted and left out.
    pub log_lines_per_call: u32,
    /// How long a connection of a client that speaks `hassock.v1` goes on without the client, which may come back and have it
    /// again: it counts as a connection meanwhile, and its outbox, and up to twice `outbox_bytes` of what the client has not
    /// confirmed, are in memory. `"0s"` ends it at once.
    pub resume_for: Duration,
    /// A silent connection gets a ping after this time and is closed after twice this time: clients vanish without a
    /// word.
    pub keepalive: Duration,
    /// How long a client may take no bytes at all before its connection is closed: its outbox is in memory meanwhile.
    pub write_timeout: Duration,
    /// How long a client may take to answer a close frame before the connection is cut.
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
            history_bytes: Size::mebibytes(64),
            presence_bytes: Size::kibibytes(1),
            message_ids: 10_000,
            timers_per_connection: 16,
            timers_per_app: 1_000,
            instances: 32,
            instance_calls: 100_000,
            instance_wait: Duration::from_secs(5),
            transactions_per_call: 1,
            memory: Size::mebibytes(64),
            cpu_time: Duration::from_secs(1),
            computing_calls: 0,
            call_timeout: Duration::from_secs(30),
            log_lines_per_call: 100,
            resume_for: Duration::from_secs(0),
            keepalive: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
        }
    }
}
