//! Buckets of keys and values, which are streams of a certain shape (ADR-8 of NATS).

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::error::ClusterError;

/// How long NATS remembers the ids of messages without being told.
const DUPLICATES: Duration = Duration::from_secs(120);

/// A bucket whose keys expire after that time, if it is not zero. The client's own function cannot read an answer of servers of
/// 2.9.
pub(super) async fn bucket(
    jetstream: &Context,
    name: &str,
    expires: Duration,
    replicas: usize,
) -> Result<Store, ClusterError> {
    let config = Config {
        name: format!("KV_{name}"),
        subjects: vec![format!("$KV.{name}.>")],
        max_messages_per_subject: 1,
        max_age: expires,
        duplicate_window: if expires.is_zero() { DUPLICATES } else { expires.min(DUPLICATES) },
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        num_replicas: replicas,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        ..Config::default()
    };
    let failed = |reason: String| ClusterError::Keep { name: name.to_owned(), reason };
    jetstream.get_or_create_stream(config).await.map_err(|error| failed(error.to_string()))?;
    jetstream.get_key_value(name).await.map_err(|error| failed(error.to_string()))
}
