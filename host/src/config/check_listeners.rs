//! What is wrong with the listeners of a config, and with the proxies in front of them.

use std::net::SocketAddr;

use super::validate::Report;
use super::{Config, ListenAddress, ListenerConfig, Proxy};

/// Add every problem of the listeners.
pub(super) fn check(report: &mut Report<'_>, config: &Config) {
    if config.listen.as_ref().is_some_and(|listen| listen.0.is_empty()) {
        report.add("listen", "is empty; name an address, or leave the key out");
    }
    let listeners: Vec<_> = config
        .all_listeners()
        .into_iter()
        .map(|(key, listener)| {
            let address = listener.address.within(config.locator.folder());
            (key, ListenerConfig { address, ..listener })
        })
        .collect();
    for (place, (key, listener)) in listeners.iter().enumerate() {
        let address = &listener.address;
        if let Some((other, _)) = listeners.iter().take(place).find(|(_, other)| overlap(address, &other.address)) {
            report.add(key, format!("`{address}` is taken by `{other}`; use another one"));
        }
        details(report, key, listener);
        if listener.proxy_protocol && !config.trusted_proxies.iter().any(|proxy| may_come(proxy, address)) {
            report.add(
                &beside(key, "proxy_protocol"),
                "needs a proxy in `trusted_proxies` that can connect there: anyone else could write any address into the header",
            );
        }
    }
    let mut taken: Vec<_> = listeners.into_iter().map(|(key, listener)| (key, listener.address)).collect();
    let admin = config.admin.as_ref().map(|admin| ("admin.listen", ListenAddress::from(&admin.listen)));
    let api = config.api.as_ref().map(|api| ("api.listen", api.listen.clone()));
    for (key, address) in admin.into_iter().chain(api) {
        let address = address.within(config.locator.folder());
        if let Some((other, _)) = taken.iter().find(|(_, other)| overlap(&address, other)) {
            report.add(key, format!("`{address}` is taken by `{other}`; use another one"));
        }
        taken.push((key.to_owned(), address));
    }
    if let Some(api) = &config.api {
        details(report, "api.address", &api.listener());
    }
}

/// The key of something else of a listener than its address.
fn beside(key: &str, other: &str) -> String {
    format!("{}{other}", key.strip_suffix("address").unwrap_or_default())
}

/// Whether a proxy may connect to an address. Nobody knows what a socket of systemd is.
fn may_come(proxy: &Proxy, address: &ListenAddress) -> bool {
    match address {
        ListenAddress::Tcp(_) => matches!(proxy, Proxy::Network(_)),
        ListenAddress::Unix(_) => *proxy == Proxy::Unix,
        ListenAddress::Systemd(_) => true,
    }
}

/// What a listener has beside its address.
fn details(report: &mut Report<'_>, key: &str, listener: &ListenerConfig) {
    for (name, certificate) in &listener.tls {
        for (what, file) in [("certificate", &certificate.certificate), ("key", &certificate.key)] {
            if file.as_os_str().is_empty() {
                report.add(&beside(key, &format!("tls.{name}.{what}")), "is empty; name a file");
            }
        }
    }
    if listener.mode.is_some() && !matches!(listener.address, ListenAddress::Unix(_)) {
        report.add(&beside(key, "mode"), "is only for `unix:`");
    }
}

fn overlap(address: &ListenAddress, other: &ListenAddress) -> bool {
    match (address, other) {
        (ListenAddress::Tcp(address), ListenAddress::Tcp(other)) => is_taken_by(*address, *other),
        _ => address == other,
    }
}

/// Whether a program that listens on `other` cannot listen on `address` as well. The system chooses a free port for port 0.
fn is_taken_by(address: SocketAddr, other: SocketAddr) -> bool {
    let overlap = address.ip() == other.ip() || address.ip().is_unspecified() || other.ip().is_unspecified();
    address.port() != 0 && address.port() == other.port() && overlap
}
