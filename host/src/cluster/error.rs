//! Why something could not be done with the servers of NATS.

/// Why something could not be done with the servers of NATS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// A file of the config, or what it says, cannot be used.
    #[error("{0}")]
    Config(String),
    /// No server can be reached, or none accepts the host.
    #[error("no server of NATS at {urls} can be used: {reason}; see `cluster`")]
    Connect { urls: String, reason: String },
    /// The servers have no JetStream, or not for this account.
    #[error("the servers of NATS keep no histories: {0}; enable JetStream, as with `nats-server -js`")]
    NoJetStream(String),
    /// A stream or a bucket cannot be made as the host needs it.
    #[error("NATS cannot keep {name}: {reason}")]
    Keep { name: String, reason: String },
    /// There was no answer in time, or none at all. It may work later.
    #[error("NATS does not answer: {0}")]
    Away(String),
    /// The message is larger than the servers allow.
    #[error("the message is larger than the `max_payload` of the servers of NATS")]
    TooLarge,
    /// All numbers of hosts are in use.
    #[error("the cluster has {0} hosts already, as many as there can be")]
    Full(u64),
}

impl ClusterError {
    pub(super) fn away(error: impl std::fmt::Display) -> Self {
        Self::Away(error.to_string())
    }
}
