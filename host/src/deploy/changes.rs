//! What differs between the config that is in effect and a new one.

use super::plan::Running;
use crate::config::{ApiConfig, AppConfig, Config, Problem};

/// Keys that a running host cannot change.
pub(super) fn fixed(config: &Config, old: &Config, running: &Running<'_>) -> Vec<Problem> {
    let changed = [
        ("listen", config.all_listeners() != old.all_listeners()),
        ("watch", config.watch != old.watch),
        ("log", config.log != old.log),
        ("admin", config.admin != old.admin),
        ("api", of_the_api(config) != of_the_api(old)),
        ("traces", config.traces != old.traces),
        ("cluster", config.cluster != old.cluster),
        ("cache", config.cache != old.cache),
        ("limits.max_instances", config.limits.max_instances != old.limits.max_instances),
    ];
    let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
    let restart = "cannot change while the host runs; restart it, or put the old value back";
    let mut problems: Vec<_> = changed.map(|(key, _)| config.locator.problem(key, restart)).collect();
    let most = running.engine.max_memory();
    for (name, app) in config.apps.iter().filter(|(_, app)| app.limits.memory.bytes() > most) {
        let message = format!(
            "{} is more than the {} MiB that the host reserved for an instance when it started; restart it",
            app.limits.memory,
            most >> 20
        );
        problems.push(config.locator.problem(&format!("apps.{name}.limits.memory"), message));
    }
    problems
}

/// What a running host cannot change of the API.
fn of_the_api(config: &Config) -> Option<ApiConfig> {
    config.api.as_ref().map(ApiConfig::without_tokens)
}

/// Whether a database is the same in both configs, so that it stays open.
pub(super) fn is_same_database(config: &Config, old: &Config, name: &str) -> bool {
    config.databases.contains_key(name) && config.databases.get(name) == old.databases.get(name)
}

/// A sentence for each change that is not about an app.
pub(super) fn of_the_host(config: &Config, old: &Config) -> Vec<String> {
    let mut changes = of_the_databases(config, old);
    if config.limits != old.limits {
        changes.push("the limits of the host are others".to_owned());
    }
    if (&config.trusted_proxies, config.forwarded_header) != (&old.trusted_proxies, old.forwarded_header) {
        changes.push("other proxies are trusted".to_owned());
    }
    if config.hosts != old.hosts {
        changes.push("the host is served under other names".to_owned());
    }
    match (old.public_health, config.public_health) {
        (false, true) => changes.push("`/live` and `/ready` are answered now".to_owned()),
        (true, false) => changes.push("`/live` and `/ready` are not answered any more".to_owned()),
        _ => {}
    }
    match (old.client_library, config.client_library) {
        (false, true) => changes.push("the client library is served now".to_owned()),
        (true, false) => changes.push("the client library is not served any more".to_owned()),
        _ => {}
    }
    match (old.test_page, config.test_page) {
        (false, true) => changes.push("the test page is served now".to_owned()),
        (true, false) => changes.push("the test page is not served any more".to_owned()),
        _ => {}
    }
    changes
}

fn of_the_databases(config: &Config, old: &Config) -> Vec<String> {
    let old = &old.databases;
    let there = config.databases.iter().filter_map(|(name, database)| match old.get(name) {
        None => Some(format!("the database `{name}` is new")),
        Some(before) if before != database => Some(format!("the database `{name}` was opened again")),
        Some(_) => None,
    });
    let gone = old.keys().filter(|name| !config.databases.contains_key(*name));
    there.chain(gone.map(|name| format!("the database `{name}` is gone"))).collect()
}

/// Whether anything but the path, the module and the tokens has changed for an app.
pub(super) fn has_new_setup(config: &Config, old: &Config, name: &str) -> bool {
    let (new, before) = (config.apps.get(name), old.apps.get(name));
    let databases_changed =
        new.iter().flat_map(|app| app.databases.keys()).any(|database| !is_same_database(config, old, database));
    let parts_changed =
        new.iter().flat_map(|app| app.databases.keys()).any(|main| config.sharer(main, name) != old.sharer(main, name));
    // A module gets different errors for a database that it may not use and for one that does not exist.
    let names_changed = !config.databases.keys().eq(old.databases.keys());
    new.map(setup_part) != before.map(setup_part) || databases_changed || parts_changed || names_changed
}

fn setup_part(app: &AppConfig) -> AppConfig {
    AppConfig { path: Default::default(), module: Default::default(), build: None, auth: None, ..app.clone() }
}
