//! The certificates of one listener: read from their files, and chosen by the name that a client asks for.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use crate::config::CertificateConfig;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no {what} in PEM: {reason}", file.display())]
    NotPem {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The two do not belong together, or the kind of key is unknown.
    #[error("{} and {} cannot be used together: {reason}", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The certificates of one listener, which can be replaced while it serves.
#[derive(Debug)]
pub struct Certificates {
    /// Absolute paths, in the order of their names.
    files: Vec<CertificateConfig>,
    current: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    /// For clients that ask for no name, or for another one.
    first: Arc<CertifiedKey>,
    /// Names in lower case. `*.example.org` stands for one label more.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Read the certificates of a listener. Their paths are relative to `folder`. None if there are none.
    ///
    /// # Errors
    /// The first that cannot be used, with its name in the config.
    pub fn load(
        config: &BTreeMap<String, CertificateConfig>,
        folder: &Path,
    ) -> Result<Option<Arc<Self>>, (String, CertificateError)> {
        let files: Vec<_> = config.values().map(|files| within(files, folder)).collect();
        let mut keys = Vec::new();
        for (name, files) in config.keys().zip(&files) {
            keys.push(read(files).map_err(|error| (name.clone(), error))?);
        }
        let loaded = Loaded::new(keys).map(ArcSwap::from_pointee);
        Ok(loaded.map(|current| Arc::new(Self { files, current })))
    }

    /// Read all files again, and use what is in them for new connections.
    ///
    /// # Errors
    /// The first that cannot be used. Then nothing changes.
    pub fn renew(&self) -> Result<(), CertificateError> {
        let keys = self.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if let Some(loaded) = Loaded::new(keys) {
            self.current.store(Arc::new(loaded));
        }
        Ok(())
    }

    /// All files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().flat_map(|files| [files.certificate.as_path(), files.key.as_path()])
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.load();
        let named = hello.server_name().and_then(|name| current.find(name));
        Some(Arc::clone(named.unwrap_or(&current.first)))
    }
}

impl Loaded {
    fn new(keys: Vec<Arc<CertifiedKey>>) -> Option<Self> {
        let first = Arc::clone(keys.first()?);
        let mut by_name = HashMap::new();
        for key in keys {
            for name in names(&key) {
                // The first one that has a name keeps it.
                by_name.entry(name).or_insert_with(|| Arc::clone(&key));
            }
        }
        Some(Self { first, by_name })
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = || name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.by_name.get(&name).or_else(|| self.by_name.get(&wildcard()?))
    }
}

fn names(key: &CertifiedKey) -> Vec<String> {
    let certificate = key.cert.first().and_then(|first| EndEntityCert::try_from(first).ok());
    certificate.iter().flat_map(|certificate| certificate.valid_dns_names()).map(str::to_ascii_lowercase).collect()
}

fn within(files: &CertificateConfig, folder: &Path) -> CertificateConfig {
    CertificateConfig { certificate: folder.join(&files.certificate), key: folder.join(&files.key) }
}

fn read(files: &CertificateConfig) -> Result<Arc<CertifiedKey>, CertificateError> {
    let CertificateConfig { certificate, key } = files;
    let not_pem = |file: &Path, what, reason: String| CertificateError::NotPem { file: file.to_owned(), what, reason };
    let chain = CertificateDer::pem_slice_iter(&bytes(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| not_pem(certificate, "certificate", error.to_string()))?;
    if chain.is_empty() {
        return Err(not_pem(certificate, "certificate", "there is none".to_owned()));
    }
    let private =
        PrivateKeyDer::from_pem_slice(&bytes(key)?).map_err(|error| not_pem(key, "private key", error.to_string()))?;
    // This also compares the two.
    let certified = CertifiedKey::from_der(chain, private, &ring::default_provider());
    certified.map(Arc::new).map_err(|error| CertificateError::Unusable {
        certificate: certificate.clone(),
        key: key.clone(),
        reason: error.to_string(),
    })
}

fn bytes(file: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(file).map_err(|source| CertificateError::Unreadable { file: file.to_owned(), source })
}
