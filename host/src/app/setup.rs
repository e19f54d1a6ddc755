//! The config of an app, in the form that calls use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

use tokio::sync::Semaphore;

use super::call::Pool;
use crate::auth::Authenticator;
use crate::config::{AppConfig, AppLimits};
use crate::database::{Handle, OpenError};

/// A list of small values needs this many times as many bytes in the host as its values count.
const HOST_FORM: usize = 4;

/// What a module may pass to the host at once in any case. One that sends a message of more than `outbox_bytes` should get
/// an error rather than a trap.
const LEAST_HOST_CALL: usize = 16 << 20;

/// The grants, limits and settings of an app. They are replaced as a whole when the config is read again: running calls
/// finish with the setup that they began with, and the next calls get fresh instances.
pub struct Setup {
    /// The app's part of the config.
    pub config: AppConfig,
    /// The limits again, shared: each connection keeps the limits that it was opened with.
    pub limits: Arc<AppLimits>,
    /// The databases that the app may use, open.
    pub grants: BTreeMap<String, Handle>,
    /// The names of all databases, granted or not. They tell a missing grant from a wrong name.
    pub databases: BTreeSet<String>,
    /// What clients have to show, if anything.
    pub(crate) auth: Option<Arc<Authenticator>>,
    /// How many bytes a module may pass to the host at once, as the host keeps them.
    pub(crate) host_call_bytes: usize,
    /// The turns of calls that compute for longer than a tick.
    pub(crate) turns: Arc<Semaphore>,
    /// The instances of the app.
    pub(crate) pool: Pool,
}

impl Setup {
    /// The setup that a config describes, with the database handles that it grants and what it demands of
    /// tokens.
    pub(crate) fn new(
        config: &AppConfig,
        grants: BTreeMap<String, Handle>,
        databases: BTreeSet<String>,
        auth: Option<Arc<Authenticator>>,
    ) -> Arc<Self> {
        let statement = grants.values().map(Handle::max_statement_bytes).max().unwrap_or(0);
        let limits = &config.limits;
        let largest = statement.max(limits.outbox_bytes.bytes()).max(limits.attachment_bytes.bytes());
        Arc::new(Self {
            host_call_bytes: largest.saturating_mul(HOST_FORM).max(LEAST_HOST_CALL),
            config: config.clone(),
            limits: Arc::new(config.limits.clone()),
            grants,
            databases,
            auth,
            turns: Arc::new(Semaphore::new(turns(limits.computing_calls))),
            pool: Pool::new(config.limits.instances),
        })
    }

    /// The setup for a version that is tested before it gets traffic: the version can read databases and change
    /// nothing.
    ///
    /// # Errors
    /// If a database cannot be opened read-only.
    pub async fn for_self_test(&self) -> Result<Arc<Self>, OpenError> {
        let mut grants = BTreeMap::new();
        for (name, handle) in &self.grants {
            grants.insert(name.clone(), handle.reading().await?);
        }
        Ok(Self::new(&self.config, grants, self.databases.clone(), self.auth.clone()))
    }

    /// The close code for an error that the module returned.
    pub fn error_close_code(&self) -> u16 {
        self.config.error_close_code.unwrap_or(1011)
    }
}

fn turns(computing_calls: u32) -> usize {
    match computing_calls {
        0 => thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
        calls => calls as usize,
    }
}
