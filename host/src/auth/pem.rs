//! Public keys in PEM.

use jsonwebtoken::DecodingKey;
use rustls::pki_types::alg_id;
use rustls::pki_types::pem::{PemObject, SectionKind};

use super::keys::{Key, KeyKind};

/// The tags of DER.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// Bytes of the smallest modulus of RSA that ring takes: 2048 bits.
const LEAST_MODULUS: usize = 256;

/// Why a file cannot be used. The text goes on after the name of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PemError {
    #[error("is not PEM")]
    Malformed,
    #[error("has no public key: it has to have `-----BEGIN PUBLIC KEY-----`, as `openssl pkey -pubout` writes it")]
    None,
    #[error(
        "has a private key, which the host does not need and should not have; write the public one with `openssl pkey -pubout`"
    )]
    Private,
    #[error("has a certificate; write its public key with `openssl x509 -pubkey -noout`")]
    Certificate,
    #[error("has a key that is neither RSA, nor ECDSA on P-256 or P-384, nor Ed25519")]
    Unknown,
    #[error("has a key of RSA with fewer than 2048 bits, which is not safe any more")]
    Small,
}

/// All keys of a file.
///
/// # Errors
/// If there is none, or something else.
pub(super) fn read(pem: &[u8]) -> Result<Vec<Key>, PemError> {
    let mut keys = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|_| PemError::Malformed)?;
        match kind {
            SectionKind::PublicKey => keys.push(key(&der)?),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                return Err(PemError::Private);
            }
            SectionKind::Certificate => return Err(PemError::Certificate),
            _ => return Err(PemError::None),
        }
    }
    if keys.is_empty() { Err(PemError::None) } else { Ok(keys) }
}

/// A `SubjectPublicKeyInfo` (RFC 5280, section 4.1).
fn key(der: &[u8]) -> Result<Key, PemError> {
    let (algorithm, bytes) = parts(der).ok_or(PemError::Malformed)?;
    let (kind, key) = match algorithm {
        known if known == alg_id::RSA_ENCRYPTION.as_ref() => {
            if modulus(bytes).ok_or(PemError::Malformed)?.len() < LEAST_MODULUS {
                return Err(PemError::Small);
            }
            (KeyKind::Rsa, DecodingKey::from_rsa_der(bytes))
        }
        known if known == alg_id::ECDSA_P256.as_ref() => (KeyKind::P256, DecodingKey::from_ec_der(bytes)),
        known if known == alg_id::ECDSA_P384.as_ref() => (KeyKind::P384, DecodingKey::from_ec_der(bytes)),
        known if known == alg_id::ED25519.as_ref() => (KeyKind::Ed25519, DecodingKey::from_ed_der(bytes)),
        _ => return Err(PemError::Unknown),
    };
    Ok(Key { id: None, kind, only: None, key })
}

/// The identifier of the algorithm, and the key itself.
fn parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (info, []) = element(der, SEQUENCE)? else { return None };
    let (algorithm, rest) = element(info, SEQUENCE)?;
    let (bits, []) = element(rest, BIT_STRING)? else { return None };
    // The number of bits at the end that do not count.
    let (0, key) = bits.split_first()? else { return None };
    Some((algorithm, key))
}

/// The modulus of a key of RSA, without zeros before it.
fn modulus(key: &[u8]) -> Option<&[u8]> {
    let (numbers, []) = element(key, SEQUENCE)? else { return None };
    let (modulus, _) = element(numbers, INTEGER)?;
    Some(modulus.strip_prefix(&[0]).unwrap_or(modulus))
}

/// The content of the element at the beginning, and what comes behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (_, rest) = der.split_first().filter(|(found, _)| **found == tag)?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // So many bytes of length follow. Keys are shorter than 64 KiB.
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
";
    const ED25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";

    fn kinds(pem: &str) -> Result<Vec<KeyKind>, PemError> {
        Ok(read(pem.as_bytes())?.into_iter().map(|key| key.kind).collect())
    }

    #[test]
    fn a_file_may_have_several_keys() {
        assert_eq!(kinds(&format!("old:\n{P256}\nnew:\n{ED25519}")), Ok(vec![KeyKind::P256, KeyKind::Ed25519]));
    }

    #[test]
    fn what_is_no_public_key_is_named() {
        let section = |name: &str, body: &str| format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n");
        for (pem, error) in [
            (String::new(), PemError::None),
            ("hello".to_owned(), PemError::None),
            (format!("{P256}{}", section("PRIVATE KEY", "AAAA")), PemError::Private),
            (section("CERTIFICATE", "AAAA"), PemError::Certificate),
            (section("PUBLIC KEY", "AAAA"), PemError::Malformed),
            // X25519, which signs nothing.
            (section("PUBLIC KEY", "MCowBQYDK2VuAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="), PemError::Unknown),
            // RSA with 512 bits.
            (
                section(
                    "PUBLIC KEY",
                    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==",
                ),
                PemError::Small,
            ),
        ] {
            assert_eq!(kinds(&pem), Err(error), "{pem}");
        }
    }

    /// Whatever the bytes are, reading them ends with a result.
    #[test]
    fn cut_or_changed_keys_are_errors() {
        let der = <(SectionKind, Vec<u8>)>::pem_slice_iter(P256.as_bytes()).next().unwrap().unwrap().1;
        for end in 0..der.len() {
            assert!(key(&der[..end]).is_err(), "{end}");
        }
        // What follows is the key itself.
        for index in 0..26 {
            let mut changed = der.clone();
            changed[index] ^= 0xff;
            assert!(key(&changed).is_err(), "{index}");
        }
    }
}
