//! The limit of open files: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the host opens beside the connections of clients: listeners, modules, the cache, the log, some databases.
const OTHERS: u64 = 100;

/// Raise the soft limit to the hard one, and warn if there can be fewer connections than the config allows. Many systems
/// start services with a soft limit of 1,024, because older programs cannot handle more.
pub(crate) fn raise(max_connections: usize) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if before.current != before.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files stays");
    }
    let now = getrlimit(Resource::Nofile).current;
    let needed = needed(max_connections);
    tracing::debug!(open_files = before.current, limit = now, "open files");
    if let Some(now) = now.filter(|now| *now < needed) {
        tracing::warn!(
            "at most {now} files may be open, and `limits.max_connections` = {max_connections} needs {needed}: raise \
             the limit (`LimitNOFILE` in a systemd unit), or lower the key"
        );
    }
}

/// How many files this process may have open, if that is too few for so many connections.
pub(crate) fn shortage(max_connections: usize) -> Option<u64> {
    getrlimit(Resource::Nofile).maximum.filter(|most| *most < needed(max_connections))
}

fn needed(max_connections: usize) -> u64 {
    max_connections as u64 + OTHERS
}
