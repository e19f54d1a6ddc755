//! What a config may contain and will hurt.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::config::{AdminAddress, ApiConfig, Config, ListenAddress, ListenerConfig, Problem};
use crate::open_files;

/// The permissions that let everyone on the machine read a file.
const READ_BY_OTHERS: u32 = 0o004;

/// Every warning about a config that can be served.
pub(super) fn about(config: &Config) -> Vec<Problem> {
    let warnings = [
        readable_password(config),
        readable_token(config),
        any_host(config),
        admin_port(config),
        unnamed_proxy(config),
        readable_traffic(config),
        readable_requests(config),
        few_files(config),
    ];
    warnings.into_iter().flatten().collect()
}

/// The config, if everyone on the machine can read it.
fn readable_file(config: &Config) -> Option<toml::Table> {
    let mode = fs::metadata(config.locator.file()).ok()?.permissions().mode();
    let text = fs::read_to_string(config.locator.file()).ok()?;
    text.parse().ok().filter(|_| mode & READ_BY_OTHERS != 0)
}

fn readable_password(config: &Config) -> Option<Problem> {
    let file = readable_file(config)?;
    let databases = file.get("databases")?.as_table()?;
    let has_password = |url: &str| {
        let user = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
        user.is_some_and(|(user, _)| user.contains(':') && !user.contains("${"))
    };
    let url = |database: &toml::Value| Some(database.get("url")?.as_str()?.to_owned());
    let (name, _) = databases.iter().find(|(_, database)| url(database).is_some_and(|url| has_password(&url)))?;
    let message = "everyone on this machine can read the password; put it into an environment variable (`${PASSWORD}`), or \
                   `chmod o-r` the file";
    Some(config.locator.problem(&format!("databases.{name}.url"), message))
}

fn readable_token(config: &Config) -> Option<Problem> {
    let file = readable_file(config)?;
    let tokens = file.get("api")?.get("tokens")?.as_table()?;
    let is_written = |token: &toml::Value| {
        token.get("token").and_then(toml::Value::as_str).is_some_and(|token| !token.contains("${"))
    };
    let (name, _) = tokens.iter().find(|(_, token)| is_written(token))?;
    let message = "everyone on this machine can read the token; put it into an environment variable (`${TOKEN}`) or into a \
                   `token_file`, or `chmod o-r` the file";
    Some(config.locator.problem(&format!("api.tokens.{name}.token"), message))
}

fn any_host(config: &Config) -> Option<Problem> {
    let is_open = config.hosts.is_none() && config.apps.values().any(|app| app.origins.is_none());
    let message = "missing: a website can let its own name refer to this host, and its pages would count as the host's own; \
                   name those under which clients reach it, such as `hosts = [\"chat.example.org\"]`";
    is_open.then(|| config.locator.problem("hosts", message))
}

fn admin_port(config: &Config) -> Option<Problem> {
    let is_port = config.admin.as_ref().is_some_and(|admin| matches!(admin.listen, AdminAddress::Tcp(_)));
    let message = "every program on this machine can connect, and needs only the token; a Unix socket is for the host's user alone, \
                   such as `listen = \"unix:admin.sock\"`";
    is_port.then(|| config.locator.problem("admin.listen", message))
}

/// Listeners of this machine only are usually behind a proxy.
fn unnamed_proxy(config: &Config) -> Option<Problem> {
    let is_local = |(_, listener): &(String, ListenerConfig)| match listener.address {
        ListenAddress::Tcp(address) => address.ip().is_loopback(),
        ListenAddress::Unix(_) => true,
        ListenAddress::Systemd(_) => false,
    };
    let is_behind_one = config.all_listeners().iter().all(is_local) && config.trusted_proxies.is_empty();
    let message = "missing: only this machine can connect, so a proxy is probably in front, and all clients have its address; name \
                   it, such as `trusted_proxies = [\"127.0.0.1\"]`";
    is_behind_one.then(|| config.locator.problem("trusted_proxies", message))
}

/// Whether other machines can connect.
fn is_public(listener: &ListenerConfig) -> bool {
    match listener.address {
        ListenAddress::Tcp(address) => !address.ip().is_loopback(),
        _ => false,
    }
}

fn readable_requests(config: &Config) -> Option<Problem> {
    let api = config.api.as_ref().map(ApiConfig::listener);
    api.filter(|api| is_public(api) && api.tls.is_empty())?;
    let message = "other machines can connect without TLS, so the tokens can be read on the way; add `[api.tls.NAME]`, or listen \
                   on 127.0.0.1";
    Some(config.locator.problem("api.listen", message))
}

fn readable_traffic(config: &Config) -> Option<Problem> {
    let listeners = config.all_listeners();
    let (key, _) = listeners
        .iter()
        .find(|(_, listener)| is_public(listener) && listener.tls.is_empty() && !listener.proxy_protocol)?;
    let message = "other machines can connect without TLS, so what is sent can be read and changed on the way; add \
                   `[listeners.NAME.tls.NAME]`, or listen on 127.0.0.1 behind a proxy";
    Some(config.locator.problem(key, message))
}

fn few_files(config: &Config) -> Option<Problem> {
    let most = config.limits.max_connections;
    let allowed = open_files::shortage(most)?;
    let message = format!(
        "{most} connections need more files than the {allowed} that this process may have open; raise the limit \
         (`LimitNOFILE` in a systemd unit), or lower the key"
    );
    Some(config.locator.problem("limits.max_connections", message))
}
