//! Which app a request is for.

use std::collections::{BTreeMap, HashMap};

/// The paths of all apps.
pub struct Routes<T> {
    exact: HashMap<String, T>,
    /// Prefixes that end in `/`, the longest first.
    below: Vec<(String, T)>,
    all: BTreeMap<String, String>,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), below: Vec::new(), all: BTreeMap::new() }
    }
}

impl<T> Routes<T> {
    /// Route a path of the config (`/chat` or `/chat/*`) to an app.
    pub fn insert(&mut self, name: &str, path: &str, app: T) {
        self.all.insert(name.to_owned(), path.to_owned());
        match path.strip_suffix('*') {
            Some(prefix) => {
                self.below.push((prefix.to_owned(), app));
                self.below.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
            }
            None => drop(self.exact.insert(path.to_owned(), app)),
        }
    }

    /// The app for the path of a request. An exact path takes precedence over one with `/*`, and a longer path over a
    /// shorter one.
    pub fn find(&self, path: &str) -> Option<&T> {
        let below = || self.below.iter().find(|(prefix, _)| path.starts_with(prefix));
        self.exact.get(path).or_else(|| below().map(|(_, app)| app))
    }

    /// The name and path of each app.
    pub fn all(&self) -> &BTreeMap<String, String> {
        &self.all
    }

    /// All apps.
    pub fn apps(&self) -> impl Iterator<Item = &T> {
        self.exact.values().chain(self.below.iter().map(|(_, app)| app))
    }
}
