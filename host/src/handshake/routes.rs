//! Which path leads to which app.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::page;
use crate::app::App;
use crate::config::{Config, HostLimits, MoreOrigins};

/// What a config leads requests to: replaced as a whole when the config is read again.
pub struct Directory {
    /// Which path leads to which app.
    pub routes: Routes,
    /// Bounds of the host.
    pub limits: HostLimits,
    /// Origins that may connect to every app.
    pub more_origins: MoreOrigins,
    /// The test page, if it is served.
    pub page: Option<Bytes>,
}

impl Directory {
    /// The directory of some running apps.
    pub fn new(config: &Config, apps: &BTreeMap<String, Arc<App>>) -> Self {
        let mut routes = Routes::default();
        for (name, app) in apps {
            if let Some(config) = config.apps.get(name) {
                routes.insert(&config.path, Arc::clone(app));
            }
        }
        let page = config.test_page.then(|| page::render(&routes));
        Self { routes, limits: config.limits.clone(), more_origins: config.overrides.more_origins, page }
    }
}

/// The paths of all apps.
#[derive(Default)]
pub struct Routes {
    exact: HashMap<String, Arc<App>>,
    /// Prefixes that end in `/`, the longest first.
    below: Vec<(String, Arc<App>)>,
    all: BTreeMap<String, String>,
}

impl Routes {
    /// Lead a path of the config (`/chat` or `/chat/*`) to an app.
    pub fn insert(&mut self, path: &str, app: Arc<App>) {
        self.all.insert(app.name.to_string(), path.to_owned());
        match path.strip_suffix('*') {
            Some(prefix) => {
                self.below.push((prefix.to_owned(), app));
                self.below.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
            }
            None => drop(self.exact.insert(path.to_owned(), app)),
        }
    }

    /// The app for the path of a request: an exact one before one with `/*`, a longer one before a shorter.
    pub fn find(&self, path: &str) -> Option<&Arc<App>> {
        let below = || self.below.iter().find(|(prefix, _)| path.starts_with(prefix));
        self.exact.get(path).or_else(|| below().map(|(_, app)| app))
    }

    /// Each app's name and path.
    pub fn all(&self) -> &BTreeMap<String, String> {
        &self.all
    }

    /// Every app.
    pub fn apps(&self) -> impl Iterator<Item = &Arc<App>> {
        self.exact.values().chain(self.below.iter().map(|(_, app)| app))
    }
}
