//! The app's own settings, `[apps.NAME.settings]` of the host's config. Every value is a text.
//!
//! ```no_run
//! # fn main() -> hassock_guest::Result<()> {
//! use hassock_guest::settings;
//!
//! let greeting = settings::get_or("greeting", "hello");
//! let page_size = settings::get_parsed("page_size")?.unwrap_or(10_u32);
//! # Ok(())
//! # }
//! ```

use std::fmt::Display;
use std::str::FromStr;

use crate::bindings::wasi::config::store::Error as Unreadable;
use crate::host::store;
use crate::{Error, Result};

/// The setting, or `None` if the config has none of that name. If the host cannot read its settings,
/// which it then says in its log, there is none either; [`require`] and [`get_parsed`] report that.
pub fn get(key: &str) -> Option<String> {
    read(key).unwrap_or_else(|error| {
        crate::error!("{error}");
        None
    })
}

/// The setting, or `default` if there is none.
pub fn get_or(key: &str, default: &str) -> String {
    get(key).unwrap_or_else(|| default.to_owned())
}

/// A setting that must be there.
///
/// # Errors
/// [`Error::Setting`] that names it, if it is not.
pub fn require(key: &str) -> Result<String> {
    read(key)?.ok_or_else(|| Error::Setting(format!("the setting `{key}` is missing")))
}

/// The setting as a number, an address or whatever else can be parsed from a text; `None` if there is none.
///
/// # Errors
/// [`Error::Setting`] that names it and says what is wrong, if it cannot be parsed.
pub fn get_parsed<T: FromStr<Err: Display>>(key: &str) -> Result<Option<T>> {
    let Some(text) = read(key)? else {
        return Ok(None);
    };
    match text.parse() {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(Error::Setting(format!("the setting `{key}` is `{text}`: {error}"))),
    }
}

/// All settings, as pairs of key and value.
///
/// # Errors
/// [`Error::Setting`] if the host cannot read them.
pub fn all() -> Result<Vec<(String, String)>> {
    store::get_all().map_err(|error| unreadable(&error))
}

fn read(key: &str) -> Result<Option<String>> {
    store::get(key).map_err(|error| unreadable(&error))
}

fn unreadable(error: &Unreadable) -> Error {
    let (Unreadable::Upstream(text) | Unreadable::Io(text)) = error;
    Error::Setting(format!("the settings cannot be read: {text}"))
}
