//! `hassock dev`: build, serve, watch.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use super::print::print_line;
use super::serve::stop;
use super::{CommandError, app_config};
use crate::build::build;
use crate::config::{Config, Overrides};
use crate::deploy::SourceWatcher;
use crate::shutdown::Signals;
use crate::{Host, StartError, telemetry};

/// Build and serve the apps of a folder, and again when a file changes, until the process is told to stop.
///
/// # Errors
/// If the config is wrong, or cannot be served once its modules are built. A module that cannot be built is
/// no error: the developer will mend it, and the next try comes with the next change.
pub async fn run(dir: &Path, listen: Option<SocketAddr>) -> Result<(), CommandError> {
    let config = app_config(dir)?.overridden(Overrides { listen, test_page: Some(true), watch: Some(false) });
    telemetry::init(&config.log);
    let mut signals = Signals::catch()?;
    let folder = config.locator.folder().to_owned();
    let mut watcher =
        SourceWatcher::new(&folder).map_err(|source| CommandError::Watch { folder: folder.clone(), source })?;
    let host = tokio::select! {
        host = first_host(&config, &folder, &mut watcher) => host?,
        _ = signals.stop() => return Ok(()),
    };
    announce(&host, &folder);
    let signal = tokio::select! {
        signal = signals.stop() => signal,
        () = reload_on_changes(&mut watcher, &config, &host) => "the end of watching",
    };
    stop(host, signal).await;
    Ok(())
}

/// Build until it succeeds, then start.
async fn first_host(config: &Config, folder: &Path, watcher: &mut SourceWatcher) -> Result<Host, StartError> {
    while build_all(config).await.is_err() {
        eprintln!("Waiting for a change in {}", folder.display());
        watcher.changed().await;
    }
    Host::start(config.clone()).await
}

/// Build every app. If one cannot be built, print and return the reason.
async fn build_all(config: &Config) -> Result<(), String> {
    for (name, app) in &config.apps {
        let started = Instant::now();
        eprintln!("Building {name} …");
        match build(config, app).await {
            Ok(module) => eprintln!("Built {} in {:.1} s", module.display(), started.elapsed().as_secs_f32()),
            Err(error) => {
                let reason = format!("{name}: {error}");
                eprintln!("{reason}");
                return Err(reason);
            }
        }
    }
    Ok(())
}

fn announce(host: &Host, folder: &Path) {
    let address = host.local_addr();
    print_line(format!("Test page  http://{address}/"));
    for (app, path) in host.apps() {
        print_line(format!("{app:<10} ws://{address}{path}"));
    }
    print_line(format!("Watching {}; Ctrl-C stops", folder.display()));
}

async fn reload_on_changes(watcher: &mut SourceWatcher, config: &Config, host: &Host) {
    let mut config = config.clone();
    while let Some(file) = watcher.changed().await {
        eprintln!("{} changed", file.display());
        match config.read_again() {
            Ok(new) => config = new,
            Err(error) => {
                eprintln!("{error}\nThe old config and module go on");
                host.build_failed(&error.to_string());
                continue;
            }
        }
        if let Err(reason) = build_all(&config).await {
            eprintln!("The old module goes on");
            // The compiler's messages are only in the terminal.
            host.build_failed(&reason.replace("see above", "see the terminal"));
            continue;
        }
        // The config first: an app that is new in it is served by that.
        match host.control().reload().await {
            Ok(report) => {
                host.build_succeeded();
                report.changes.iter().for_each(|change| eprintln!("Now {change}; open connections stay open"))
            }
            Err(error) => {
                eprintln!("{error}\nThe old module goes on");
                host.build_failed(&error.to_string());
            }
        }
    }
}
