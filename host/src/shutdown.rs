//! Stopping: signals, and the drain that lets every connection end as it should.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{interval, timeout};

use crate::app::connection::Close;
use crate::host_state::HostState;

/// How often connections that came meanwhile are asked to close too: their `open` ran when the drain began.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The signals that the process hears: SIGTERM from a service manager and SIGINT from a terminal ask it to
/// stop, SIGHUP to read its config again. From their making on they no longer end the process by
/// themselves, so they are made before anything begins.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To stop. The name of the signal.
    Stop(&'static str),
    /// To read the config again.
    Reload,
}

impl Signals {
    /// Catch the signals.
    ///
    /// # Errors
    /// If the system does not let us.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Wait for one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Wait until the process is to stop; returns the name of the signal. Others wait.
    pub async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Take no more connections, close all with 1001, and wait until each module has heard of each end, at most
/// for `drain_timeout`. Returns how many connections were left then.
pub async fn drain(state: &Arc<HostState>) -> usize {
    state.draining.cancel();
    state.context.tasks.close();
    let all_gone = async {
        let mut again = interval(ASK_AGAIN);
        loop {
            tokio::select! {
                () = state.context.tasks.wait() => return,
                _ = again.tick() => ask_all_to_close(state),
            }
        }
    };
    match timeout(state.routing().limits.drain_timeout.get(), all_gone).await {
        Ok(()) => 0,
        Err(_) => state.routing().routes.apps().map(|app| app.connections.len()).sum(),
    }
}

fn ask_all_to_close(state: &HostState) {
    for app in state.routing().routes.apps() {
        app.close_all(&Close::going_away());
    }
}
