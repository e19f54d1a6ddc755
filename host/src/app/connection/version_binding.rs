//! Which version serves a connection: the version of its last call, until the app's versions change.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::app::versions::Version;
use crate::module::VersionId;

/// The binding of a connection to a version.
#[derive(Default)]
pub struct VersionBinding(Mutex<Binding>);

#[derive(Default)]
struct Binding {
    by: Option<CountedVersion>,
    /// The generation of the app's versions in which the version was chosen.
    generation: u64,
    /// The version that refused the attachment. It is not asked again.
    refused_by: Option<VersionId>,
    /// The previous version. A rollback leads back to it.
    before: Option<Box<PreviousVersion>>,
}

/// Counts a connection with its version.
struct CountedVersion(Arc<Version>);

/// The version that served a connection before, and what a return to it has to restore.
pub(crate) struct PreviousVersion {
    pub(crate) version: VersionId,
    /// The previous attachment, if the move changed it. Otherwise both versions read the same bytes.
    pub(crate) attachment: Option<Bytes>,
}

impl VersionBinding {
    /// The version, if the app's versions have not changed since it was chosen.
    pub(crate) fn version_in(&self, generation: u64) -> Option<Arc<Version>> {
        let taken = self.0.lock();
        taken.by.as_ref().filter(|_| taken.generation == generation).map(|guest| Arc::clone(&guest.0))
    }

    /// Whether the app's versions have not changed since the version was chosen.
    pub(crate) fn is_of(&self, generation: u64) -> bool {
        self.0.lock().generation == generation
    }

    /// The version that served the connection last.
    pub fn version(&self) -> Option<Arc<Version>> {
        self.0.lock().by.as_ref().map(|guest| Arc::clone(&guest.0))
    }

    /// Whether a version has refused its attachment.
    pub(crate) fn is_refused_by(&self, version: &Version) -> bool {
        self.0.lock().refused_by.as_ref() == Some(&version.id)
    }

    /// Keep the version in a new generation.
    pub(crate) fn stay(&self, generation: u64) {
        self.0.lock().generation = generation;
    }

    /// A version has refused the attachment, so keep the current version.
    pub(crate) fn stay_refused(&self, generation: u64, by: &Version) {
        let mut taken = self.0.lock();
        taken.generation = generation;
        taken.refused_by = Some(Arc::clone(&by.id));
    }

    /// Move to a version. `before` is kept until the next move. Returns the version that the connection left.
    pub(crate) fn take(
        &self,
        version: &Arc<Version>,
        generation: u64,
        before: Option<PreviousVersion>,
    ) -> Option<Arc<Version>> {
        let mut taken = self.0.lock();
        let left = taken.by.replace(CountedVersion::new(version));
        *taken = Binding { by: taken.by.take(), generation, refused_by: None, before: before.map(Box::new) };
        left.map(|guest| Arc::clone(&guest.0))
    }

    /// If the connection came from `version`, returns the attachment to restore, if there is one.
    pub(crate) fn came_from(&self, version: &Version) -> Option<Option<Bytes>> {
        let taken = self.0.lock();
        taken.before.as_ref().filter(|before| before.version == version.id).map(|before| before.attachment.clone())
    }

    /// Bytes of the previous attachment, which is kept for a return.
    pub(crate) fn bytes(&self) -> usize {
        let taken = self.0.lock();
        taken.before.as_ref().and_then(|before| before.attachment.as_ref()).map_or(0, Bytes::len)
    }

    /// The connection has ended. Returns the version that the connection left.
    pub(crate) fn leave(&self) -> Option<Arc<Version>> {
        let left = std::mem::take(&mut *self.0.lock()).by;
        left.map(|guest| Arc::clone(&guest.0))
    }
}

impl CountedVersion {
    fn new(version: &Arc<Version>) -> Self {
        version.stats.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(version))
    }
}

impl Drop for CountedVersion {
    fn drop(&mut self) {
        self.0.stats.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
