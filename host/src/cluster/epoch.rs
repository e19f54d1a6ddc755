//! The epoch of a stream: a number that changes when the offsets of the stream may begin anew, because it was made anew, or
//! because its servers have lost the end of it. Positions of another epoch mean nothing.

use std::time::Duration;

use async_nats::jetstream::kv::{self, Store};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::error::ClusterError;

/// What the cluster agrees on about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Epoch {
    /// Less than 2^53.
    pub(super) number: u64,
    /// When its stream was made, in nanoseconds since 1970.
    pub(super) created: i128,
    /// Which policies of topics there are.
    #[serde(default)]
    pub(super) policies: u64,
    /// The last number of the stream when they changed: it does not say what was kept up to there.
    #[serde(default)]
    pub(super) changed: u64,
}

/// How often hosts try to agree.
const TRIES: usize = 20;

/// How long they wait in between.
const PAUSE: Duration = Duration::from_millis(50);

/// The epoch of a stream that was made at that time. A new one if there is none for it, or if the one that is known, `lost`, does
/// not count any more because messages were lost.
pub(super) async fn agree(store: &Store, key: &str, created: i128, lost: Option<Epoch>) -> Result<Epoch, ClusterError> {
    for _ in 0..TRIES {
        let entry = store.entry(key).await.map_err(ClusterError::away)?;
        let entry = entry.filter(|entry| entry.operation == kv::Operation::Put);
        let known = entry.as_ref().and_then(|entry| serde_json::from_slice::<Epoch>(&entry.value).ok());
        if let Some(known) =
            known.filter(|known| known.created == created && lost.is_none_or(|lost| lost.number != known.number))
        {
            return Ok(known);
        }
        let next = Epoch { number: rand::random::<u64>() >> 11, created, policies: 0, changed: 0 };
        let value = serde_json::to_vec(&next).map_err(ClusterError::away)?.into();
        let written = match &entry {
            Some(entry) => store.update(key, value, entry.revision).await.is_ok(),
            None => store.create(key, value).await.is_ok(),
        };
        if written {
            return Ok(next);
        }
        // Another host was faster, or NATS is away, which the next look tells.
        sleep(PAUSE).await;
    }
    Err(ClusterError::away("the epoch of the stream cannot be written"))
}

/// The epoch of a stream whose policies are others from now on, behind a number.
pub(super) async fn other_policies(
    store: &Store,
    key: &str,
    epoch: Epoch,
    policies: u64,
    changed: u64,
) -> Result<Epoch, ClusterError> {
    let entry = store.entry(key).await.map_err(ClusterError::away)?;
    let entry = entry.ok_or_else(|| ClusterError::away("the epoch of the stream is gone"))?;
    let next = Epoch { policies, changed, ..epoch };
    let value = serde_json::to_vec(&next).map_err(ClusterError::away)?.into();
    store.update(key, value, entry.revision).await.map_err(ClusterError::away)?;
    Ok(next)
}
