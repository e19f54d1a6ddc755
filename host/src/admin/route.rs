//! Which path is what, and which parameters it takes.
//!
//! | request | does |
//! |---|---|
//! | `GET /health` | says `ok`; the only one without a token |
//! | `GET /metrics` | metrics in the OpenMetrics format |
//! | `GET /v1/apps` | all apps and their versions |
//! | `POST /v1/apps/APP/versions` | deploys the component in the body; `?canary=10%25` gives it a share only |
//! | `POST /v1/apps/APP/promote` | gives the canary everything |
//! | `POST /v1/apps/APP/rollback` | takes the canary back, or goes back to the version before |
//! | `POST /v1/apps/APP/pin` | keeps open connections on their version; `?for=10m`, or `?off` to end it |
//! | `POST /v1/apps/APP/record` | records the next connections, line by line; `?connections=2`, by default 1 |
//! | `POST /v1/reload` | reads the config again |

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::answer::Failure;
use crate::deploy::{Pin, Rollout};

/// A pin is for a while; and a sum of times must not overflow.
const LONGEST_PIN: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Metrics,
    Apps,
    Reload,
    Deploy(String),
    Promote(String),
    Rollback(String),
    Pin(String),
    Record(String),
}

impl Route {
    /// The route of a path.
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match parts.as_slice() {
            ["health"] => Some(Self::Health),
            ["metrics"] => Some(Self::Metrics),
            ["v1", "reload"] => Some(Self::Reload),
            ["v1", "apps"] => Some(Self::Apps),
            ["v1", "apps", app, action] => {
                // After the path was split: an app's name may hold anything, a slash too.
                let app = percent_decode_str(app).decode_utf8().ok()?.into_owned();
                match *action {
                    "versions" => Some(Self::Deploy(app)),
                    "promote" => Some(Self::Promote(app)),
                    "rollback" => Some(Self::Rollback(app)),
                    "pin" => Some(Self::Pin(app)),
                    "record" => Some(Self::Record(app)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The method that it takes: what changes anything is a POST.
    pub(super) fn method(&self) -> Method {
        match self {
            Self::Health | Self::Metrics | Self::Apps => Method::GET,
            Self::Reload | Self::Deploy(_) | Self::Promote(_) | Self::Rollback(_) | Self::Pin(_) | Self::Record(_) => {
                Method::POST
            }
        }
    }
}

/// The parameters of a request. What nobody takes is refused: a misspelt `canary` must not deploy to all.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Result<Self, Failure> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if parameters.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Failure::Parameter(format!("`{name}` is there twice")));
            }
        }
        Ok(Self(parameters))
    }

    /// The parameters of a path that takes none.
    pub(super) fn none(self) -> Result<(), Failure> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Failure::Parameter(format!("`{name}` is no parameter of this path"))),
        }
    }

    /// Those of a deploy.
    pub(super) fn rollout(mut self) -> Result<Rollout, Failure> {
        let canary = self.0.remove("canary");
        self.none()?;
        match canary {
            None => Ok(Rollout::Full),
            Some(share) => share
                .parse()
                .map(Rollout::Canary)
                .map_err(|error| Failure::Parameter(format!("`canary`: {error}; in a URL, % is %25"))),
        }
    }

    /// Those of a recording: how many connections.
    pub(super) fn connections(mut self) -> Result<usize, Failure> {
        let connections = self.0.remove("connections");
        self.none()?;
        match connections.as_deref().map_or(Ok(1), str::parse) {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(Failure::Parameter("`connections` is how many connections to record, at least 1".to_owned())),
        }
    }

    /// Those of a pin.
    pub(super) fn pin(mut self) -> Result<Pin, Failure> {
        let (span, off) = (self.0.remove("for"), self.0.remove("off"));
        self.none()?;
        match (span, off.as_deref()) {
            (None, None) => Ok(Pin::Default),
            (None, Some("")) => Ok(Pin::Off),
            (None, Some(_)) => Err(Failure::Parameter("`off` takes no value".to_owned())),
            (Some(_), Some(_)) => Err(Failure::Parameter("`for` and `off` exclude each other".to_owned())),
            (Some(span), None) => match humantime::parse_duration(&span) {
                Ok(span) if !span.is_zero() && span <= LONGEST_PIN => Ok(Pin::For(span)),
                Ok(_) => Err(Failure::Parameter("`for` is more than nothing and at most a year".to_owned())),
                Err(_) => Err(Failure::Parameter(format!(
                    "`for`: `{span}` is no time span; write it as \"30s\", \"10m\" or \"2h\""
                ))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Result<Parameters, Failure> {
        Parameters::of(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn paths_lead_where_the_table_says() {
        let app = || "a/b c".to_owned();
        for (path, route) in [
            ("/health", Some(Route::Health)),
            ("/metrics", Some(Route::Metrics)),
            ("/v1/apps", Some(Route::Apps)),
            ("/v1/reload", Some(Route::Reload)),
            ("/v1/apps/a%2Fb%20c/versions", Some(Route::Deploy(app()))),
            ("/v1/apps/a%2fb%20c/promote", Some(Route::Promote(app()))),
            ("/v1/apps/a%2Fb%20c/rollback", Some(Route::Rollback(app()))),
            ("/v1/apps/a%2Fb%20c/pin", Some(Route::Pin(app()))),
            ("/v1/apps/a%2Fb%20c/record", Some(Route::Record(app()))),
            ("/", None),
            ("", None),
            ("*", None),
            ("/health/", None),
            ("/v1/apps/", None),
            ("/v1/apps/chat", None),
            ("/v1/apps/chat/delete", None),
            ("/v1/apps/a/b/pin", None),
            ("/v1/apps/%ff/pin", None),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn parameters_are_read_strictly() {
        let canary = |query| parameters(query).and_then(Parameters::rollout);
        assert_eq!(canary("").unwrap(), Rollout::Full);
        // The second is what a person writes, and has no other meaning.
        for query in ["canary=2.5%25", "canary=2.5%"] {
            assert_eq!(canary(query).unwrap(), Rollout::Canary("2.5%".parse().unwrap()));
        }
        for query in ["canary=", "canary=10", "canary=0%25", "cannary=10%25", "canary=1%25&canary=2%25"] {
            assert!(canary(query).is_err(), "{query}");
        }
        let pin = |query| parameters(query).and_then(Parameters::pin);
        assert_eq!(pin("").unwrap(), Pin::Default);
        assert_eq!(pin("off").unwrap(), Pin::Off);
        assert_eq!(pin("for=1h%2030m").unwrap(), Pin::For(Duration::from_secs(5400)));
        for query in ["for=10m&off", "off=no", "for=", "for=0s", "for=2y", "for=long", "four=10m"] {
            assert!(pin(query).is_err(), "{query}");
        }
        let connections = |query| parameters(query).and_then(Parameters::connections);
        assert_eq!((connections("").unwrap(), connections("connections=12").unwrap()), (1, 12));
        for query in ["connections=0", "connections=-1", "connections=", "connections=all", "connection=1"] {
            assert!(connections(query).is_err(), "{query}");
        }
        assert!(parameters("x").unwrap().none().is_err());
    }
}
