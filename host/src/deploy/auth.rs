//! What the apps of a config demand of tokens.

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::config::{AppConfig, Config, Problem};

/// Read what an app demands of tokens. What it demanded `before` goes on if that is the same, with the keys that were fetched.
///
/// # Errors
/// What cannot be used, with its key.
pub(super) fn load(
    config: &Config,
    name: &str,
    app: &AppConfig,
    before: Option<&Arc<Authenticator>>,
) -> Result<Option<Arc<Authenticator>>, Vec<Problem>> {
    let Some(auth) = &app.auth else { return Ok(None) };
    let loaded = Authenticator::load(name, auth, config.locator.folder());
    let loaded =
        loaded.map_err(|(key, message)| vec![config.locator.problem(&format!("apps.{name}.auth.{key}"), message)])?;
    Ok(Some(match before {
        Some(before) if before.is_like(&loaded) => Arc::clone(before),
        Some(before) => Arc::new(loaded.keep_keys(before)),
        None => Arc::new(loaded),
    }))
}

/// Whether an app demands something else.
pub(super) fn has_changed(now: Option<&Arc<Authenticator>>, before: Option<&Arc<Authenticator>>) -> bool {
    now.map(Arc::as_ptr) != before.map(Arc::as_ptr)
}
