//! What the config says about an app, in the form that calls use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{AppConfig, AppLimits, Duration, Grant, RollbackConfig, SwapPolicy};
use crate::database::{Access, Handle, OpenError};
use crate::module::{Pool, TICK};

/// The grants, limits and settings of an app. Replaced as a whole when the config is read again: calls that
/// run finish in the setup that they began in, and the next ones get fresh instances.
pub struct Setup {
    /// Bounds of each connection, call and instance. A connection keeps those that it was opened with.
    pub limits: Arc<AppLimits>,
    /// The origins from which browsers may connect; none: the host that the page came from.
    pub origins: Option<Vec<String>>,
    /// The close code for an error that the module returned.
    pub error_close_code: u16,
    /// What the module reads through `wasi:config`.
    pub settings: BTreeMap<String, String>,
    /// The databases that it may use, as the config has them.
    pub granted: BTreeMap<String, Grant>,
    /// The same, open.
    pub grants: BTreeMap<String, Handle>,
    /// The databases that there are, granted or not: to tell a missing grant from a wrong name.
    pub databases: BTreeSet<String>,
    /// What a new version does with open connections.
    pub swap: SwapPolicy,
    /// How long connections may stay with a version that is no longer served to new ones.
    pub pin_for: Duration,
    /// Versions that stay compiled after they were replaced.
    pub keep_versions: usize,
    /// When a new version is taken back.
    pub rollback: RollbackConfig,
    /// `cpu_time` in ticks, so that a call need not divide.
    pub max_ticks: u32,
    /// The instances.
    pub pool: Pool,
}

impl Setup {
    /// The setup that a config asks for, with the handles that it grants.
    pub fn new(config: &AppConfig, grants: BTreeMap<String, Handle>, databases: BTreeSet<String>) -> Arc<Self> {
        Arc::new(Self {
            limits: Arc::new(config.limits.clone()),
            origins: config.origins.clone(),
            error_close_code: config.error_close_code.unwrap_or(1011),
            settings: config.settings.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect(),
            granted: config.databases.clone(),
            grants,
            databases,
            swap: config.swap,
            pin_for: config.pin_for,
            keep_versions: config.keep_versions,
            rollback: config.rollback.clone(),
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
        Ok(Arc::new(Self {
            limits: Arc::clone(&self.limits),
            origins: None,
            error_close_code: self.error_close_code,
            settings: self.settings.clone(),
            granted: self.granted.clone(),
            grants,
            databases: self.databases.clone(),
            swap: self.swap,
            pin_for: self.pin_for,
            keep_versions: 0,
            rollback: self.rollback.clone(),
            max_ticks: self.max_ticks,
            pool: Pool::new(1),
        }))
    }
}

fn ticks(cpu_time: Duration) -> u32 {
    u32::try_from(cpu_time.get().as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX)
}
