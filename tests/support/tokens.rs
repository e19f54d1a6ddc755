//! Makers of JSON Web Tokens, with keys of their own.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use ring::{digest, hmac};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// A key of RSA, which ring does not generate. It is good for nothing but tests.
const RSA: &[u8] = include_bytes!("tokens/rsa.pem");

/// What comes before the key itself in a `SubjectPublicKeyInfo`, in hex.
const P256_INFO: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
const P384_INFO: &str = "3076301006072a8648ce3d020106052b81040022036200";
const ED25519_INFO: &str = "302a300506032b6570032100";
const RSA_INFO: &str = "30820122300d06092a864886f70d01010105000382010f00";

/// Makes tokens that are signed with one algorithm and one key.
pub struct TokenMaker {
    algorithm: &'static str,
    /// The key id in the header, if there is one.
    pub id: Option<String>,
    key: Key,
}

enum Key {
    Secret(hmac::Key),
    Ec(Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
}

/// Now, in seconds since 1970, as the claims of a token have it.
///
/// # Panics
/// If it is earlier.
pub fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_else(|error| panic!("{error}")).as_secs()
}

impl TokenMaker {
    /// One with a secret, which is shared with the host.
    ///
    /// # Panics
    /// If the algorithm has none.
    pub fn secret(algorithm: &'static str, secret: &str) -> Self {
        let hash = match algorithm {
            "HS256" => hmac::HMAC_SHA256,
            "HS384" => hmac::HMAC_SHA384,
            "HS512" => hmac::HMAC_SHA512,
            other => panic!("{other} has no secret"),
        };
        Self { algorithm, id: None, key: Key::Secret(hmac::Key::new(hash, secret.as_bytes())) }
    }

    /// One with a new key, or with the only one of RSA.
    ///
    /// # Panics
    /// If the algorithm is not known.
    pub fn new(algorithm: &'static str) -> Self {
        let random = SystemRandom::new();
        let ec = |how: &'static EcdsaSigningAlgorithm| {
            let made = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap_or_else(|error| panic!("no key: {error}"));
            let key = EcdsaKeyPair::from_pkcs8(how, made.as_ref(), &random);
            Key::Ec(Box::new(key.unwrap_or_else(|error| panic!("no key: {error}"))))
        };
        let key = match algorithm {
            "ES256" => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            "EdDSA" => {
                let made = Ed25519KeyPair::generate_pkcs8(&random).unwrap_or_else(|error| panic!("no key: {error}"));
                let key = Ed25519KeyPair::from_pkcs8(made.as_ref());
                Key::Ed(Box::new(key.unwrap_or_else(|error| panic!("no key: {error}"))))
            }
            _ => {
                let der = PrivatePkcs8KeyDer::from_pem_slice(RSA).unwrap_or_else(|error| panic!("no key: {error}"));
                let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der());
                Key::Rsa(Box::new(key.unwrap_or_else(|error| panic!("no key: {error}"))))
            }
        };
        Self { algorithm, id: None, key }
    }

    /// The same with a key id.
    #[must_use]
    pub fn named(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    /// The same without a key id.
    #[must_use]
    pub fn anonymous(self) -> Self {
        Self { id: None, ..self }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let mut header = json!({ "alg": self.algorithm, "typ": "JWT" });
        if let Some(id) = &self.id {
            header["kid"] = json!(id);
        }
        self.token_with(&header, claims)
    }

    /// A token of a user that expires after so many seconds.
    pub fn for_seconds(&self, user: &str, left: u64) -> String {
        self.token(&json!({ "sub": user, "exp": seconds() + left }))
    }

    /// A token with this header, whatever that says.
    ///
    /// # Panics
    /// If it cannot be signed.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes())))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
            Key::Ec(key) => {
                let signed = key.sign(&random, message).unwrap_or_else(|error| panic!("not signed: {error}"));
                signed.as_ref().to_vec()
            }
            Key::Ed(key) => key.sign(message).as_ref().to_vec(),
            Key::Rsa(key) => {
                let padding: &dyn RsaEncoding = match self.algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    other => panic!("{other} is not known"),
                };
                let mut signed = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut signed).unwrap_or_else(|error| panic!("not signed: {error}"));
                signed
            }
        }
    }

    /// The public key in PEM.
    ///
    /// # Panics
    /// If it has none.
    pub fn pem(&self) -> String {
        let (info, key) = match &self.key {
            Key::Secret(_) => panic!("a secret is not public"),
            Key::Ec(key) if self.algorithm == "ES256" => (P256_INFO, key.public_key().as_ref()),
            Key::Ec(key) => (P384_INFO, key.public_key().as_ref()),
            Key::Ed(key) => (ED25519_INFO, key.public_key().as_ref()),
            Key::Rsa(key) => (RSA_INFO, key.public_key().as_ref()),
        };
        let byte = |at: usize| u8::from_str_radix(&info[at..at + 2], 16).unwrap_or_default();
        let der: Vec<u8> = (0..info.len()).step_by(2).map(byte).chain(key.iter().copied()).collect();
        let body = BASE64_STANDARD.encode(der);
        let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The public key as a member of a set. Its id is that of the tokens, or one that is made of the key.
    ///
    /// # Panics
    /// If it has none.
    pub fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.key {
            Key::Secret(_) => panic!("a secret is not public"),
            Key::Ec(key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Key::Ed(key) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref()) }),
            Key::Rsa(key) => {
                let key = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "n": encode(&key.n), "e": encode(&key.e) })
            }
        };
        let made = || encode(digest::digest(&digest::SHA256, jwk.to_string().as_bytes()).as_ref());
        let id = self.id.clone().unwrap_or_else(made);
        jwk["kid"] = json!(id);
        jwk["use"] = json!("sig");
        jwk
    }
}
