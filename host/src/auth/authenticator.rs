//! What an app demands of tokens, made ready: its keys read.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use jsonwebtoken::{Algorithm, DecodingKey};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::AuthError;
use super::jwks::Jwks;
use super::keys::{Key, KeyKind, of_the_library};
use super::verify::{self, Verified};
use super::{pem, provider};
use crate::config::{AuthConfig, TokenPlace};
use crate::http_client::Authorities;

/// What an app demands of tokens.
pub(crate) struct Authenticator {
    config: AuthConfig,
    /// What its files hold.
    files: Vec<Vec<u8>>,
    algorithms: Vec<Algorithm>,
    keys: Keys,
}

/// Where its keys come from.
enum Keys {
    Fixed(Vec<Key>),
    Set(Arc<Jwks>),
}

impl Authenticator {
    /// Read the keys of an app. The paths of their files are relative to `folder`. A set of keys is fetched when it is needed.
    ///
    /// # Errors
    /// The key of the table that is wrong, and why.
    pub(crate) fn load(app: &str, config: &AuthConfig, folder: &Path) -> Result<Self, (&'static str, String)> {
        provider::install();
        let mut files = Vec::new();
        let mut read = |key: &'static str, file: &Path| {
            let file = folder.join(file);
            let content = fs::read(&file).map_err(|error| (key, format!("cannot read {}: {error}", file.display())))?;
            files.push(content.clone());
            Ok::<_, (&'static str, String)>((file, content))
        };
        let keys = match (&config.hmac_secret, &config.public_key, &config.jwks_url) {
            (Some(secret), ..) => {
                let key = DecodingKey::from_secret(secret.expose().as_bytes());
                Keys::Fixed(vec![Key { id: None, kind: KeyKind::Secret, only: None, key }])
            }
            (None, Some(file), _) => {
                let (file, content) = read("public_key", file)?;
                let keys = pem::read(&content);
                Keys::Fixed(keys.map_err(|error| ("public_key", format!("{} {error}", file.display())))?)
            }
            (None, None, url) => {
                let authorities = match &config.jwks_ca {
                    Some(file) => {
                        let (file, content) = read("jwks_ca", file)?;
                        let authorities = certificates(&content);
                        authorities
                            .ok_or_else(|| ("jwks_ca", format!("{} has no certificate in PEM", file.display())))?
                    }
                    None => Authorities::Public,
                };
                let url = url.as_deref().unwrap_or_default().parse();
                Keys::Set(Arc::new(Jwks {
                    app: app.to_owned(),
                    url: url.map_err(|error| ("jwks_url", format!("is not an address: {error}")))?,
                    authorities,
                    keep: config.jwks_keep.get(),
                    timeout: config.jwks_timeout.get(),
                    most: config.jwks_bytes.bytes(),
                    state: Default::default(),
                }))
            }
        };
        let algorithms = config.algorithms().iter().map(|algorithm| of_the_library(*algorithm)).collect();
        Ok(Self { config: config.clone(), files, algorithms, keys })
    }

    /// Whether it demands the same with the same keys, so that what was fetched can be kept.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.config == other.config && self.files == other.files
    }

    /// Go on with the keys that were fetched `before`, if they come from the same place: their server may be down now.
    pub(crate) fn keep_keys(mut self, before: &Self) -> Self {
        let is_same_place = self.config.jwks_url == before.config.jwks_url && self.files == before.files;
        if let (Keys::Set(jwks), Keys::Set(before)) = (&mut self.keys, &before.keys)
            && is_same_place
            && let Some(jwks) = Arc::get_mut(jwks)
        {
            jwks.state = Arc::clone(&before.state);
        }
        self
    }

    /// Where a request may have its token.
    pub(crate) fn places(&self) -> &[TokenPlace] {
        &self.config.token_from
    }

    /// Whether a client needs a token.
    pub(crate) fn is_required(&self) -> bool {
        self.config.required
    }

    /// Verify a token. The clock is read when the keys are there, which may take a while.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub(crate) async fn verify(&self, token: &str, clock: impl FnOnce() -> SystemTime) -> Result<Verified, AuthError> {
        if token.len() > self.config.max_token_bytes.bytes() {
            return Err(AuthError::TooLong);
        }
        let header = verify::header(token)?;
        if !self.algorithms.contains(&header.alg) {
            return Err(AuthError::Algorithm);
        }
        let id = header.kid.as_deref();
        let keys = match &self.keys {
            // A key in the config has no id.
            Keys::Fixed(keys) => {
                keys.iter().filter(|key| key.fits(header.alg, id)).map(|key| key.key.clone()).collect()
            }
            Keys::Set(jwks) => jwks.keys(header.alg, id).await?,
        };
        let claims = verify::signature(token, header.alg, &keys, &self.config)?;
        verify::names(&claims, &self.config)?;
        verify::times(claims, self.config.leeway.get(), clock())
    }
}

/// The certificates of authorities. None if there is none, or one that cannot be used.
fn certificates(pem: &[u8]) -> Option<Authorities> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty()).then(|| Authorities::Only(Arc::new(roots)))
}
