//! The cryptography of tokens: ring, which TLS uses too. The library has backends of its own, which need a crate that has the
//! Marvin attack, or a C library.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::Verifier as Verify;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::hmac;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Let the library verify with ring. The library has one provider in a process.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    // The host is the only one that installs one.
    ONCE.call_once(|| {
        let _ = PROVIDER.install_default();
    });
}

/// The host signs nothing.
fn signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

/// What verifies one token.
struct Verifier {
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    Secret(hmac::Key),
    Public(UnparsedPublicKey<Vec<u8>>),
    /// Its modulus and exponent.
    Rsa(&'static RsaParameters, RsaPublicKeyComponents<Vec<u8>>),
}

/// A verifier for an algorithm of the family of the key, and for no other: a public key must never be taken for a secret.
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let algorithm = *algorithm;
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let public = |how: &'static dyn VerificationAlgorithm, bytes: &[u8]| {
        Key::Public(UnparsedPublicKey::new(how, bytes.to_vec()))
    };
    let key = match (key.kind(), algorithm.family()) {
        (DecodingKeyKind::SecretOrDer(bytes), AlgorithmFamily::Hmac) => {
            Key::Secret(hmac::Key::new(hash(algorithm)?, bytes))
        }
        (DecodingKeyKind::SecretOrDer(bytes), AlgorithmFamily::Ec) => public(curve(algorithm)?, bytes),
        (DecodingKeyKind::SecretOrDer(bytes), AlgorithmFamily::Ed) => public(&signature::ED25519, bytes),
        (DecodingKeyKind::SecretOrDer(bytes), AlgorithmFamily::Rsa) => public(padding(algorithm)?, bytes),
        (DecodingKeyKind::RsaModulusExponent { n, e }, AlgorithmFamily::Rsa) => {
            Key::Rsa(padding(algorithm)?, RsaPublicKeyComponents { n: number(n), e: number(e) })
        }
        (DecodingKeyKind::RsaModulusExponent { .. }, _) => return Err(ErrorKind::InvalidKeyFormat.into()),
    };
    Ok(Box::new(Verifier { algorithm, key }))
}

fn hash(algorithm: Algorithm) -> Result<hmac::Algorithm, Error> {
    match algorithm {
        Algorithm::HS256 => Ok(hmac::HMAC_SHA256),
        Algorithm::HS384 => Ok(hmac::HMAC_SHA384),
        Algorithm::HS512 => Ok(hmac::HMAC_SHA512),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

/// Signatures are two numbers of a fixed length (RFC 7518, section 3.4), not ASN.1.
fn curve(algorithm: Algorithm) -> Result<&'static dyn VerificationAlgorithm, Error> {
    match algorithm {
        Algorithm::ES256 => Ok(&signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Ok(&signature::ECDSA_P384_SHA384_FIXED),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

fn padding(algorithm: Algorithm) -> Result<&'static RsaParameters, Error> {
    match algorithm {
        Algorithm::RS256 => Ok(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Ok(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Ok(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Ok(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Ok(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Ok(&signature::RSA_PSS_2048_8192_SHA512),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

/// A number as ring takes it. Some servers write zeros before it.
fn number(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}

impl JwtVerifier for Verifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verify<Vec<u8>> for Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), jsonwebtoken::signature::Error> {
        let verified = match &self.key {
            Key::Secret(key) => hmac::verify(key, message, signature),
            Key::Public(key) => key.verify(message, signature),
            Key::Rsa(padding, key) => key.verify(padding, message, signature),
        };
        verified.map_err(|_| jsonwebtoken::signature::Error::new())
    }
}
