//! `[databases.NAME.outbox]`: messages that programs publish in their own transactions.

use serde::{Deserialize, Serialize};

use super::Duration;

/// The most rows that are read at once: each needs some hundred bytes of memory.
pub(crate) const MAX_OUTBOX_BATCH: usize = 1_000;

/// The table `hassock_outbox` of a database, whose rows the host publishes. `hassock outbox init` creates it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OutboxConfig {
    /// How long the host waits before it looks for new rows again, at least 10ms. A shorter time makes messages of other programs
    /// arrive sooner, and each look is one statement. A transaction of a module of this host is published at once.
    pub poll: Duration,
    /// Rows that are read at once, at most 1000, and published before the next ones are read. Together they have at most
    /// `max_result_bytes` of the database.
    pub batch: usize,
    /// How long the host publishes nothing after its start: clients come back and subscribe again meanwhile, and would miss what was
    /// committed while there was no host.
    pub start_delay: Duration,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            poll: Duration::from(std::time::Duration::from_millis(50)),
            batch: 256,
            start_delay: Duration::from_secs(2),
        }
    }
}
