//! The name of a version.

use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Names a version: the first 12 hex digits of the SHA-256 of its component.
pub type VersionId = Arc<str>;

/// The name of the version that these bytes are.
pub fn version_id(component: &[u8]) -> VersionId {
    let digest = Sha256::digest(component);
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
