//! `hassock.toml`: one format for an app's folder and for a daemon with many apps.
//!
//! [`Config::load`] reads a file and reports everything that is wrong with it at once, each problem with file,
//! line, key and what would be accepted. The types below are the format: what they do not name is refused. Their doc
//! comments are the configuration reference of the book, which `reference` writes.

mod admin;
mod api;
mod app;
mod auth;
mod cache;
mod check_auth;
mod check_listeners;
mod cluster;
mod compression;
mod conceal;
mod database;
mod effective;
mod limits;
mod listen;
mod load;
mod log;
mod outbox;
mod paths;
mod problem;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod proxies;
mod record;
#[cfg(test)]
mod reference;
mod scalars;
mod share;
mod sharer;
mod swap;
#[cfg(test)]
mod tests;
mod topic;
mod traces;
mod validate;
mod written;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use admin::{AdminAddress, AdminConfig};
pub use api::{ApiConfig, ApiTokenConfig, AppsOfAToken, Scope};
pub use app::{AppConfig, Grant};
pub use auth::{Audience, AuthConfig, NotAPlace, TokenAlgorithm, TokenPlace};
pub use cache::CacheConfig;
pub use cluster::{ClusterConfig, ClusterUrls};
pub use compression::CompressionConfig;
pub use database::DatabaseConfig;
pub use effective::Entry;
pub use limits::{AppLimits, HostLimits};
pub use listen::{
    CertificateConfig, ListenAddress, ListenAddresses, ListenerConfig, NotAnAddress, SocketMode, listen_address,
};
pub use load::ConfigError;
pub use log::{LogConfig, LogFormat, LogLevel};
pub(crate) use outbox::MAX_OUTBOX_BATCH;
pub use outbox::OutboxConfig;
pub use paths::Paths;
pub use problem::{Locator, Problem, Problems};
pub use proxies::{ForwardedHeader, NotAProxy, Proxy};
pub use record::RecordConfig;
pub(crate) use record::SECRET_PARAMETERS;
pub use scalars::{Duration, Secret, Setting, Size, Url};
pub use share::{NotAShare, Share};
pub use sharer::{Place, Sharer};
pub use swap::{RollbackConfig, SwapPolicy};
pub use topic::TopicConfig;
pub use traces::{NotASample, Sample, TracesConfig};

/// A whole configuration, valid in itself: what it refers to (files, databases) has not been looked at.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where clients connect: an address and a port, the path of a Unix socket, such as `unix:web.sock`, the name of a socket
    /// that systemd has opened, such as `systemd:web`, or a list of these. `localhost:8080`, `:8080` and `8080` are addresses of
    /// this machine only; `0.0.0.0:8080` can be reached from others. Port 0 takes any free one. Without the key:
    /// `127.0.0.1:8080`, or nothing if there are `[listeners.NAME]`.
    pub listen: Option<ListenAddresses>,
    /// Addresses and networks of proxies, such as `["127.0.0.1", "10.0.0.0/8"]`, or `"unix"` for Unix sockets. Only what these say
    /// about a client counts: its address, and whether it used TLS. Without the key: nobody's word counts.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub trusted_proxies: Vec<Proxy>,
    /// The header fields in which they say it: `X-Forwarded-For` and `X-Forwarded-Proto`, or `Forwarded` (RFC 7239). Fields of the
    /// other kind are ignored, because a proxy passes on what a client wrote into them.
    pub forwarded_header: ForwardedHeader,
    /// The names or addresses under which clients reach the host, such as `["chat.example.org"]`, without a port. A request
    /// for another one gets 421. Without the key: any. A website can let its own name refer to this host, and its pages
    /// would then count as the host's own. `hassock dev` accepts addresses and `localhost` too, and no other names without the
    /// key.
    pub hosts: Option<Vec<String>>,
    /// Deploy a module when its file changes. `hassock dev` does so by building it.
    pub watch: bool,
    /// Serve the test page at `/`. `hassock dev` does so in any case.
    pub test_page: bool,
    /// Serve the client library as `/hassock.js`, for pages of any origin. It has nothing to do with the apps and their data, and
    /// a page that has the library of its host has one that fits.
    pub client_library: bool,
    /// Answer `GET /live` and `GET /ready` on the listeners of clients too, for a load balancer that cannot reach the admin
    /// listener.
    pub public_health: bool,
    /// What the host logs, and in which form.
    pub log: LogConfig,
    /// Where compiled modules are kept between runs.
    pub cache: CacheConfig,
    /// The listener for operators. Without this table there is none.
    pub admin: Option<AdminConfig>,
    /// The listener for other programs. Without this table there is none.
    pub api: Option<ApiConfig>,
    /// Where traces are sent. Without this table there are none.
    pub traces: Option<TracesConfig>,
    /// The hosts that serve the same apps together. Without this table the host is alone.
    pub cluster: Option<ClusterConfig>,
    /// Further listeners, by name.
    pub listeners: BTreeMap<String, ListenerConfig>,
    /// Bounds of the whole host.
    pub limits: HostLimits,
    /// The databases that apps can be granted, by name.
    pub databases: BTreeMap<String, DatabaseConfig>,
    /// The apps, by name.
    pub apps: BTreeMap<String, AppConfig>,
    /// The file that it was read from and where its keys are: for messages, and for relative paths.
    #[serde(skip)]
    pub locator: Locator,
    /// What a command decides instead of the file.
    #[serde(skip)]
    pub overrides: Overrides,
}

/// What a command decides, whatever the file says, also when the file is read again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// Instead of the key `listen`.
    pub listen: Option<SocketAddr>,
    /// Instead of the key `test_page`.
    pub test_page: Option<bool>,
    /// Instead of the key `watch`.
    pub watch: Option<bool>,
    /// Which origins may connect beside those that an app's `origins` names.
    pub more_origins: MoreOrigins,
    /// How modules are compiled.
    pub compile: CompileMode,
    /// Which files are served beside the apps.
    pub public: PublicFiles,
}

/// How modules are compiled to machine code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CompileMode {
    /// For code that runs fast.
    #[default]
    Optimized,
    /// Several times as fast, for code that runs a few times slower: for a module that is under development.
    Quick,
}

/// Origins that may connect to every app. It has no key, because only a command for developers needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MoreOrigins {
    /// None.
    #[default]
    None,
    /// Pages that this machine serves, on any port: the front end has a development server of its own.
    Loopback,
}

/// Files that are served beside the apps. It has no key: in production, a web server or a CDN serves them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PublicFiles {
    /// None.
    #[default]
    None,
    /// Those in the folder `public` beside the config file.
    BesideConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: None,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            hosts: None,
            watch: true,
            test_page: false,
            client_library: true,
            public_health: false,
            log: LogConfig::default(),
            cache: CacheConfig::default(),
            admin: None,
            api: None,
            traces: None,
            cluster: None,
            listeners: BTreeMap::new(),
            limits: HostLimits::default(),
            databases: BTreeMap::new(),
            apps: BTreeMap::new(),
            locator: Locator::default(),
            overrides: Overrides::default(),
        }
    }
}
