//! The `Cargo.lock` of a new app: that of the examples, which have the same dependencies.

use super::embedded::LOCK;

/// Cargo's mark of a package.
const PACKAGE: &str = "[[package]]\n";

/// The example that the app replaces in the lock: it has all dependencies that a new app has.
const PATTERN: &str = "chat";

const EXAMPLES: [&str; 4] = ["chat", "commands", "echo", "guestbook"];

/// The lock of an app of that name.
pub(super) fn for_app(app: &str) -> String {
    let (head, _) = LOCK.split_once(PACKAGE).unwrap_or((LOCK, ""));
    let is_kept = |package: &&str| name(package) == PATTERN || !EXAMPLES.contains(&name(package));
    let mut packages: Vec<String> = packages()
        .filter(is_kept)
        .map(|package| match name(package) {
            PATTERN => package.replacen(PATTERN, app, 1),
            _ => package.to_owned(),
        })
        .collect();
    // In cargo's order, so that `--locked` finds nothing to change.
    packages.sort_by(|one, other| name(one).cmp(name(other)));
    let packages = packages.iter().map(|package| format!("{PACKAGE}{}\n", package.trim_end()));
    format!("{head}{}", packages.collect::<Vec<_>>().join("\n"))
}

/// The names of all crates that an app is built with.
pub(super) fn dependencies() -> impl Iterator<Item = &'static str> {
    packages().map(name).filter(|name| !EXAMPLES.contains(name))
}

fn packages() -> impl Iterator<Item = &'static str> {
    LOCK.split(PACKAGE).skip(1)
}

fn name(package: &str) -> &str {
    package.strip_prefix("name = \"").and_then(|rest| rest.split('"').next()).unwrap_or_default()
}
