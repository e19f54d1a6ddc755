//! `[apps.NAME.auth]`: which tokens clients have to show.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::scalars::{Plain, one_or_many};
use super::{Duration, Secret, Size};

/// Clients show a JSON Web Token (JWT, RFC 7519), which the host verifies before the module is asked. Without this table they
/// need none. Exactly one of `hmac_secret`, `public_key` and `jwks_url` says with which keys tokens are signed. A token with an
/// `exp` closes its connection with 4401 when it expires, unless the client sends another one with `hassock.v1`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, expecting = "a table with `hmac_secret`, `public_key` or `jwks_url`")]
pub struct AuthConfig {
    /// The secret that the maker of the tokens has too, such as `"${JWT_SECRET}"`, which is an environment variable. Its bytes
    /// are the key; it is not decoded. It has at least 32 bytes, 48 for `HS384`, 64 for `HS512`. Without the key: one of the
    /// other two says which keys there are.
    pub hmac_secret: Option<Secret>,
    /// A file in PEM with public keys, relative to the config file: RSA with 2048 bits or more, ECDSA on P-256 or P-384, or
    /// Ed25519. Several may stand in it, so that an old and a new key overlap. A reload reads it again. Without the key: one of
    /// the other two says which keys there are.
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub public_key: Option<PathBuf>,
    /// The address of a set of public keys (JWKS, RFC 7517), with `https://`, or `http://` on this machine. Redirections are not
    /// followed. Without the key: one of the other two says which keys there are.
    pub jwks_url: Option<String>,
    /// A file in PEM with the certificates of the authorities that may have signed that of `jwks_url`, relative to the config
    /// file. Without the key: public authorities.
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub jwks_ca: Option<PathBuf>,
    /// How long a set of keys counts before it is fetched again. Keys that are not in the next set any more count for as long once
    /// more, counted from the last time at which they were in it, because tokens that they have signed are still about. If the server is down, the keys that are known go on
    /// counting. A token with an unknown key id has the set fetched early, at most every 30 seconds.
    pub jwks_keep: Duration,
    /// How long the server of `jwks_url` may take: handshakes wait for it.
    pub jwks_timeout: Duration,
    /// Bytes of a set of keys, which are in memory: a server that is not the right one may send anything.
    pub jwks_bytes: Size,
    /// The algorithms that tokens may be signed with: `HS256`, `HS384` and `HS512` with `hmac_secret`; otherwise `RS256`, `RS384`,
    /// `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384` and `EdDSA`, each with its kind of key. Without the key: `HS256`, or
    /// `RS256`, `ES256`, `ES384` and `EdDSA`.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub algorithms: Option<Vec<TokenAlgorithm>>,
    /// The `iss` that a token must have. Without the key: any, or none.
    pub issuer: Option<String>,
    /// What the `aud` of a token must be, or have: a text or a list, one of which is enough. Without the key: a token that has
    /// an `aud` is refused, because it was made for someone else.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub audience: Option<Audience>,
    /// How much the clocks of the host and of the maker of the tokens may differ: a token counts for so long before its `nbf`,
    /// and after its `exp`.
    pub leeway: Duration,
    /// Where a request may have its token; the first place that has one counts. `"header"`: `Authorization: Bearer TOKEN`.
    /// `"subprotocol"`: the state of `hassock.v1`, or `hassock.token.TOKEN` in `Sec-WebSocket-Protocol`. `"query:NAME"`: a parameter
    /// of the address, which proxies write to their logs. `"cookie:NAME"`: a cookie.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub token_from: Vec<TokenPlace>,
    /// Whether a client needs a token. If not, the module gets a client without one, with no claims. A token that is not
    /// accepted is refused in any case.
    pub required: bool,
    /// Bytes of a token, at most 8 KiB: a request has 16 KiB, in which the token may be in base64 once more.
    pub max_token_bytes: Size,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            hmac_secret: None,
            public_key: None,
            jwks_url: None,
            jwks_ca: None,
            jwks_keep: Duration::from_secs(600),
            jwks_timeout: Duration::from_secs(5),
            jwks_bytes: Size::kibibytes(256),
            algorithms: None,
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(30),
            token_from: vec![TokenPlace::Header, TokenPlace::Subprotocol],
            required: true,
            max_token_bytes: Size::kibibytes(8),
        }
    }
}

impl AuthConfig {
    /// The algorithms that tokens may be signed with.
    pub fn algorithms(&self) -> &[TokenAlgorithm] {
        use TokenAlgorithm::{EdDSA, Es256, Es384, Hs256, Rs256};
        match (&self.algorithms, &self.hmac_secret) {
            (Some(algorithms), _) => algorithms,
            (None, Some(_)) => &[Hs256],
            (None, None) => &[Rs256, Es256, Es384, EdDSA],
        }
    }
}

/// An algorithm that signs tokens (RFC 7518 and RFC 8037). `none` is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub enum TokenAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    #[serde(rename = "EdDSA")]
    EdDSA,
}

impl TokenAlgorithm {
    /// The bytes that a secret must have: those of the hash (RFC 7518, section 3.2). None if the algorithm has no secret.
    pub const fn least_secret(self) -> Option<usize> {
        match self {
            Self::Hs256 => Some(32),
            Self::Hs384 => Some(48),
            Self::Hs512 => Some(64),
            _ => None,
        }
    }
}

/// The values of `aud` of which a token must have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Audience(pub Vec<String>);

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer, "a text or a list of texts").map(Self)
    }
}

/// Where a request may have its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// `Authorization: Bearer TOKEN`.
    Header,
    /// A parameter of the query, of this name.
    Query(String),
    /// A cookie of this name.
    Cookie(String),
    /// Beside the subprotocols.
    Subprotocol,
}

/// Why a text is not a place of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a place of a token; write \"header\", \"subprotocol\", \"query:NAME\" or \"cookie:NAME\"")]
pub struct NotAPlace(String);

impl FromStr for TokenPlace {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        match (text, text.split_once(':')) {
            ("header", _) => Ok(Self::Header),
            ("subprotocol", _) => Ok(Self::Subprotocol),
            (_, Some(("query", name))) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            (_, Some(("cookie", name))) if !name.is_empty() => Ok(Self::Cookie(name.to_owned())),
            _ => Err(NotAPlace(text.to_owned())),
        }
    }
}

impl fmt::Display for TokenPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => formatter.write_str("header"),
            Self::Subprotocol => formatter.write_str("subprotocol"),
            Self::Query(name) => write!(formatter, "query:{name}"),
            Self::Cookie(name) => write!(formatter, "cookie:{name}"),
        }
    }
}

impl<'de> Deserialize<'de> for TokenPlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Plain::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }
}
