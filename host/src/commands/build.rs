//! `hassock build`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::print::print_line;
use super::{CommandError, app_config};
use crate::build::build;

/// Build every app of a folder, and print where the components are.
///
/// # Errors
/// At the first app that cannot be built.
pub async fn run(dir: &Path, print: fn(&BTreeMap<&str, PathBuf>)) -> Result<(), CommandError> {
    let config = app_config(dir)?;
    let mut components = BTreeMap::new();
    for (name, app) in &config.apps {
        components.insert(name.as_str(), build(&config, app).await?);
    }
    print(&components);
    Ok(())
}

/// A path a line.
pub fn print_lines(components: &BTreeMap<&str, PathBuf>) {
    for component in components.values() {
        print_line(component.display().to_string());
    }
}

/// `{"app": "path"}`
pub fn print_json(components: &BTreeMap<&str, PathBuf>) {
    print_line(serde_json::json!(components).to_string());
}
