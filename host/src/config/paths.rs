//! `path` of an app: where its WebSocket is. It may be at several.

use std::fmt;
use std::slice;

use serde::{Deserialize, Deserializer};

use super::scalars::one_or_many;

/// The paths of an app, as they are written: one or a list. None if the key is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths(Vec<String>);

impl Paths {
    /// Each path.
    pub fn iter(&self) -> slice::Iter<'_, String> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(String::is_empty)
    }
}

impl From<&str> for Paths {
    fn from(path: &str) -> Self {
        Self(vec![path.to_owned()])
    }
}

/// All of them, with commas.
impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer, "a path or a list of paths").map(Self)
    }
}
