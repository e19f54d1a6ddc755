//! What is wrong with the listeners of a config, and with the proxies in front of them.

use std::net::SocketAddr;

use super::validate::Report;
use super::{AdminAddress, Config, ListenAddress, ListenerConfig};

/// Add every problem of the listeners.
pub(super) fn check(report: &mut Report<'_>, config: &Config) {
    if config.listen.as_ref().is_some_and(|listen| listen.0.is_empty()) {
        report.add("listen", "is empty; name an address, or leave the key out");
    }
    let listeners = config.all_listeners();
    for (place, (key, listener)) in listeners.iter().enumerate() {
        let address = &listener.address;
        if let Some((other, _)) = listeners.iter().take(place).find(|(_, other)| overlap(address, &other.address)) {
            report.add(key, format!("`{address}` is taken by `{other}`; use another one"));
        }
        files(report, key, listener);
        if listener.proxy_protocol && config.trusted_proxies.is_empty() {
            report.add(
                &key.replace("address", "proxy_protocol"),
                "needs `trusted_proxies`: anyone else could write any address into the header",
            );
        }
    }
    if let Some(admin) = &config.admin
        && let AdminAddress::Tcp(address) = admin.listen
        && let Some((other, _)) = listeners.iter().find(|(_, other)| overlap(&address.into(), &other.address))
    {
        report.add("admin.listen", format!("`{address}` is taken by `{other}`; use another port"));
    }
}

fn files(report: &mut Report<'_>, key: &str, listener: &ListenerConfig) {
    for (name, certificate) in &listener.tls {
        for (what, file) in [("certificate", &certificate.certificate), ("key", &certificate.key)] {
            if file.as_os_str().is_empty() {
                report.add(&key.replace("address", &format!("tls.{name}.{what}")), "is empty; name a file");
            }
        }
    }
}

fn overlap(address: &ListenAddress, other: &ListenAddress) -> bool {
    match (address, other) {
        (ListenAddress::Tcp(address), ListenAddress::Tcp(other)) => is_taken_by(*address, *other),
        _ => address == other,
    }
}

fn is_taken_by(address: SocketAddr, other: SocketAddr) -> bool {
    let overlap = address.ip() == other.ip() || address.ip().is_unspecified() || other.ip().is_unspecified();
    address.port() != 0 && address.port() == other.port() && overlap
}
