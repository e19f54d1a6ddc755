//! The databases of a config: opened, granted to apps, and closed when no config has them any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::app::Setup;
use crate::auth::Authenticator;
use crate::config::{AppConfig, Config, Grant, Problem};
use crate::database::{Access, Database, Handle, OpenError};

/// Databases by their name in the config.
pub type Databases = BTreeMap<String, Arc<Database>>;

/// Open those databases of the config that are not in `open` already. Returns all of them.
pub(super) async fn open(config: &Config, mut open: Databases) -> (Databases, Vec<Problem>) {
    let mut opening = JoinSet::new();
    for (name, database) in config.databases.iter().filter(|(name, _)| !open.contains_key(*name)) {
        let (name, database, folder) = (name.clone(), database.clone(), config.locator.folder().to_owned());
        opening.spawn(async move {
            let opened = Database::open(&name, &database, &folder).await;
            (name, opened)
        });
    }
    let mut problems = Vec::new();
    while let Some(Ok((name, opened))) = opening.join_next().await {
        match opened {
            Ok(database) => drop(open.insert(name, database)),
            Err(error) => {
                let key = if matches!(error, OpenError::Outbox { .. }) { "outbox" } else { "url" };
                problems.push(config.locator.problem(&format!("databases.{name}.{key}"), error.to_string()));
            }
        }
    }
    (open, problems)
}

/// The setup of an app with the databases that it is granted. A database that could not be opened is a problem of its
/// own, and not of the app.
pub(super) async fn set_up(
    config: &Config,
    name: &str,
    app: &AppConfig,
    databases: &Databases,
    auth: Option<Arc<Authenticator>>,
) -> Result<Arc<Setup>, Vec<Problem>> {
    let (mut handles, mut problems) = (BTreeMap::<String, Handle>::new(), Vec::new());
    for (database, grant) in &app.databases {
        let Some(opened) = databases.get(database) else { continue };
        // Boxed, because futures that open a database are large and deep.
        match Box::pin(opened.grant(access(*grant), config.sharer(database, name))).await {
            Ok(handle) => drop(handles.insert(database.clone(), handle)),
            Err(error) => {
                let key = format!("apps.{name}.databases.{database}");
                problems.push(config.locator.problem(&key, error.to_string()));
            }
        }
    }
    let known: BTreeSet<String> = config.databases.keys().cloned().collect();
    if problems.is_empty() { Ok(Setup::new(app, handles, known, auth)) } else { Err(problems) }
}

/// How long the calls of a config may use a database after a new config has removed it: the last call of a connection
/// may still have to begin.
pub(super) fn last_use(config: &Config) -> Duration {
    let longest = config.apps.values().map(|app| app.limits.call_timeout.get() + app.limits.instance_wait.get()).max();
    longest.unwrap_or_default() * 2
}

/// Close the databases that are in one list and not in the other. Before that, wait at most for `last_use` until the
/// calls that use them and the connections of removed apps have ended.
pub(super) async fn close(these: Databases, but: &Databases, last_use: Duration) {
    let is_kept = |database| but.values().any(|kept| Arc::ptr_eq(kept, database));
    for database in these.values().filter(|database| !is_kept(database)) {
        // A call that still has it then finds it closed.
        let _ = timeout(last_use, database.unused()).await;
        database.close().await;
    }
}

fn access(grant: Grant) -> Access {
    match grant {
        Grant::ReadOnly => Access::ReadOnly,
        Grant::ReadWrite => Access::ReadWrite,
    }
}
