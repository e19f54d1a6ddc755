//! `hassock serve`

use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use super::print::print_line;
use crate::config::Config;
use crate::shutdown::{SignalRequest, Signals};
use crate::{Host, open_files, service_manager, telemetry};

/// Serve the apps of a config until SIGTERM or SIGINT
///
/// Prints `Starting server on ADDR` when connections are served; the log goes to standard error. On
/// SIGTERM or SIGINT all connections are closed with 1001, and every module is told, before the
/// process ends with 0; a second signal ends it at once. It ends with 78 if the config, a module or a database cannot be used.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hassock serve --config /etc/hassock/hassock.toml")]
pub struct ServeArgs {
    /// The config
    #[arg(long, value_name = "FILE", default_value = "hassock.toml")]
    pub config: PathBuf,
}

/// Serve a config until the process is told to stop.
///
/// # Errors
/// If it cannot be served.
pub async fn run(args: ServeArgs) -> Result<(), CommandError> {
    let config = Config::load(&args.config)?;
    let _log = telemetry::init(&config.log);
    open_files::raise(config.limits.max_connections);
    let mut signals = Signals::catch()?;
    let host = tokio::select! {
        host = Host::start(config) => host?,
        _ = signals.stop() => return Ok(()),
    };
    for listening in host.listening() {
        print_line(format!("Starting server on {}", listening.address));
    }
    for (app, path) in host.apps() {
        tracing::info!(app, path, "serving");
    }
    service_manager::ready("serving");
    service_manager::feed_watchdog();
    loop {
        match signals.next().await {
            SignalRequest::Stop(signal) => return stop(host, signal, &mut signals).await,
            SignalRequest::Reload => tokio::select! {
                () = reload(&host) => {}
                // A reload may compile for minutes.
                signal = signals.stop() => return stop(host, signal, &mut signals).await,
            },
        }
    }
}

/// Read everything again that can change. The result is in the log.
async fn reload(host: &Host) {
    service_manager::reloading();
    for error in host.renew_certificates() {
        tracing::error!(%error, "a certificate cannot be used; the old one goes on");
    }
    let status = match host.control().reload().await {
        Ok(_) => "serving",
        Err(_) => "serving; the last reload was refused, see the log",
    };
    service_manager::ready(status);
}

/// Drain the host, and log that. A second signal ends it at once.
///
/// # Errors
/// If there was a second one.
pub(super) async fn stop(host: Host, signal: &str, signals: &mut Signals) -> Result<(), CommandError> {
    let connections = host.connections();
    tracing::info!(signal, connections, "stopping");
    service_manager::stopping(&format!("closing {connections} connections"));
    let left = tokio::select! {
        left = host.drain() => left,
        signal = signals.stop() => return Err(CommandError::StoppedAtOnce(signal)),
    };
    match left {
        0 => tracing::info!("stopped"),
        left => tracing::warn!(left, "stopped; some connections did not end within `drain_timeout`"),
    }
    Ok(())
}
