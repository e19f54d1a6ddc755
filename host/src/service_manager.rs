//! What the host tells systemd, if that has started it with `Type=notify`, see sd_notify(3). Otherwise this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::interval;

/// Clients are served.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The config is being read again. [`ready`] says that this is over.
pub(crate) fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    let since = now.inspect_err(|error| tracing::warn!(%error, "systemd does not learn of the reload"));
    if let Ok(since) = since {
        tell(&[NotifyState::Reloading, since]);
    }
}

/// The host stops.
pub(crate) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Tell it again and again that the host is alive, if the unit has `WatchdogSec=`: when the runtime is stuck, nothing does, and
/// systemd starts the host again.
pub(crate) fn feed_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    // Half of it, as sd_watchdog_enabled(3) says.
    let mut times = interval((limit / 2).max(Duration::from_millis(1)));
    tokio::spawn(async move {
        loop {
            times.tick().await;
            tell(&[NotifyState::Watchdog]);
        }
    });
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told how the host is");
    }
}
