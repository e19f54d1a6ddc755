//! The app's own settings, `[apps.NAME.settings]` of the host's config. Every value is a text.
//!
//! ```no_run
//! # fn main() -> hassock_sdk::Result<()> {
//! use hassock_sdk::settings;
//!
//! let greeting = settings::get_or("greeting", "hello");
//! let page_size = settings::get_parsed("page_size")?.unwrap_or(10_u32);
//! # Ok(())
//! # }
//! ```

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::Result;
use crate::host::settings;

/// A setting is missing or invalid; the text says which one and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError(String);

impl SettingError {
    /// An error about a setting, for checks of the application.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingError {}

/// The setting, or `None` if the config has no setting of that name. If the host cannot read its settings, this logs
/// the error and also returns `None`; [`require`] and [`get_parsed`] return the error.
pub fn get(key: &str) -> Option<String> {
    read(key).unwrap_or_else(|error| {
        ::log::error!("{error}");
        None
    })
}

/// The setting, or `default` if there is none.
pub fn get_or(key: &str, default: &str) -> String {
    get(key).unwrap_or_else(|| default.to_owned())
}

/// A setting that must exist.
///
/// # Errors
/// A [`SettingError`] that names the setting, if it does not exist.
pub fn require(key: &str) -> Result<String> {
    Ok(read(key)?.ok_or_else(|| SettingError(format!("the setting `{key}` is missing")))?)
}

/// The setting as a number, an address or whatever else can be parsed from a text; `None` if there is none.
///
/// # Errors
/// A [`SettingError`] that names the setting and says what is wrong, if it cannot be parsed.
pub fn get_parsed<T: FromStr<Err: Display>>(key: &str) -> Result<Option<T>> {
    let Some(text) = read(key)? else {
        return Ok(None);
    };
    match text.parse() {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(SettingError(format!("the setting `{key}` is `{text}`: {error}")).into()),
    }
}

/// All settings, as pairs of key and value.
///
/// # Errors
/// A [`SettingError`] if the host cannot read them.
pub fn all() -> Result<Vec<(String, String)>> {
    Ok(settings::all().map_err(unreadable)?)
}

fn read(key: &str) -> Result<Option<String>, SettingError> {
    settings::get(key).map_err(unreadable)
}

fn unreadable(reason: String) -> SettingError {
    SettingError(format!("the settings cannot be read: {reason}"))
}
