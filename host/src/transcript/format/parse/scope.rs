//! What earlier steps have made known.

use std::collections::BTreeSet;

use super::super::names::{did_you_mean, one_of};
use super::ParseError;
use super::cursor::Cursor;

/// The names that steps may use.
#[derive(Debug, Default)]
pub(super) struct Scope {
    clients: BTreeSet<String>,
    captured: BTreeSet<String>,
}

impl Scope {
    pub(super) fn connect(&mut self, client: &str) {
        self.clients.insert(client.to_owned());
    }

    pub(super) fn knows_client(&self, client: &str) -> bool {
        self.clients.contains(client)
    }

    /// Only clients that were accepted can be used.
    pub(super) fn expect_client(&self, client: &str, place: Cursor<'_>) -> Result<(), ParseError> {
        if self.knows_client(client) {
            return Ok(());
        }
        let known = match self.clients.is_empty() {
            true => "no client has connected so far".to_owned(),
            false => format!("known here: {}", one_of(self.clients.iter().map(String::as_str))),
        };
        let near = did_you_mean(client, self.clients.iter().map(String::as_str));
        Err(place.error(format!("`{client}` has not connected; `connect {client} /PATH` comes first ({known}){near}")))
    }

    pub(super) fn capture(&mut self, name: String) {
        self.captured.insert(name);
    }

    /// What is wrong with a `${NAME}`, if it is: only what an *earlier* step has captured is there to be used.
    /// The advice, and what else may have been meant, are for where it stands.
    pub(super) fn check_captured(&self, name: &str, advice: &str, others: &[&str]) -> Result<(), String> {
        if self.captured.contains(name) {
            return Ok(());
        }
        let known = match self.captured.is_empty() {
            true => String::new(),
            false => format!(" (captured so far: {})", one_of(self.captured.iter().map(String::as_str))),
        };
        let near = did_you_mean(name, self.captured.iter().map(String::as_str).chain(others.iter().copied()));
        Err(format!("no earlier step has captured `{name}`{known}; {advice}{near}"))
    }
}
