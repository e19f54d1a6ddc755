//! `hassock serve`

use std::path::Path;

use super::CommandError;
use super::print::print_line;
use crate::config::Config;
use crate::shutdown::{Asked, Signals};
use crate::{Host, telemetry};

/// Serve a config until the process is told to stop.
///
/// # Errors
/// If it cannot be served.
pub async fn run(file: &Path) -> Result<(), CommandError> {
    let config = Config::load(file)?;
    telemetry::init(&config.log);
    let mut signals = Signals::catch()?;
    let host = tokio::select! {
        host = Host::start(config) => host?,
        _ = signals.stop() => return Ok(()),
    };
    print_line(format!("Starting server on {}", host.local_addr()));
    for (app, path) in host.apps() {
        tracing::info!(app, path, "serving");
    }
    loop {
        match signals.next().await {
            Asked::Stop(signal) => {
                stop(host, signal).await;
                return Ok(());
            }
            // What it comes to is in the log.
            Asked::Reload => drop(host.control().reload().await),
        }
    }
}

/// Drain the host, and say so.
pub(super) async fn stop(host: Host, signal: &str) {
    tracing::info!(signal, connections = host.connections(), "stopping");
    match host.drain().await {
        0 => tracing::info!("stopped"),
        left => tracing::warn!(left, "stopped; some connections did not end within `drain_timeout`"),
    }
}
