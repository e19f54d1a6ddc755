//! `[api]`: the listener for other programs, which publish with it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::scalars::one_or_many;
use super::validate::{Report, at_least_one, long_enough, quoted};
use super::{CertificateConfig, Config, Duration, ListenAddress, ListenerConfig, Secret, Size, SocketMode};

/// The address when `[api]` names none.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

/// What stands for all apps.
const ALL: &str = "*";

/// The listener for other programs: they publish to topics, send to connections and close them, with HTTP and JSON. Without
/// this table there is none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Where it is: one address, written as at the top of the file. Use TLS if it can be reached from other machines: requests
    /// carry a secret.
    pub listen: ListenAddress,
    /// The permissions of a Unix socket, such as `"0660"`. Without the key: `"0666"`, because each request needs a token.
    pub mode: Option<SocketMode>,
    /// Connections at the same time; more wait in the kernel's queue. A backend has one for each of its processes, which it keeps
    /// open.
    pub max_connections: usize,
    /// How long a client may take to send the body of a request, and to take bytes of the response: a silent one must not
    /// hold a connection.
    pub request_timeout: Duration,
    /// How long a connection may wait for the head of its next request. It is cheap, so that a backend need not connect again
    /// for each message, but its place is one of `max_connections`.
    pub idle_timeout: Duration,
    /// Bytes of the body of a request, which are in memory until it is carried out. A message in base64 takes a third more
    /// than its bytes.
    pub body_bytes: Size,
    /// The commands of a batch, and the topics of a broadcast: each of them may reach all connections of its app.
    pub batch_commands: usize,
    /// The topics, messages or members that one response lists. A client asks for the next ones with another request.
    pub page_items: usize,
    /// The certificates, by names that you choose. With at least one, the listener speaks TLS.
    pub tls: BTreeMap<String, CertificateConfig>,
    /// Who may use it, by names that you choose.
    pub tokens: BTreeMap<String, ApiTokenConfig>,
}

/// A secret that requests carry as `Authorization: Bearer TOKEN`, and what it allows. The name is in the log. A reload of the
/// config changes tokens; to replace one, let the old and the new one exist side by side for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiTokenConfig {
    /// The secret: 16 characters or more, such as `"${SHOP_TOKEN}"`, which is an environment variable. Without the key:
    /// `token_file` has it.
    #[serde(default)]
    pub token: Option<Secret>,
    /// A file with the secret, relative to the config file. It must belong to the host's user and have mode 0600. Without the
    /// key: `token` has it.
    #[serde(default)]
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub token_file: Option<PathBuf>,
    /// The apps that it is for, such as `["chat"]`, or `"*"` for all. Required.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub apps: AppsOfAToken,
    /// What it allows in them: any of `publish`, `send`, `close`, `topics`, `history` and `presence`. Required.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub scopes: Vec<Scope>,
}

/// The apps that a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AppsOfAToken(pub Vec<String>);

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Publish to topics.
    Publish,
    /// Send to connections.
    Send,
    /// Close connections.
    Close,
    /// See which topics there are, and how many subscribers they have.
    Topics,
    /// Read messages that were published before.
    History,
    /// See who is subscribed to a topic, and what the module tells others about them.
    Presence,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN.into(),
            mode: None,
            max_connections: 256,
            request_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_bytes: Size::mebibytes(2),
            batch_commands: 1000,
            page_items: 1000,
            tls: BTreeMap::new(),
            tokens: BTreeMap::new(),
        }
    }
}

impl ApiConfig {
    /// Its socket, as those of clients are described.
    pub fn listener(&self) -> ListenerConfig {
        ListenerConfig { mode: self.mode, tls: self.tls.clone(), ..ListenerConfig::plain(self.listen.clone()) }
    }

    /// All of it but the tokens, which a reload of the config may change.
    pub fn without_tokens(&self) -> Self {
        Self { tokens: BTreeMap::new(), ..self.clone() }
    }
}

impl AppsOfAToken {
    /// Whether an app is one of them, or would be if it existed.
    pub fn include(&self, app: &str) -> bool {
        self.0.iter().any(|name| name == ALL || name == app)
    }
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Publish, Self::Send, Self::Close, Self::Topics, Self::History, Self::Presence];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Send => "send",
            Self::Close => "close",
            Self::Topics => "topics",
            Self::History => "history",
            Self::Presence => "presence",
        }
    }
}

impl<'de> Deserialize<'de> for AppsOfAToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer, "a list of apps, or \"*\" for all").map(Self)
    }
}

/// Add every problem of the table, but those of its address.
pub(super) fn validate(report: &mut Report<'_>, config: &Config, api: &ApiConfig) {
    for (key, value) in [
        ("max_connections", api.max_connections),
        ("body_bytes", api.body_bytes.bytes()),
        ("batch_commands", api.batch_commands),
        ("page_items", api.page_items),
    ] {
        at_least_one(report, &format!("api.{key}"), value);
    }
    long_enough(report, "api.request_timeout", api.request_timeout);
    long_enough(report, "api.idle_timeout", api.idle_timeout);
    for (name, token) in &api.tokens {
        let key = format!("api.tokens.{name}");
        one_source(report, &key, token);
        if token.apps.0.is_empty() {
            report.add(
                &format!("{key}.apps"),
                "is empty, so that the token allows nothing; name apps, or write \"*\" for all",
            );
        }
        let known = |app: &String| app == ALL || config.apps.contains_key(app);
        for app in token.apps.0.iter().filter(|app| !known(app)) {
            let message = format!("there is no app `{app}`; the config has {}", quoted(config.apps.keys()));
            report.add(&format!("{key}.apps"), message);
        }
        if token.scopes.is_empty() {
            let all = quoted(Scope::ALL.map(Scope::name));
            report.add(
                &format!("{key}.scopes"),
                format!("is empty, so that the token allows nothing; name any of {all}"),
            );
        }
    }
}

