//! Certificates for TLS between programs on this machine.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority of our own, and the certificate of a server at `127.0.0.1` that it has signed. The files exist as long as
/// this.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// An authority that no other test has.
    ///
    /// # Panics
    /// If the files cannot be written.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let made = Self { folder };
        made.make().unwrap_or_else(|error| panic!("no certificate: {error}"));
        made
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// The certificate of the server.
    pub fn certificate(&self) -> PathBuf {
        self.path("certificate.pem")
    }

    /// The key of the server.
    pub fn key(&self) -> PathBuf {
        self.path("key.pem")
    }

    fn make(&self) -> Result<(), rcgen::Error> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Each authority has a name of its own.
        authority.distinguished_name.push(DnType::CommonName, self.folder.path().display().to_string());
        let authority_key = KeyPair::generate()?;
        write(&self.authority(), &authority.self_signed(&authority_key)?.pem());

        let mut server = CertificateParams::new(["127.0.0.1".to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, "a server of the tests");
        let server_key = KeyPair::generate()?;
        let signed = server.signed_by(&server_key, &Issuer::new(authority, authority_key))?;
        write(&self.certificate(), &signed.pem());
        write(&self.key(), &server_key.serialize_pem());
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
