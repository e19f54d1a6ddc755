//! Stopping the host: signals, and the drain in which every connection is closed properly.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::error::Elapsed;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::app::connection::Close;
use crate::host_state::HostState;

/// The time between two steps of a drain.
const STEP: Duration = Duration::from_millis(50);

/// Connections that are closed at each step at least: so few that come back at the same moment are no burden to anyone.
const LEAST: usize = 20;

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

/// Wait for `drain_delay`, accept no more connections, close all of them with 1001 over `drain_window`, and wait until the
/// modules have handled each close, for at most `drain_timeout`. Calls that still run after half of what is left of it are
/// given up, so that the other half is left for the `closed` of their connections. Returns how many connections were left
/// at the end.
pub async fn drain(state: &Arc<HostState>) -> usize {
    state.stopping.cancel();
    sleep(state.routing().limits.drain_delay.get()).await;
    state.draining.cancel();
    state.context.tasks.close();
    let total = state.routing().limits.drain_timeout.get();
    let window = state.routing().limits.drain_window.get().min(total / 4);
    let half = (total - window) / 2;
    let all_gone = async {
        let mut all_gone = pin!(close_all(state, window));
        if timeout(window + half, &mut all_gone).await.is_err() {
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

/// Close all connections, some at each step, until all tasks have ended.
async fn close_all(state: &HostState, window: Duration) {
    let mut ticks = interval(STEP);
    // Those that were missed must not come all at once.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left = steps(window);
    loop {
        tokio::select! {
            () = state.context.tasks.wait() => return,
            _ = ticks.tick() => close_some(state, left),
        }
        left = left.saturating_sub(1);
    }
}

fn steps(window: Duration) -> usize {
    usize::try_from(window.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX)
}

/// Close the share of the open connections that is due when there are so many steps left. After the last one, this closes
/// those whose `open` was running meanwhile.
fn close_some(state: &HostState, steps_left: usize) {
    let routing = state.routing();
    let all = routing.routes.apps().flat_map(|app| app.connections.all());
    let open: Vec<_> = all.filter(|connection| !connection.outbox.is_closing()).collect();
    for connection in open.iter().take(share(open.len(), steps_left)) {
        connection.close(Close::going_away());
    }
}

/// How many of the open connections are closed at a step.
fn share(open: usize, steps_left: usize) -> usize {
    open.div_ceil(steps_left.max(1)).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is closed at each step.
    fn shares(connections: usize, window: Duration) -> Vec<usize> {
        let (mut open, mut shares) = (connections, Vec::new());
        for left in (0..=steps(window)).rev() {
            let closed = share(open, left).min(open);
            open -= closed;
            shares.push(closed);
        }
        assert_eq!(open, 0, "all are closed at the end");
        shares
    }

    #[test]
    fn many_connections_are_closed_evenly() {
        let window = Duration::from_secs(2);
        for connections in [1_000, 2_000, 12_345, 100_000] {
            let shares = shares(connections, window);
            let most = shares.windows(2).map(|two| two[0] + two[1]).max().unwrap();
            assert!(most <= connections / 10, "{most} of {connections} within 100 ms");
        }
    }

    #[test]
    fn a_few_are_closed_soon_and_without_a_window_all_at_once() {
        assert_eq!(shares(15, Duration::from_secs(2))[..2], [15, 0]);
        assert_eq!(shares(50, Duration::from_secs(60))[..3], [20, 20, 10]);
        assert_eq!(shares(5_000, Duration::ZERO), [5_000]);
    }
}
