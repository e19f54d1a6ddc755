//! `hassock build`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::print::print_line;
use super::{CommandError, app_config};
use crate::build::{self, build};

/// Build the modules of an app and print the paths of the components
///
/// Runs the key `build` of each app in DIR/hassock.toml, by default
/// `cargo build --release --target wasm32-wasip2`. The target is added through rustup if it is missing.
/// What the build prints goes to standard error; standard output has one path a line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hassock build\n  hassock build examples-wasm/chat")]
pub struct BuildArgs {
    /// The app's folder, with a hassock.toml
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Print a JSON object, app by app, instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Build every app of a folder, and print the paths of the components.
///
/// # Errors
/// At the first app that cannot be built.
pub async fn run(args: BuildArgs) -> Result<(), CommandError> {
    let config = app_config("build", &args.dir)?;
    let mut components = BTreeMap::new();
    for (name, app) in &config.apps {
        let expectation = build::expectation(&config, app);
        if !expectation.is_empty() {
            eprintln!("Building {name}: {}{expectation} …", build::command(app));
        }
        components.insert(name.as_str(), build(&config, app).await?);
    }
    match args.json {
        true => print_line(serde_json::json!(components).to_string()),
        false => components.values().for_each(|component| print_line(component.display().to_string())),
    }
    Ok(())
}
