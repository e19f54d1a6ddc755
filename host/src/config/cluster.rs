//! `[cluster]`: hosts that serve the same apps together.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::scalars::one_or_many;
use super::validate::{Report, at_least_one, long_enough};
use super::{Duration, Secret, Size};

/// Hosts with the same `name` at the same servers of NATS are one cluster: what is published on one of them reaches the
/// subscribers of all. The servers need JetStream, which keeps the histories of topics. All hosts need the same apps with the
/// same `topics`. Without this table the host is alone, and needs no server.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// The addresses of servers of NATS, such as `"nats://10.0.0.1:4222"` or, with TLS, `"tls://nats.example.org"`: one, or a list
    /// of those of the same NATS cluster. Required.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub url: ClusterUrls,
    /// The name of the cluster: letters, digits, `-` and `_`. Several clusters may share servers of NATS.
    pub name: String,
    /// A user of NATS. Without the key: none, or the one that `nkey` or `credentials` are for.
    pub user: Option<String>,
    /// Its password, such as `"${NATS_PASSWORD}"`. Without the key: none.
    pub password: Option<Secret>,
    /// A token of NATS. Without the key: none.
    pub token: Option<Secret>,
    /// The seed of an NKEY. Without the key: none.
    pub nkey: Option<Secret>,
    /// A file with credentials of NATS (`.creds`), relative to the config file. Without the key: none.
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub credentials: Option<PathBuf>,
    /// A file in PEM with the certificates of the authorities that may have signed those of the servers, relative to the
    /// config file. Without the key: those of the system.
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub ca: Option<PathBuf>,
    /// On how many servers of NATS each history is kept: with 3 of 3 or more servers, one may fail.
    pub replicas: usize,
    /// Bytes that NATS keeps of the messages of one app, on each of these servers. The oldest go first.
    pub stream_bytes: Size,
    /// How long a host may take to reach NATS when it starts.
    pub connect_timeout: Duration,
    /// How long a message for a topic with a history may wait for NATS. It is not published after that: an old message would
    /// surprise those who get it.
    pub publish_timeout: Duration,
    /// Bytes of messages that wait for NATS, where each counts its payload and 64 bytes more. Publishing fails while there are
    /// more, so that an outage of NATS does not use up the memory of the host.
    pub queue_bytes: Size,
    /// Whether topics without a history go on on each host by itself while NATS is away. If not, publishing to them fails.
    pub alone_without_nats: bool,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            url: ClusterUrls::default(),
            name: "hassock".to_owned(),
            user: None,
            password: None,
            token: None,
            nkey: None,
            credentials: None,
            ca: None,
            replicas: 1,
            stream_bytes: Size::mebibytes(1024),
            connect_timeout: Duration::from_secs(10),
            publish_timeout: Duration::from_secs(30),
            queue_bytes: Size::mebibytes(16),
            alone_without_nats: true,
        }
    }
}

/// The value of `url`: one address or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClusterUrls(pub Vec<String>);

impl<'de> Deserialize<'de> for ClusterUrls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer, "an address or a list of addresses").map(Self)
    }
}

/// Add every problem of the table to `report`.
pub(super) fn validate(report: &mut Report<'_>, cluster: &ClusterConfig) {
    if cluster.url.0.is_empty() {
        report.add("cluster.url", "missing; name a server of NATS, as in `url = \"nats://127.0.0.1:4222\"`");
    }
    cluster.url.0.iter().for_each(|url| address(report, url));
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_name(&cluster.name) || cluster.name.len() > 64 {
        report.add("cluster.name", "has letters, digits, `-` and `_`, at most 64");
    }
    if cluster.user.is_some() != cluster.password.is_some() {
        report.add("cluster.user", "and `password` belong together");
    }
    let ways = [cluster.user.is_some(), cluster.token.is_some(), cluster.nkey.is_some(), cluster.credentials.is_some()];
    if ways.iter().filter(|given| **given).count() > 1 {
        report.add("cluster", "has several of `user`, `token`, `nkey` and `credentials`, which exclude each other");
    }
    if ![1, 3, 5].contains(&cluster.replicas) {
        report.add(
            "cluster.replicas",
            "must be 1, 3 or 5: an even number can lose no more servers than the one below it",
        );
    }
    at_least_one(report, "cluster.stream_bytes", cluster.stream_bytes.bytes());
    at_least_one(report, "cluster.queue_bytes", cluster.queue_bytes.bytes());
    long_enough(report, "cluster.connect_timeout", cluster.connect_timeout);
    long_enough(report, "cluster.publish_timeout", cluster.publish_timeout);
    // A message that is tried again for longer than NATS remembers its id could be published twice.
    if cluster.publish_timeout.get() > std::time::Duration::from_secs(120) {
        report.add("cluster.publish_timeout", "must be at most 2m: NATS remembers for so long which messages it has");
    }
}

fn address(report: &mut Report<'_>, url: &str) {
    let uri = url.parse::<http::Uri>().ok();
    let authority = uri.as_ref().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    match authority.and_then(http::Uri::scheme_str) {
        Some("nats" | "tls") => {}
        _ => {
            report.add("cluster.url", "is not an address of NATS; write it as \"nats://10.0.0.1:4222\" or \"tls://…\"")
        }
    }
    if url.contains('@') {
        report.add("cluster.url", "has a user or a password, which belong into `user` and `password`");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn problems(keys: &str) -> String {
        let text = format!("[apps.a]\npath = \"/a\"\nmodule = \"a.wasm\"\n[cluster]\n{keys}");
        Config::parse(Path::new("hassock.toml"), &text).map_or_else(|problems| problems.to_string(), |_| String::new())
    }

    #[test]
    fn a_cluster_needs_an_address() {
        assert_eq!(problems("url = \"nats://127.0.0.1:4222\""), "");
        assert_eq!(problems("url = [\"tls://a.example\", \"nats://[::1]:4222\"]\nname = \"site-1\"\nreplicas = 3"), "");
        assert_eq!(problems("url = \"nats://h\"\nuser = \"u\"\npassword = \"hunter2\""), "");
    }

    #[test]
    fn problems_have_line_and_key_and_no_secret() {
        let url = "url = \"nats://h\"";
        for (keys, expected) in [
            ("", ":4: cluster.url: missing; name a server of NATS"),
            ("url = \"http://h\"", ":5: cluster.url: is not an address of NATS"),
            ("url = \"4222\"", ":5: cluster.url: is not an address of NATS"),
            ("url = \"nats://u:hunter2@h\"", ":5: cluster.url: has a user or a password"),
            (&format!("{url}\nname = \"a b\""), ":6: cluster.name: has letters"),
            (&format!("{url}\nuser = \"u\""), ":6: cluster.user: and `password` belong together"),
            (&format!("{url}\ntoken = \"hunter2\"\nnkey = \"hunter2\""), ":4: cluster: has several of"),
            (&format!("{url}\nreplicas = 2"), ":6: cluster.replicas: must be 1, 3 or 5"),
            (&format!("{url}\nqueue_bytes = 0"), ":6: cluster.queue_bytes: must be at least 1"),
            (&format!("{url}\npublish_timeout = \"3m\""), ":6: cluster.publish_timeout: must be at most 2m"),
            (&format!("{url}\ntoken = 5"), ":6: cluster.token: "),
        ] {
            let found = problems(keys);
            assert!(found.contains(expected) && !found.contains("hunter2"), "missing {expected:?} in {found}");
        }
    }
}
