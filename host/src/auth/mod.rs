//! JSON Web Tokens (RFC 7519): what a client shows before the module is asked.
//!
//! `places` finds the token of a request, `verify` checks it with the `keys` that fit it, which are in the config or, as a set, at
//! an address (`jwks`). Signatures are verified by ring (`provider`). No text of this module has anything of a token in it.

mod authenticator;
mod error;
mod jwk;
mod jwks;
mod keys;
mod pem;
mod places;
mod provider;
mod verify;

pub(crate) use authenticator::Authenticator;
pub(crate) use error::AuthError;
pub(crate) use places::{CHOICE, Presented, find, strip};
pub(crate) use verify::{Expiry, Subject, Verified};
