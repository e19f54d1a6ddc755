//! The numbers of hosts: each host has one as long as it is there, which its connection ids begin with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{CreateErrorKind, Store, UpdateErrorKind};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::bucket::bucket;
use super::error::ClusterError;

/// How many hosts a cluster can have.
const HOSTS: u64 = 1 << 10;

/// Ids are below 2^53, so that they are exact in JavaScript. The rest is the number of the host.
const BITS: u32 = 43;

/// A host that says nothing for so long is gone, and another one may have its number.
const EXPIRES: Duration = Duration::from_secs(15);

/// How often a host says that it is there.
const RENEW: Duration = Duration::from_secs(5);

/// The second in which ids begin: 2026-01-01T00:00:00Z.
const ERA: u64 = 1_767_225_600;

/// The number of this host, which is renewed until this is dropped.
pub(super) struct Lease {
    store: Store,
    held: Arc<Mutex<Held>>,
    renewing: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    number: u64,
    revision: u64,
}

impl Lease {
    /// Take a number that is free. `next_id` becomes the first id with it.
    ///
    /// # Errors
    /// If there is none, or NATS does not answer.
    pub(super) async fn take(
        jetstream: &Context,
        name: &str,
        replicas: usize,
        next_id: &Arc<AtomicU64>,
    ) -> Result<Self, ClusterError> {
        let store = bucket(jetstream, name, EXPIRES, replicas).await?;
        let held = take_one(&store, next_id).await?;
        let held = Arc::new(Mutex::new(held));
        let renewing = tokio::spawn(renew(store.clone(), Arc::clone(&held), Arc::clone(next_id)));
        Ok(Self { store, held, renewing })
    }

    /// Let others have the number.
    pub(super) async fn give_back(&self) {
        self.renewing.abort();
        let held = *self.held.lock();
        // It expires anyway.
        let _ = self.store.delete_expect_revision(key(held.number), Some(held.revision)).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

async fn take_one(store: &Store, next_id: &AtomicU64) -> Result<Held, ClusterError> {
    let first = rand::random_range(0..HOSTS);
    for number in (first..HOSTS).chain(0..first) {
        match store.create(key(number), about()).await {
            Ok(revision) => {
                next_id.store(first_id(number), Ordering::Relaxed);
                return Ok(Held { number, revision });
            }
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {}
            Err(error) => return Err(ClusterError::away(error)),
        }
    }
    Err(ClusterError::Full(HOSTS))
}

/// Say again and again that this host is there. A host that could not for too long, and whose number another one has, takes
/// another one: the ids of its connections stay different, because those of the other host began later.
async fn renew(store: Store, held: Arc<Mutex<Held>>, next_id: Arc<AtomicU64>) {
    loop {
        sleep(RENEW).await;
        let Held { number, revision } = *held.lock();
        let renewed = match store.update(key(number), about(), revision).await {
            Ok(revision) => Some(Held { number, revision }),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => again(&store, number, &next_id).await,
            // NATS is away. It is tried again.
            Err(_) => None,
        };
        if let Some(renewed) = renewed {
            *held.lock() = renewed;
        }
    }
}

/// The number has expired.
async fn again(store: &Store, number: u64, next_id: &AtomicU64) -> Option<Held> {
    match store.create(key(number), about()).await {
        Ok(revision) => Some(Held { number, revision }),
        Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {
            tracing::warn!("another host has the number of this one now, which takes another one");
            take_one(store, next_id).await.ok()
        }
        Err(_) => None,
    }
}

/// The first id of a host that starts now. Ids grow with time, so that a host that has a number after another one gives other
/// ids, as long as no host has more than 8,192 new connections a second for its whole life.
fn first_id(number: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    id(number, now)
}

fn id(number: u64, now: u64) -> u64 {
    let since = now.saturating_sub(ERA) << 13;
    (number << BITS) | (since & ((1 << BITS) - 1)).max(1)
}

fn key(number: u64) -> String {
    number.to_string()
}

/// For an operator who looks into the bucket.
fn about() -> Bytes {
    format!("process {}", std::process::id()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_exact_in_javascript_and_differ() {
        let later = ERA + 34 * 365 * 86_400;
        assert!(id(HOSTS - 1, later) < 1 << 53);
        assert_eq!(id(0, 0), 1, "0 is not an id");
        assert_eq!(id(3, ERA + 10) - id(3, ERA + 9), 8192);
        assert_eq!(id(4, ERA) >> BITS, 4);
    }
}
