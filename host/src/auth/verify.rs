//! What a token has to say, and what follows from it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::error::AuthError;
use crate::config::AuthConfig;

/// What a token that is accepted says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Its claims: a JSON object, as its maker has written it.
    pub(crate) claims: String,
    /// Of whom it is; none if it does not say that.
    pub(crate) subject: Option<Subject>,
    /// When it expires, if it does. Measured with the clock that does not jump.
    pub(crate) expiry: Option<Expiry>,
}

/// Of whom a token is: its `sub`, which means something only together with its `iss`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    sub: String,
    iss: Option<Json>,
}

/// When a token expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// Its `exp`.
    pub(crate) at: Instant,
    /// The same and `leeway`: when its connection is closed.
    pub(crate) closes: Instant,
}

/// The claims that the host looks at itself: the library would ask for the time of day of the machine, which is not that of a
/// simulation.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    sub: Option<String>,
    iss: Option<Json>,
}

/// For whom a token is, and of whom.
#[derive(Deserialize)]
struct Names {
    iss: Option<Json>,
    aud: Option<Json>,
}

/// The header of a token, which nobody has signed yet as far as is known.
///
/// # Errors
/// If there is none, or one that means more than is understood (RFC 7515, section 4.1.11).
pub(super) fn header(token: &str) -> Result<Header, AuthError> {
    let header = decode_header(token).map_err(|_| AuthError::Malformed)?;
    if header.crit.is_some() { Err(AuthError::Malformed) } else { Ok(header) }
}

/// The claims of a token that one of the keys has signed, for this app.
///
/// # Errors
/// If none has, or it is for another app.
pub(super) fn signature(
    token: &str,
    algorithm: Algorithm,
    keys: &[DecodingKey],
    config: &AuthConfig,
) -> Result<Box<RawValue>, AuthError> {
    let validation = validation(algorithm, config);
    let mut refused = AuthError::UnknownKey;
    for key in keys {
        match decode::<Box<RawValue>>(token, key, &validation) {
            Ok(verified) => return Ok(verified.claims),
            Err(error) => refused = reason(&error),
        }
        // Another key would not change anything else.
        if refused != AuthError::Signature {
            break;
        }
    }
    Err(refused)
}

/// What the library accepts and RFC 7519 (sections 4.1.1 and 4.1.3) does not: several issuers, and an audience that is no
/// text, or one although none is expected.
///
/// # Errors
/// If the token has such a claim.
pub(super) fn names(claims: &RawValue, config: &AuthConfig) -> Result<(), AuthError> {
    let Names { iss, aud } = serde_json::from_str(claims.get()).map_err(|_| AuthError::Malformed)?;
    if iss.is_some_and(|iss| !iss.is_string()) {
        return Err(AuthError::Issuer);
    }
    if aud.is_some() && config.audience.is_none() { Err(AuthError::Audience) } else { Ok(()) }
}

/// Whether a token with these claims counts now.
///
/// # Errors
/// If it does not.
pub(super) fn times(claims: Box<RawValue>, leeway: Duration, now: SystemTime) -> Result<Verified, AuthError> {
    let claims = String::from(Box::<str>::from(claims));
    if !claims.starts_with('{') {
        return Err(AuthError::Malformed);
    }
    let Claims { exp, nbf, sub, iss } = serde_json::from_str(&claims).map_err(|_| AuthError::Malformed)?;
    let (now, began) = (now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(), Instant::now());
    if nbf.is_some_and(|nbf| nbf > now + leeway.as_secs_f64()) {
        return Err(AuthError::NotYet);
    }
    let left = exp.map(|exp| exp - now);
    if left.is_some_and(|left| left + leeway.as_secs_f64() <= 0.0) {
        return Err(AuthError::Expired);
    }
    // What is further away than a clock can count does not expire.
    let left = left.and_then(|left| Duration::try_from_secs_f64(left.max(0.0)).ok().map(|until| (left, until)));
    let expiry = left.and_then(|(left, until)| {
        let closes = Duration::try_from_secs_f64(left + leeway.as_secs_f64()).ok()?;
        Some(Expiry { at: began.checked_add(until)?, closes: began.checked_add(closes)? })
    });
    let subject = sub.map(|sub| Subject { sub, iss });
    Ok(Verified { claims, subject, expiry })
}

/// What the library checks beside the signature. The times are not among it.
fn validation(algorithm: Algorithm, config: &AuthConfig) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.required_spec_claims.clear();
    if let Some(issuer) = &config.issuer {
        validation.set_issuer(&[issuer]);
        validation.required_spec_claims.insert("iss".to_owned());
    }
    if let Some(audience) = &config.audience {
        validation.set_audience(&audience.0);
        validation.required_spec_claims.insert("aud".to_owned());
    }
    validation
}

fn reason(error: &Error) -> AuthError {
    match error.kind() {
        ErrorKind::InvalidSignature => AuthError::Signature,
        ErrorKind::InvalidIssuer => AuthError::Issuer,
        ErrorKind::InvalidAudience => AuthError::Audience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => AuthError::Issuer,
        ErrorKind::MissingRequiredClaim(_) => AuthError::Audience,
        ErrorKind::InvalidAlgorithm => AuthError::Algorithm,
        _ => AuthError::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claims: &str, leeway: u64, now: u64) -> Result<Verified, AuthError> {
        let claims = RawValue::from_string(claims.to_owned()).unwrap();
        times(claims, Duration::from_secs(leeway), UNIX_EPOCH + Duration::from_secs(now))
    }

    #[test]
    fn a_token_counts_between_its_times_and_a_little_around_them() {
        let claims = "{\"nbf\":1000,\"exp\":2000}";
        for (now, leeway, expected) in [
            (999, 0, Err(AuthError::NotYet)),
            (1000, 0, Ok(())),
            (970, 30, Ok(())),
            (969, 30, Err(AuthError::NotYet)),
            (1999, 0, Ok(())),
            (2000, 0, Err(AuthError::Expired)),
            (2029, 30, Ok(())),
            (2030, 30, Err(AuthError::Expired)),
        ] {
            assert_eq!(check(claims, leeway, now).map(drop), expected, "{now} {leeway}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_last_a_little_longer_than_its_token() {
        let expiry = check("{\"exp\":1000.5,\"sub\":\"u\"}", 30, 1000).unwrap().expiry.unwrap();
        assert_eq!(expiry.at - Instant::now(), Duration::from_millis(500));
        assert_eq!(expiry.closes - Instant::now(), Duration::from_millis(30_500));
        let late = check("{\"exp\":999}", 30, 1000).unwrap().expiry.unwrap();
        assert_eq!((late.at - Instant::now(), late.closes - Instant::now()), (Duration::ZERO, Duration::from_secs(29)));
    }

    #[test]
    fn what_is_far_away_does_not_expire_and_what_is_malformed_is_refused() {
        for claims in ["{}", "{\"exp\":1e30}", "{\"exp\":null,\"sub\":null}"] {
            assert_eq!(check(claims, 30, 1000).unwrap().expiry, None, "{claims}");
        }
        for claims in [
            "[1]",
            "[1000,1,\"u\"]",
            "5",
            "{\"exp\":\"9999\"}",
            "{\"exp\":9999,\"exp\":1}",
            "{\"sub\":5}",
            "{\"exp\":1e999}",
        ] {
            assert_eq!(check(claims, 30, 1000), Err(AuthError::Malformed), "{claims}");
        }
    }
}
