//! `[admin]`: the second listener, for operators.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::load::{ConfigError, deserialize, read};
use super::scalars::Plain;
use super::{Duration, ListenAddress, Locator, Size, listen_address, validate};

/// The address when `[admin]` names none.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// What an address of a Unix socket begins with.
const UNIX: &str = "unix:";

/// The listener for operators: `hassock module`, `record`, `publish` and `tail` use it, and it serves health and metrics. Without
/// this table there is none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// An address of this machine, or the path of a Unix socket, such as `unix:admin.sock`, relative to the config file.
    /// Anyone with the token can replace the code that runs here, so other machines cannot reach it.
    pub listen: AdminAddress,
    /// The file with the secret that requests must carry, relative to the config file. The host creates it if it is
    /// missing.
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub token_file: PathBuf,
    /// Connections at the same time; more wait in the kernel's queue. Operators and metrics collectors are few.
    pub max_connections: usize,
    /// How long a client may take to send the head of its request, and to take the response: a silent one must not
    /// hold a connection.
    pub request_timeout: Duration,
    /// How long a client may take to send a module, for the same reason. Modules are received one after the other.
    pub upload_timeout: Duration,
    /// Bytes of a module that is sent: it is in memory until it is compiled.
    pub module_bytes: Size,
    /// Bytes of a recording that wait for its reader. Traffic never waits for a recording: if its reader falls behind
    /// by more than this, the recording ends.
    pub record_bytes: Size,
    /// Bytes of published messages that wait for the reader of a tail, for the same reason.
    pub tail_bytes: Size,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: AdminAddress::Tcp(DEFAULT_LISTEN),
            token_file: PathBuf::from("hassock.token"),
            max_connections: 16,
            request_timeout: Duration::from_secs(10),
            upload_timeout: Duration::from_secs(300),
            module_bytes: Size::mebibytes(64),
            record_bytes: Size::mebibytes(4),
            tail_bytes: Size::mebibytes(4),
        }
    }
}

impl AdminConfig {
    /// Read the table `[admin]` of a config file and nothing else: a command that talks to a running host
    /// needs neither its databases nor the variables with their passwords.
    ///
    /// # Errors
    /// All problems of this table at once.
    pub fn load(file: &Path) -> Result<(Option<Self>, Locator), ConfigError> {
        #[derive(Deserialize)]
        struct OnlyAdmin {
            admin: Option<AdminConfig>,
        }
        let text = read(file)?;
        let locator = Locator::new(file, &text);
        let (config, mut problems) = deserialize::<OnlyAdmin>(&text, &locator);
        let admin = config.and_then(|config| config.admin);
        if let Some(admin) = &admin {
            validate::admin(admin, &locator, &mut problems);
        }
        if problems.0.is_empty() { Ok((admin, locator)) } else { Err(problems.into()) }
    }
}

/// Where the admin listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// An address and a port; of this machine only, or validation refuses it.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl AdminAddress {
    /// The same with its path made absolute; the config's paths are relative to `folder`.
    pub fn within(&self, folder: &Path) -> Self {
        match self {
            Self::Tcp(address) => Self::Tcp(*address),
            Self::Unix(path) => {
                let path = folder.join(path);
                Self::Unix(std::path::absolute(&path).unwrap_or(path))
            }
        }
    }
}

impl From<&AdminAddress> for ListenAddress {
    fn from(address: &AdminAddress) -> Self {
        match address {
            AdminAddress::Tcp(address) => Self::Tcp(*address),
            AdminAddress::Unix(path) => Self::Unix(path.clone()),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for AdminAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Plain::deserialize(deserializer)?.0;
        match text.strip_prefix(UNIX) {
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into())),
            _ => listen_address(&text).map(Self::Tcp).map_err(|_| {
                de::Error::custom(format!(
                    "`{text}` is not an address; write it as \"127.0.0.1:9090\" or \"unix:admin.sock\""
                ))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const APP: &str = "\n[databases.main]\nurl = \"mysql://u:${HASSOCK_NO_SUCH_VARIABLE}@h/d\"\n";

    fn load(text: &str) -> Result<(Option<AdminConfig>, Locator), ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hassock.toml");
        std::fs::write(&file, text).unwrap();
        AdminConfig::load(&file)
    }

    #[test]
    fn the_table_is_read_without_the_variables_of_the_others() {
        let (admin, _) = load(&format!("[admin]\nlisten = \"unix:a.sock\"{APP}")).unwrap();
        let admin = admin.unwrap();
        assert_eq!(admin.listen, AdminAddress::Unix("a.sock".into()));
        assert_eq!(admin.listen.within(Path::new("/etc/hassock")).to_string(), "unix:/etc/hassock/a.sock");
        assert_eq!(admin.token_file, Path::new("hassock.token"));
        assert!(load(APP).unwrap().0.is_none());
    }

    #[test]
    fn problems_have_line_and_key() {
        for (line, expected) in [
            ("listen = \"nowhere\"", ":2: admin.listen: `nowhere` is not an address; write it as \"127.0.0.1:9090\""),
            ("listen = \"unix:\"", ":2: admin.listen: `unix:` is not an address"),
            ("listen = \"0.0.0.0:9090\"", ":2: admin.listen: `0.0.0.0:9090` can be reached from other machines"),
            ("tokenfile = \"x\"", ":2: admin.tokenfile: unknown key `tokenfile`, expected one of `listen`"),
            ("token_file = \"\"", ":2: admin.token_file: missing"),
            ("max_connections = 0", ":2: admin.max_connections: must be at least 1"),
            ("module_bytes = 0", ":2: admin.module_bytes: must be at least 1"),
            ("record_bytes = 0", ":2: admin.record_bytes: must be at least 1"),
            ("tail_bytes = 0", ":2: admin.tail_bytes: must be at least 1"),
            ("request_timeout = \"1ms\"", ":2: admin.request_timeout: must be at least 10ms"),
            ("upload_timeout = \"1ms\"", ":2: admin.upload_timeout: must be at least 10ms"),
        ] {
            let text = format!("[admin]\n{line}\n");
            let error = load(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "missing {expected:?} in {error}");
            let error = Config::parse(Path::new("hassock.toml"), &text).unwrap_err().to_string();
            assert!(error.contains(expected), "missing {expected:?} in {error}");
        }
        assert!(load("[admin]\nlisten = \"[::1]:0\"\n").is_ok());
    }
    #[test]
    fn the_two_listeners_have_addresses_of_their_own() {
        let is_taken = |listen: &str, admin: &str| {
            // There is no app either.
            let text = format!("listen = \"{listen}\"\n[admin]\nlisten = \"{admin}\"\n");
            let problems = Config::parse(Path::new("hassock.toml"), &text).unwrap_err().to_string();
            problems.contains(&format!(":3: admin.listen: `{admin}` is taken by `listen`; use another one"))
        };
        assert!(is_taken("127.0.0.1:9000", "127.0.0.1:9000"));
        assert!(is_taken("0.0.0.0:9000", "127.0.0.1:9000"));
        assert!(!is_taken("127.0.0.2:9000", "127.0.0.1:9000"));
        assert!(!is_taken("127.0.0.1:9001", "127.0.0.1:9000"));
        assert!(!is_taken("127.0.0.1:0", "127.0.0.1:0"));
    }
}
