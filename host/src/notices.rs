//! What the host tells its test page besides the state of the apps: why the last build failed, and why it refused
//! handshakes. The memory is bounded, and nothing here is on the path of a message.

use std::collections::VecDeque;

use http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

/// Refused handshakes that are kept. A page asks right after each of its own.
const MAX_REFUSALS: usize = 64;

/// Path and query of a refused handshake; a longer one is not kept.
const MAX_TARGET_BYTES: usize = 2 << 10;

/// A reason; the rest of a longer one is left out.
const MAX_REASON_BYTES: usize = 16 << 10;

/// The notices of one host.
#[derive(Default)]
pub(crate) struct Notices(Mutex<State>);

#[derive(Default)]
struct State {
    build_failures: u64,
    build_failure: Option<BuildFailure>,
    refusals: VecDeque<(Instant, Refusal)>,
}

/// Why the module that a developer works on could not be built or served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BuildFailure {
    /// Counts the failures of this host, so that two of them differ.
    pub(crate) number: u64,
    pub(crate) reason: String,
}

/// Why a handshake did not become a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Path and query, as they were requested.
    pub(crate) target: String,
    pub(crate) by: Refuser,
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
}

/// Which side refused a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Refuser {
    Host,
    Module,
}

impl Notices {
    /// A build failed, or the host did not accept what was built.
    pub(crate) fn build_failed(&self, reason: &str) {
        let mut state = self.0.lock();
        state.build_failures += 1;
        let failure = BuildFailure { number: state.build_failures, reason: shortened(reason) };
        state.build_failure = Some(failure);
    }

    /// The apps are built and served as their sources are now.
    pub(crate) fn build_succeeded(&self) {
        self.0.lock().build_failure = None;
    }

    /// The failure of the last build, unless it succeeded.
    pub(crate) fn build_failure(&self) -> Option<BuildFailure> {
        self.0.lock().build_failure.clone()
    }

    /// A handshake was refused.
    pub(crate) fn refused(&self, mut refusal: Refusal) {
        if refusal.target.len() > MAX_TARGET_BYTES {
            return;
        }
        refusal.reason = shortened(&refusal.reason);
        let mut state = self.0.lock();
        state.refusals.truncate(MAX_REFUSALS - 1);
        state.refusals.push_front((Instant::now(), refusal));
    }

    /// The last refusal for exactly this path and query, and when it was.
    pub(crate) fn refusal(&self, target: &str) -> Option<(Instant, Refusal)> {
        self.0.lock().refusals.iter().find(|(_, refusal)| refusal.target == target).cloned()
    }
}

fn shortened(reason: &str) -> String {
    match reason.split_at_checked(reason.floor_char_boundary(MAX_REASON_BYTES)) {
        Some((kept, rest)) if !rest.is_empty() => format!("{kept} …"),
        _ => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(target: impl Into<String>, reason: impl Into<String>) -> Refusal {
        let (target, reason) = (target.into(), reason.into());
        Refusal { target, by: Refuser::Module, status: StatusCode::CONFLICT, reason }
    }

    #[test]
    fn a_page_learns_only_about_the_path_and_query_that_it_names() {
        let notices = Notices::default();
        notices.refused(refusal("/chat?token=secret", "expired"));
        notices.refused(refusal("/chat", "first"));
        notices.refused(refusal("/chat", "second"));
        let reason = |target| notices.refusal(target).map(|(_, refusal)| refusal.reason);
        assert_eq!(reason("/chat?token=secret").as_deref(), Some("expired"));
        assert_eq!(reason("/chat").as_deref(), Some("second"));
        assert_eq!(reason("/chat?token="), None);
    }

    #[test]
    fn the_memory_is_bounded() {
        let notices = Notices::default();
        for number in 0..1000 {
            notices.refused(refusal(format!("/{number}"), "é".repeat(MAX_REASON_BYTES)));
        }
        notices.refused(refusal("/".repeat(MAX_TARGET_BYTES + 1), ""));
        let state = notices.0.lock();
        assert_eq!(state.refusals.len(), MAX_REFUSALS);
        assert_eq!(state.refusals[0].1.target, "/999");
        assert!(state.refusals.iter().all(|(_, refusal)| refusal.reason.len() <= MAX_REASON_BYTES + " …".len()));
    }

    #[test]
    fn a_failure_is_told_until_a_build_succeeds() {
        let notices = Notices::default();
        assert_eq!(notices.build_failure(), None);
        notices.build_failed("a");
        notices.build_failed("a");
        assert_eq!(notices.build_failure().unwrap().number, 2);
        notices.build_succeeded();
        assert_eq!(notices.build_failure(), None);
    }
}
