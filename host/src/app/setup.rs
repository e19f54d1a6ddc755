//! What the config says about an app, in the form that calls use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::Pool;
use crate::config::{AppConfig, AppLimits, Duration};
use crate::database::{Access, Handle, OpenError};
use crate::module::TICK;

/// The grants, limits and settings of an app. Replaced as a whole when the config is read again: calls that
/// run finish in the setup that they began in, and the next ones get fresh instances.
pub struct Setup {
    /// The app's part of the config.
    pub config: AppConfig,
    /// Its bounds once more: each connection keeps those that it was opened with.
    pub limits: Arc<AppLimits>,
    /// The databases that it may use, open.
    pub grants: BTreeMap<String, Handle>,
    /// The databases that there are, granted or not: to tell a missing grant from a wrong name.
    pub databases: BTreeSet<String>,
    /// `cpu_time` in ticks, so that a call need not divide.
    pub max_ticks: u32,
    /// The instances.
    pub(crate) pool: Pool,
}

impl Setup {
    /// The setup that a config asks for, with the handles that it grants.
    pub fn new(config: &AppConfig, grants: BTreeMap<String, Handle>, databases: BTreeSet<String>) -> Arc<Self> {
        Arc::new(Self {
            config: config.clone(),
            limits: Arc::new(config.limits.clone()),
            grants,
            databases,
            max_ticks: ticks(config.limits.cpu_time),
            pool: Pool::new(config.limits.instances),
        })
    }

    /// The same for a version that is being tested before it gets any traffic: it can read and change nothing.
    ///
    /// # Errors
    /// If a database cannot be opened read-only.
    pub async fn for_self_test(&self) -> Result<Arc<Self>, OpenError> {
        let mut grants = BTreeMap::new();
        for (name, handle) in &self.grants {
            grants.insert(name.clone(), handle.with_access(Access::ReadOnly).await?);
        }
        Ok(Self::new(&self.config, grants, self.databases.clone()))
    }

    /// The close code for an error that the module returned.
    pub fn error_close_code(&self) -> u16 {
        self.config.error_close_code.unwrap_or(1011)
    }
}

fn ticks(cpu_time: Duration) -> u32 {
    u32::try_from(cpu_time.get().as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX)
}