fn one_source(report: &mut Report<'_>, key: &str, token: &ApiTokenConfig) {
    match (&token.token, &token.token_file) {
        (None, None) => {
            report.add(&format!("{key}.token"), "missing; give `token = \"${VARIABLE}\"` or `token_file = \"FILE\"`");
        }
        (Some(_), Some(_)) => report.add(&format!("{key}.token_file"), "and `token` exclude each other"),
        (None, Some(file)) if file.as_os_str().is_empty() => {
            report.add(&format!("{key}.token_file"), "is empty; name a file");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const APP: &str = "[apps.chat]\npath = \"/chat\"\nmodule = \"chat.wasm\"\n";

    fn parse(text: &str) -> Result<ApiConfig, String> {
        let config = Config::parse(Path::new("hassock.toml"), &format!("{text}\n{APP}"));
        config.map(|config| config.api.unwrap()).map_err(|problems| problems.to_string())
    }

    fn token(keys: &str) -> Result<ApiConfig, String> {
        parse(&format!("[api]\n[api.tokens.shop]\n{keys}"))
    }

    #[test]
    fn a_token_says_what_it_is_for() {
        let api = token("token = \"0123456789abcdef\"\napps = [\"chat\"]\nscopes = [\"publish\", \"topics\"]").unwrap();
        let shop = &api.tokens["shop"];
        assert!(shop.apps.include("chat") && !shop.apps.include("other"));
        assert_eq!(shop.scopes, [Scope::Publish, Scope::Topics]);
        assert!(!format!("{api:?}").contains("0123456789abcdef"));
        assert_eq!((api.listen.to_string(), api.listener().tls.len()), ("127.0.0.1:8081".to_owned(), 0));
        let all =
            token("token_file = \"shop.token\"\napps = \"*\"\nscopes = [\"send\", \"close\", \"history\"]").unwrap();
        assert!(all.tokens["shop"].apps.include("any"));
        assert!(all.without_tokens().tokens.is_empty());
        assert_eq!(Scope::ALL.map(Scope::name).len(), 6);
    }

    #[test]
    fn problems_have_line_and_key() {
        let rest = "apps = \"*\"\nscopes = [\"publish\"]\n";
        for (keys, expected) in [
            (rest, ":2: api.tokens.shop.token: missing; give `token = "),
            (
                "token = \"a\"\ntoken_file = \"b\"\napps = \"*\"\nscopes = [\"send\"]",
                ":4: api.tokens.shop.token_file: and `token`",
            ),
            ("token_file = \"\"\napps = \"*\"\nscopes = [\"send\"]", ":3: api.tokens.shop.token_file: is empty"),
            ("token = \"a\"\napps = []\nscopes = [\"send\"]", ":4: api.tokens.shop.apps: is empty"),
            (
                "token = \"a\"\napps = [\"cat\"]\nscopes = [\"send\"]",
                ":4: api.tokens.shop.apps: there is no app `cat`; the config has `chat`",
            ),
            ("token = \"a\"\napps = \"*\"\nscopes = []", ":5: api.tokens.shop.scopes: is empty"),
            (
                "token = \"a\"\napps = \"*\"\nscopes = [\"all\"]",
                "unknown value `all`, expected one of `publish`, `send`",
            ),
            (
                "token = \"${HASSOCK_NO_SUCH_VARIABLE}\"\napps = \"*\"\nscopes = [\"send\"]",
                "`HASSOCK_NO_SUCH_VARIABLE` is not set",
            ),
            ("token = \"a\"\nscopes = [\"send\"]", "missing field `apps`"),
        ] {
            let problems = token(keys).unwrap_err();
            assert!(problems.contains(expected), "missing {expected:?} in {problems}");
        }
        for (line, expected) in [
            ("max_connections = 0", ":2: api.max_connections: must be at least 1"),
            ("body_bytes = 0", ":2: api.body_bytes: must be at least 1"),
            ("batch_commands = 0", ":2: api.batch_commands: must be at least 1"),
            ("page_items = 0", ":2: api.page_items: must be at least 1"),
            ("request_timeout = \"1ms\"", ":2: api.request_timeout: must be at least 10ms"),
            ("idle_timeout = \"1ms\"", ":2: api.idle_timeout: must be at least 10ms"),
            ("listen = \"nowhere\"", ":2: api.listen: `nowhere` is not an address"),
            ("listen = \"127.0.0.1:8080\"", ":2: api.listen: `127.0.0.1:8080` is taken by `listen`"),
            ("mode = \"0600\"", ":2: api.mode: is only for `unix:`"),
            ("tls.a = { certificate = \"\", key = \"k\" }", ":2: api.tls.a.certificate: is empty"),
            ("listen = 9090\n[admin]", ":2: api.listen: `127.0.0.1:9090` is taken by `admin.listen`"),
        ] {
            let problems = parse(&format!("[api]\n{line}")).unwrap_err();
            assert!(problems.contains(expected), "missing {expected:?} in {problems}");
        }
    }

    #[test]
    fn no_problem_shows_a_secret() {
        for keys in [
            "token = [\"hunter2hunter2hun\"]",
            "token_file = [\"hunter2hunter2hun\"]",
            "apps = { a = \"hunter2hunter2hun\" }",
        ] {
            let problems = token(keys).unwrap_err();
            assert!(!problems.contains("hunter2"), "{problems}");
        }
    }
}
