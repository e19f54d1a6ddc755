//! The epoch of a stream: a number that changes when the offsets of the stream may begin anew, because it was made anew, or
//! because its servers have lost the end of it. Positions of another epoch mean nothing.

use async_nats::jetstream::kv::{self, Store};
use serde::{Deserialize, Serialize};

use super::error::ClusterError;

/// What the cluster agrees on about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Epoch {
    /// Less than 2^53.
    pub(super) number: u64,
    /// When its stream was made, in nanoseconds since 1970.
    pub(super) created: i128,
}

/// The epoch of a stream that was made at that time. A new one if there is none for it, or if the one that is known, `lost`, does
/// not count any more because messages were lost.
pub(super) async fn agree(store: &Store, key: &str, created: i128, lost: Option<Epoch>) -> Result<Epoch, ClusterError> {
    loop {
        let entry = store.entry(key).await.map_err(ClusterError::away)?;
        let entry = entry.filter(|entry| entry.operation == kv::Operation::Put);
        let known = entry.as_ref().and_then(|entry| serde_json::from_slice::<Epoch>(&entry.value).ok());
        if let Some(known) = known.filter(|known| known.created == created && Some(*known) != lost) {
            return Ok(known);
        }
        let next = Epoch { number: rand::random::<u64>() >> 11, created };
        let value = serde_json::to_vec(&next).map_err(ClusterError::away)?.into();
        let written = match &entry {
            Some(entry) => store.update(key, value, entry.revision).await.is_ok(),
            None => store.create(key, value).await.is_ok(),
        };
        if written {
            return Ok(next);
        }
        // Another host was faster, or NATS is away, which the next look tells.
    }
}
