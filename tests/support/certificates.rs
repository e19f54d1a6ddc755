//! Certificates for TLS with a database on this machine.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Authority;

/// An authority of our own, and the certificate of a server at `127.0.0.1` that it has signed. The files exist as long as
/// this.
pub struct Certificates {
    _folder: TempDir,
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    /// An authority that no other test has.
    ///
    /// # Panics
    /// If the files cannot be written.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let signer = Authority::new();
        let authority = folder.path().join("authority.pem");
        let written = std::fs::write(&authority, signer.pem());
        written.unwrap_or_else(|error| panic!("{}: {error}", authority.display()));
        let (certificate, key) = signer.issue(folder.path(), "server", &["127.0.0.1"]);
        Self { _folder: folder, authority, certificate, key }
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// The certificate of the server.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The key of the server.
    pub fn key(&self) -> &Path {
        &self.key
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
