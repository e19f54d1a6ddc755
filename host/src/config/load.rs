//! From a file to a [`Config`], or to the list of everything that is wrong with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{Config, ListenAddresses, ListenerConfig, Locator, Overrides, Problems, PublicFiles, conceal, validate};

/// More problems than a person reads at once.
const MAX_PROBLEMS: usize = 50;

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot read the config: {source}; name a hassock.toml", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has problems.
    #[error("{0}")]
    Wrong(#[from] Problems),
}

impl Config {
    /// Read and validate a config file.
    ///
    /// # Errors
    /// All problems of the file at once, so that a user corrects them in one go.
    pub fn load(file: &Path) -> Result<Config, ConfigError> {
        Ok(Self::parse(file, &read(file)?)?)
    }

    /// Read the same file again, with what the command decided instead of it.
    ///
    /// # Errors
    /// All problems of the file at once.
    pub fn read_again(&self) -> Result<Config, ConfigError> {
        Ok(Self::load(self.locator.file())?.overridden(self.overrides))
    }

    /// All listeners, each with the key of its address.
    pub fn all_listeners(&self) -> Vec<(String, ListenerConfig)> {
        let default = || Some(ListenAddresses::default()).filter(|_| self.listeners.is_empty());
        let plain = self.listen.clone().or_else(default).unwrap_or(ListenAddresses(Vec::new()));
        let plain = plain.0.into_iter().map(|address| ("listen".to_owned(), ListenerConfig::plain(address)));
        let named = self.listeners.iter().map(|(name, config)| (format!("listeners.{name}.address"), config.clone()));
        plain.chain(named).collect()
    }

    /// The folder whose files are served beside the apps, if there is one. It need not exist.
    pub(crate) fn public_folder(&self) -> Option<PathBuf> {
        match self.overrides.public {
            PublicFiles::None => None,
            PublicFiles::BesideConfig => Some(self.locator.folder().join("public")),
        }
    }

    /// Replace what a command decides, whatever the file says.
    #[must_use]
    pub fn overridden(mut self, overrides: Overrides) -> Self {
        if let Some(address) = overrides.listen {
            self.listen = Some(ListenAddresses(vec![address.into()]));
            self.listeners.clear();
        }
        self.test_page = overrides.test_page.unwrap_or(self.test_page);
        self.watch = overrides.watch.unwrap_or(self.watch);
        self.overrides = overrides;
        self
    }

    /// Read and validate a text; `file` is for messages and relative paths.
    ///
    /// # Errors
    /// All problems of the text at once.
    pub fn parse(file: &Path, text: &str) -> Result<Config, Problems> {
        match inspect(file, text) {
            (Some(config), problems) if problems.0.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// All problems of a file, and the config with those apps and databases that have none: they can be checked further.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn inspect(file: &Path) -> Result<(Option<Config>, Problems), ConfigError> {
        let (config, problems) = inspect(file, &read(file)?);
        let is_sound = |key: String| {
            let inside = format!("{key}.");
            !problems.0.iter().any(|problem| problem.key == key || problem.key.starts_with(&inside))
        };
        let sound = config.map(|mut config| {
            config.apps.retain(|name, _| is_sound(format!("apps.{name}")));
            config.databases.retain(|name, _| conceal::is_plain(name) && is_sound(format!("databases.{name}")));
            config
        });
        Ok((sound, problems))
    }
}

pub(super) fn read(file: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(file).map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })
}

fn inspect(file: &Path, text: &str) -> (Option<Config>, Problems) {
    let locator = Locator::new(file, text);
    let (config, mut problems) = deserialize(text, &locator);
    let config = config.map(|mut config: Config| {
        validate::validate(&config, &locator, &mut problems);
        config.locator = locator;
        config
    });
    problems.0.sort_by_key(|problem| problem.line);
    (config, problems)
}

/// Deserialize; where a key is refused, note the problem, blank the line and go on: serde stops at the first error, but
/// a user wants to see all.
pub(super) fn deserialize<T: DeserializeOwned>(text: &str, locator: &Locator) -> (Option<T>, Problems) {
    let mut text = text.to_owned();
    let mut problems = Problems::default();
    loop {
        let error = match toml::from_str(&text) {
            Ok(config) => return (Some(config), problems),
            Err(error) => error,
        };
        problems.0.push(locator.problem_at(error.span(), &friendly(error.message())));
        let blanked = error.span().and_then(|span| blank_line(&text, span));
        match blanked {
            Some(blanked) if problems.0.len() < MAX_PROBLEMS => text = blanked,
            _ => return (None, problems),
        }
    }
}

fn friendly(message: &str) -> String {
    message.replace("unknown field", "unknown key").replace("unknown variant", "unknown value").replace('\n', " ")
}

/// The text with the line that holds `span` emptied, if the span is on one `key = value` line.
fn blank_line(text: &str, span: std::ops::Range<usize>) -> Option<String> {
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let end = text.get(start..)?.find('\n').map_or(text.len(), |newline| start + newline);
    let line = text.get(start..end)?;
    let one_pair = span.end <= end && line.contains('=') && !line.trim_start().starts_with('[');
    one_pair.then(|| {
        let blank = " ".repeat(line.len());
        [text.get(..start).unwrap_or_default(), &blank, text.get(end..).unwrap_or_default()].concat()
    })
}
