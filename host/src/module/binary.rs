//! The bytes of a module, and the name that follows from them.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// Names a version: the first 12 hex digits of the SHA-256 of its component.
pub type VersionId = Arc<str>;

/// The SHA-256 of a component.
pub(super) type Digest = [u8; 32];

/// The bytes of a module with their SHA-256, which is computed once: it names the version and its compiled code.
pub struct Binary {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Binary {
    /// A module of these bytes, which need not be WebAssembly.
    pub fn new(bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes).into();
        Self { bytes, digest }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of the version that these bytes are.
    pub fn version(&self) -> VersionId {
        name(&self.digest)
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// The name of the version that these bytes are.
pub fn version_id(component: &[u8]) -> VersionId {
    name(&Sha256::digest(component).into())
}

fn name(digest: &Digest) -> VersionId {
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
