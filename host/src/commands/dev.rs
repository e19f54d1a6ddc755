//! `hassock dev`: build, serve, watch.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::print::print_line;
use super::serve::stop;
use super::{CommandError, app_config};
use crate::build::{self, build};
use crate::config::{CompileMode, Config, ListenAddress, MoreOrigins, Overrides, PublicFiles, listen_address};
use crate::deploy::SourceWatcher;
use crate::handshake::TEST_PAGE;
use crate::shutdown::Signals;
use crate::{Entrances, Host, Listening, StartError, telemetry};

/// Build and serve an app, and again whenever one of its files changes
///
/// Reads DIR/hassock.toml, builds its modules, serves them with a test page, and watches DIR. After a
/// change the module is built again and replaces the old one: open connections stay open. If a build
/// fails, the old module goes on. Pages that this machine serves may connect, from any port.
///
/// The files in DIR/public are served too. If there is a page public/index.html, it is at / instead of the test
/// page, which is then at /.hassock/.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hassock dev\n  hassock dev examples-wasm/chat --listen localhost:9000")]
pub struct DevArgs {
    /// The app's folder, with a hassock.toml
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Where to listen, instead of the config's `listen`: 127.0.0.1:9000, localhost:9000 or 9000; port 0 takes any
    /// free one
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    pub listen: Option<SocketAddr>,
}

/// Build and serve the apps of a folder, and again when a file changes, until the process is told to stop.
///
/// # Errors
/// If the config is wrong, the address is taken, or the modules cannot be served once they are built. A module that
/// cannot be built is not an error: the developer corrects it, and the next attempt comes with the next change.
pub async fn run(args: DevArgs) -> Result<(), CommandError> {
    let overrides = Overrides {
        listen: args.listen,
        test_page: Some(true),
        watch: Some(false),
        more_origins: MoreOrigins::Loopback,
        compile: CompileMode::Quick,
        public: PublicFiles::BesideConfig,
    };
    let config = app_config("dev", &args.dir)?.overridden(overrides);
    let _log = telemetry::init(&config.log);
    let mut signals = Signals::catch()?;
    // Before the build, which may take a minute: a developer should learn at once that the port is taken.
    let entrances = open(&config).await?;
    let folder = config.locator.folder().to_owned();
    let mut watcher =
        SourceWatcher::new(&folder).map_err(|source| CommandError::Watch { folder: folder.clone(), source })?;
    let host = tokio::select! {
        host = first_host(config, entrances, &mut watcher) => host?,
        _ = signals.stop() => return Ok(()),
    };
    announce(&host, &folder);
    let signal = tokio::select! {
        signal = signals.stop() => signal,
        never = reload_on_changes(&mut watcher, &host) => match never {},
    };
    stop(host, signal, &mut signals).await
}

async fn open(config: &Config) -> Result<Entrances, CommandError> {
    Entrances::open(config).await.map_err(|error| match error {
        StartError::Listen { error, .. } => CommandError::Listen(error),
        other => other.into(),
    })
}

/// Build until it succeeds, then start.
async fn first_host(
    mut config: Config,
    mut entrances: Entrances,
    watcher: &mut SourceWatcher,
) -> Result<Host, CommandError> {
    while build_all(&config).await.is_err() {
        eprintln!("Waiting for a change in {}", config.locator.folder().display());
        let next = next_config(&config, watcher).await;
        if next.all_listeners() != config.all_listeners() {
            // The old ones first: the new ones may be at the same addresses.
            drop(entrances);
            entrances = open(&next).await?;
        }
        config = next;
    }
    eprintln!("Loading the modules; one that is new is compiled to machine code, which takes a few seconds …");
    Ok(Host::start_on(entrances, config).await?)
}

/// Wait for a change that leaves a config that can be read.
async fn next_config(config: &Config, watcher: &mut SourceWatcher) -> Config {
    loop {
        change(watcher).await;
        match config.read_again() {
            Ok(config) => return config,
            Err(error) => eprintln!("{error}"),
        }
    }
}

/// Wait for a change, and print which file has changed.
async fn change(watcher: &mut SourceWatcher) {
    eprintln!("{} changed", watcher.changed().await.display());
}

/// Build every app. If one cannot be built, print and return the reason.
async fn build_all(config: &Config) -> Result<(), String> {
    for (name, app) in &config.apps {
        let started = Instant::now();
        eprintln!("Building {name}: {}{} …", build::command(app), build::expectation(config, app));
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
    for Listening { address, is_secure } in host.listening() {
        if !matches!(address, ListenAddress::Tcp(_)) {
            // No browser reaches it.
            print_line(format!("Listening on {address}"));
            continue;
        }
        let secure = if *is_secure { "s" } else { "" };
        let has_page = folder.join("public/index.html").is_file();
        if has_page {
            print_line(format!("Page       http{secure}://{address}/"));
        }
        let test_page = if has_page { TEST_PAGE } else { "/" };
        print_line(format!("Test page  http{secure}://{address}{test_page}"));
        for (app, path) in host.apps() {
            print_line(format!("{app:<10} ws{secure}://{address}{path}"));
        }
    }
    print_line(format!("Watching {}; Ctrl-C stops", folder.display()));
}

async fn reload_on_changes(watcher: &mut SourceWatcher, host: &Host) -> Infallible {
    loop {
        change(watcher).await;
        match rebuild(host).await {
            Ok(()) => host.build_succeeded(),
            Err(reason) => host.build_failed(&reason),
        }
    }
}

/// Build the apps and serve them. If that is not possible, print and return the reason.
async fn rebuild(host: &Host) -> Result<(), String> {
    // Read once, so that what is built is what is applied: the file may change again meanwhile.
    let config = host.control().config().read_again().map_err(|error| {
        eprintln!("{error}\nThe old config and module go on");
        error.to_string()
    })?;
    build_all(&config).await.map_err(|reason| {
        eprintln!("The old module goes on");
        // The compiler's messages are only in the terminal.
        reason.replace("see above", "see the terminal")
    })?;
    let report = host.control().apply(config).await.map_err(|error| {
        eprintln!("{error}\nThe old module goes on");
        error.to_string()
    })?;
    if report.changes.is_empty() {
        eprintln!("Nothing has changed for the apps");
    }
    report.changes.iter().for_each(|change| eprintln!("Now {change}; open connections stay open"));
    Ok(())
}
