//! The keys that verify tokens.

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};

use crate::config::TokenAlgorithm;

/// A key, and what it is for.
#[derive(Clone)]
pub(super) struct Key {
    /// Its key id (`kid`), if it has one.
    pub(super) id: Option<String>,
    pub(super) kind: KeyKind,
    /// The only algorithm that it may be used with, if it says so.
    pub(super) only: Option<Algorithm>,
    pub(super) key: DecodingKey,
}

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Key {
    /// Whether it may have signed a token with this algorithm and key id. A token without a key id may be of any key, and a key
    /// without one may be that of any token.
    pub(super) fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let is_named = match (&self.id, id) {
            (Some(own), Some(wanted)) => own == wanted,
            _ => true,
        };
        is_named && self.kind == kind(algorithm) && self.only.is_none_or(|only| only == algorithm)
    }
}

/// The kind of key that an algorithm needs.
fn kind(algorithm: Algorithm) -> KeyKind {
    match algorithm {
        Algorithm::ES256 => KeyKind::P256,
        Algorithm::ES384 => KeyKind::P384,
        Algorithm::EdDSA => KeyKind::Ed25519,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => KeyKind::Secret,
        _ => KeyKind::Rsa,
    }
}

/// The algorithm of the config, as the library calls it.
pub(super) fn of_the_library(algorithm: TokenAlgorithm) -> Algorithm {
    match algorithm {
        TokenAlgorithm::Hs256 => Algorithm::HS256,
        TokenAlgorithm::Hs384 => Algorithm::HS384,
        TokenAlgorithm::Hs512 => Algorithm::HS512,
        TokenAlgorithm::Rs256 => Algorithm::RS256,
        TokenAlgorithm::Rs384 => Algorithm::RS384,
        TokenAlgorithm::Rs512 => Algorithm::RS512,
        TokenAlgorithm::Ps256 => Algorithm::PS256,
        TokenAlgorithm::Ps384 => Algorithm::PS384,
        TokenAlgorithm::Ps512 => Algorithm::PS512,
        TokenAlgorithm::Es256 => Algorithm::ES256,
        TokenAlgorithm::Es384 => Algorithm::ES384,
        TokenAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

/// Whether two keys are the same one.
pub(super) fn is_same(one: &Key, other: &Key) -> bool {
    use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
    let is_equal = match (one.key.kind(), other.key.kind()) {
        (SecretOrDer(one), SecretOrDer(other)) => one == other,
        (RsaModulusExponent { n, e }, RsaModulusExponent { n: other_n, e: other_e }) => n == other_n && e == other_e,
        _ => false,
    };
    is_equal && (&one.id, one.kind) == (&other.id, other.kind)
}
