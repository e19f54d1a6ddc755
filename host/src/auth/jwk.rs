//! A set of keys (RFC 7517), as a server sends it.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::keys::{Key, KeyKind};

/// More keys would only make each token without a key id more expensive.
const MOST_KEYS: usize = 100;

/// Characters of the smallest modulus of RSA that ring takes: 2048 bits in base64.
const SMALLEST: usize = 342;

/// Keys that the host cannot use are left out (section 5): a server may have some for other purposes.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// Why a set cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetError {
    #[error("it is not a set of keys: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("it has no public key of RSA with 2048 bits or more, of ECDSA on P-256 or P-384, or of Ed25519")]
    Empty,
}

/// The keys of a set that verify tokens.
///
/// # Errors
/// If there is none.
pub(super) fn read(json: &[u8]) -> Result<Vec<Key>, SetError> {
    let Set { keys } = serde_json::from_slice(json)?;
    let keys: Vec<Key> = keys.into_iter().filter_map(key).take(MOST_KEYS).collect();
    if keys.is_empty() { Err(SetError::Empty) } else { Ok(keys) }
}

fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let verifies = |operations: Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
    if !jwk.common.key_operations.clone().is_none_or(verifies) {
        return None;
    }
    let kind = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) if key.n.len() >= SMALLEST => KeyKind::Rsa,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => KeyKind::P256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => KeyKind::P384,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => KeyKind::Ed25519,
        // A small key is not safe, and a secret in a set that anybody may fetch is not one.
        _ => return None,
    };
    let only = match jwk.common.key_algorithm {
        // One of encryption, or one that is not known, is none of the library.
        Some(algorithm) => Some(Algorithm::try_from(algorithm).ok()?),
        None => None,
    };
    Some(Key { id: jwk.common.key_id.clone(), kind, only, key: DecodingKey::from_jwk(&jwk).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    fn read_all(keys: &[&str]) -> Result<Vec<Key>, SetError> {
        read(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
    }

    #[test]
    fn keys_for_other_purposes_are_left_out() {
        let keys = read_all(&[
            &format!("{P256},\"kid\":\"a\",\"alg\":\"ES256\",\"use\":\"sig\"}}"),
            &format!("{P256},\"kid\":\"b\",\"use\":\"enc\"}}"),
            &format!("{P256},\"kid\":\"c\",\"alg\":\"ECDH-ES\"}}"),
            &format!("{P256},\"kid\":\"d\"}}"),
            &format!("{P256},\"kid\":\"i\",\"key_ops\":[\"deriveKey\"]}}"),
            &format!("{P256},\"kid\":\"j\",\"key_ops\":[\"verify\"]}}"),
            &format!("{{\"kty\":\"RSA\",\"kid\":\"k\",\"e\":\"AQAB\",\"n\":\"{}\"}}", "A".repeat(341)),
            &format!("{{\"kty\":\"RSA\",\"kid\":\"l\",\"e\":\"AQAB\",\"n\":\"{}\"}}", "A".repeat(342)),
            r#"{"kty":"oct","k":"AAAA","kid":"e"}"#,
            r#"{"kty":"new","kid":"f"}"#,
            r#"{"kty":"RSA","kid":"g"}"#,
            r#""h""#,
        ])
        .unwrap();
        let found: Vec<_> = keys.iter().map(|key| (key.id.as_deref().unwrap(), key.kind, key.only)).collect();
        assert_eq!(
            found,
            [
                ("a", KeyKind::P256, Some(Algorithm::ES256)),
                ("d", KeyKind::P256, None),
                ("j", KeyKind::P256, None),
                ("l", KeyKind::Rsa, None)
            ]
        );
    }

    #[test]
    fn a_set_without_keys_is_an_error() {
        assert!(matches!(read_all(&[]), Err(SetError::Empty)));
        for json in ["", "[]", "{}", "{\"keys\":{}}"] {
            assert!(matches!(read(json.as_bytes()), Err(SetError::Malformed(_))), "{json}");
        }
    }

    #[test]
    fn a_key_is_for_its_own_algorithm_and_id() {
        let keys = read_all(&[&format!("{P256},\"kid\":\"a\"}}")]).unwrap();
        let fits = |algorithm, id| keys[0].fits(algorithm, id);
        assert!(fits(Algorithm::ES256, Some("a")) && fits(Algorithm::ES256, None));
        assert!(!fits(Algorithm::ES256, Some("b")) && !fits(Algorithm::ES384, Some("a")));
        assert!(!fits(Algorithm::HS256, Some("a")) && !fits(Algorithm::RS256, None));
    }
}
