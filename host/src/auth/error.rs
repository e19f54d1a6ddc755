//! Why a client is not let in.

/// Why a client is not let in. The texts are for the developer of the client, and have nothing of the token in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// The request has no token in any of the places.
    #[error("a token is needed")]
    Missing,
    /// It is longer than `max_token_bytes`.
    #[error("the token is longer than `max_token_bytes`")]
    TooLong,
    /// It does not have the form of a token, or a claim does not.
    #[error("the token cannot be read")]
    Malformed,
    /// It is signed with an algorithm that is not one of `algorithms`, or not signed at all.
    #[error("the token is not signed with one of `algorithms`")]
    Algorithm,
    /// No key has its key id, or is of its kind.
    #[error("the token is signed with a key that is not known")]
    UnknownKey,
    /// Somebody else has signed it, or changed it.
    #[error("the signature of the token is wrong")]
    Signature,
    /// Its `iss` is not `issuer`.
    #[error("the token is of another `iss`")]
    Issuer,
    /// Its `aud` is not one of `audience`.
    #[error("the token is for another `aud`")]
    Audience,
    /// Its `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// Its `nbf` has not come yet.
    #[error("the token is not valid yet")]
    NotYet,
    /// It is not of the one that the connection is of, or does not say of whom it is.
    #[error("the token is not of the same `sub` and `iss` as that of the connection")]
    Subject,
    /// No keys are known, and they cannot be fetched.
    #[error("the keys of tokens cannot be fetched")]
    NoKeys,
}
