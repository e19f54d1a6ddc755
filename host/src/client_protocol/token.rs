//! A token that a client sends.

use std::fmt;

use serde::Deserialize;

/// A token that a client sends. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct ClientToken(String);

impl ClientToken {
    /// The token itself: only to verify it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<ClientToken> for String {
    fn from(token: ClientToken) -> Self {
        token.0
    }
}

#[cfg(test)]
impl From<&str> for ClientToken {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientToken(…)")
    }
}
