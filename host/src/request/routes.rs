//! Which app a request is for.

use std::collections::{BTreeMap, HashMap};

/// The paths of all apps.
pub struct Routes<T> {
    exact: HashMap<String, T>,
    /// Prefixes that end in `/`, the longest first.
    below: Vec<(String, T)>,
    /// Each app once, with its paths.
    apps: BTreeMap<String, (Vec<String>, T)>,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), below: Vec::new(), apps: BTreeMap::new() }
    }
}

impl<T: Clone> Routes<T> {
    /// Route paths of the config (`/chat` or `/chat/*`) to an app.
    pub fn insert<'a>(&mut self, name: &str, paths: impl IntoIterator<Item = &'a String>, app: T) {
        let paths: Vec<String> = paths.into_iter().cloned().collect();
        for path in &paths {
            match path.strip_suffix('*') {
                Some(prefix) => self.below.push((prefix.to_owned(), app.clone())),
                None => drop(self.exact.insert(path.clone(), app.clone())),
            }
        }
        self.below.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        self.apps.insert(name.to_owned(), (paths, app));
    }
}

impl<T> Routes<T> {
    /// The app for the path of a request. An exact path takes precedence over one with `/*`, and a longer path over a
    /// shorter one.
    pub fn find(&self, path: &str) -> Option<&T> {
        let below = || self.below.iter().find(|(prefix, _)| path.starts_with(prefix));
        self.exact.get(path).or_else(|| below().map(|(_, app)| app))
    }

    /// Whether an app has this path itself, and not only everything below a part of it.
    pub fn has_exactly(&self, path: &str) -> bool {
        self.exact.contains_key(path)
    }

    /// The paths of each app, with its name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.apps.iter().flat_map(|(name, (paths, _))| paths.iter().map(|path| (name.as_str(), path.as_str())))
    }

    /// All apps.
    pub fn apps(&self) -> impl ExactSizeIterator<Item = &T> {
        self.apps.values().map(|(_, app)| app)
    }
}
