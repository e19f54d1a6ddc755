//! The token that the client of a connection has shown.

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::auth::{AuthError, Expiry, Subject, Verified};

/// What the host keeps of a token: of whom it is, and until when it counts.
pub(crate) struct TokenInUse {
    subject: Option<Subject>,
    expiry: Mutex<Option<Expiry>>,
}

impl TokenInUse {
    pub(super) fn new(verified: &Verified) -> Self {
        Self { subject: verified.subject.clone(), expiry: Mutex::new(verified.expiry) }
    }

    /// Whether another token is of the same user. One without a `sub` may be anybody's.
    pub(crate) fn is_of_the_same(&self, verified: &Verified) -> bool {
        self.subject.is_some() && verified.subject == self.subject
    }

    /// Use another token from now on.
    ///
    /// # Errors
    /// If it is of someone else: the module knows whose connection it is, and would not learn that it has changed.
    pub(crate) fn replace(&self, verified: &Verified) -> Result<(), AuthError> {
        if !self.is_of_the_same(verified) {
            return Err(AuthError::Subject);
        }
        *self.expiry.lock() = verified.expiry;
        Ok(())
    }

    /// When the connection is to be closed.
    pub(crate) fn closes(&self) -> Option<Instant> {
        self.expiry.lock().map(|expiry| expiry.closes)
    }

    /// Milliseconds until the token expires.
    pub(crate) fn expires(&self) -> Option<u64> {
        let left = self.expiry.lock().map(|expiry| expiry.at.saturating_duration_since(Instant::now()))?;
        u64::try_from(left.as_millis()).ok()
    }
}
