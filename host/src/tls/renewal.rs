//! Certificates are renewed every few weeks by another program, which replaces their files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::Certificates;

/// How often the files are looked at. Looking is cheap, and works with links that are replaced and on network mounts.
const INTERVAL: Duration = Duration::from_secs(1);

/// What tells one state of a file from another one. The time is that of the inode, which also tells of new permissions.
type Mark = Option<(u64, u64, u64, i64, i64)>;

/// Use new certificates as soon as their files have changed, for as long as the listener exists.
pub(crate) async fn keep_current(certificates: Weak<Certificates>) {
    let Some(mut seen) = certificates.upgrade().map(|certificates| marks(&certificates)) else { return };
    loop {
        sleep(INTERVAL).await;
        let Some(certificates) = certificates.upgrade() else { return };
        let now = marks(&certificates);
        if now == seen {
            continue;
        }
        // Before the files are read: what changes meanwhile is a change for the next time.
        seen = now;
        match certificates.renew() {
            Ok(()) => tracing::info!("the certificates have changed, and new connections get the new ones"),
            // The two files of a certificate are not replaced at the same moment, so this may be in between.
            Err(error) => {
                tracing::warn!(%error, "the certificates have changed and cannot be used; the old ones go on")
            }
        }
    }
}

fn marks(certificates: &Arc<Certificates>) -> Vec<Mark> {
    certificates.files().map(mark).collect()
}

fn mark(file: &Path) -> Mark {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
}
