//! Stopping the host: signals, and the drain in which every connection is closed properly.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::error::Elapsed;
use tokio::time::{interval, timeout};

use crate::app::connection::Close;
use crate::host_state::HostState;

/// The interval at which the drain closes connections again, because the `open` of some was running when it began.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The signals that the process handles. SIGTERM from a service manager and SIGINT from a terminal ask it to stop, and
/// SIGHUP asks it to read its config again. Once this exists, the signals do not end the process by default any more,
/// so it is created before anything else starts.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks the process to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalRequest {
    /// Stop. Contains the name of the signal.
    Stop(&'static str),
    /// Read the config again.
    Reload,
}

impl Signals {
    /// Start to handle the signals.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Wait for a signal.
    pub async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.terminate.recv() => SignalRequest::Stop("SIGTERM"),
            _ = self.interrupt.recv() => SignalRequest::Stop("SIGINT"),
            _ = self.hangup.recv() => SignalRequest::Reload,
        }
    }

    /// Wait until the process is asked to stop. Returns the name of the signal. A request to read the config again
    /// stays pending.
    pub async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Accept no more connections, close all of them with 1001, and wait until the modules have handled each close, for at
/// most `drain_timeout`. Calls that still run after half of it are given up, so that the other half is left for the
/// `closed` of their connections. Returns how many connections were left at the end.
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
    let half = state.routing().limits.drain_timeout.get() / 2;
    let all_gone = async {
        let mut all_gone = pin!(all_gone);
        if timeout(half, &mut all_gone).await.is_err() {
            state.context.out_of_time.cancel();
            timeout(half, all_gone).await?;
        }
        Ok::<_, Elapsed>(())
    };
    match all_gone.await {
        Ok(()) => 0,
        Err(_) => state.routing().routes.apps().map(|app| app.connections.len()).sum(),
    }
}

fn ask_all_to_close(state: &HostState) {
    for app in state.routing().routes.apps() {
        app.close_all(&Close::going_away());
    }
}
