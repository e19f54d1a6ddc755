//! What the hosts of a cluster have in common, on NATS: the histories of topics in streams of JetStream, messages for the
//! subscribers of other hosts, and numbers that tell the hosts apart.
//!
//! Reading order: `connect` → `names` → `message` → `stream` (one for each app: storing, reading, listening) → `epoch` → `numbers`.
//!
//! A stream gives each message of its topics a number, the offset of its position, and passes the message on to the hosts that
//! listen to its topic. All hosts deliver only what is passed on, so that all subscribers see one order.

mod bucket;
mod connect;
mod epoch;
mod error;
mod message;
mod names;
mod numbers;
mod stream;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use crate::config::ClusterConfig;
use names::Names;
use numbers::Lease;

pub(crate) use error::ClusterError;
pub(crate) use message::{Arrived, Outgoing, Placed};
pub(crate) use stream::{AppStream, Listening, ReadPage, Shape, Stored};

/// The part of a host in its cluster.
pub(crate) struct Cluster {
    client: Client,
    jetstream: Context,
    names: Names,
    config: ClusterConfig,
    connections: watch::Receiver<u64>,
    next_id: Arc<AtomicU64>,
    lease: Lease,
}

impl Cluster {
    /// Connect, and take a number that no other host has. Paths in the config are relative to `folder`.
    ///
    /// # Errors
    /// If the servers cannot be used.
    pub(crate) async fn join(config: &ClusterConfig, folder: &Path) -> Result<Arc<Self>, ClusterError> {
        let (client, connections) = connect::connect(config, folder).await?;
        let jetstream = jetstream::new(client.clone());
        check_jetstream(&client).await?;
        let names = Names::new(&config.name);
        let next_id = Arc::new(AtomicU64::new(0));
        let lease = Lease::take(&jetstream, &names.hosts(), config.replicas, &next_id).await?;
        let config = config.clone();
        Ok(Arc::new(Self { client, jetstream, names, config, connections, next_id, lease }))
    }

    /// The id of the next connection, which no other host of the cluster gives.
    pub(crate) fn next_id(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.next_id)
    }

    /// The config of the cluster.
    pub(crate) fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Whether a server can be reached now.
    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// A number that changes when messages may have been lost.
    pub(crate) fn interruptions(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    /// The topics of an app.
    pub(crate) fn app(self: &Arc<Self>, name: &str) -> Arc<AppStream> {
        Arc::new(AppStream::new(Arc::clone(self), name))
    }

    /// Leave: another host may have the number at once.
    pub(crate) async fn leave(&self) {
        self.lease.give_back().await;
        // What was published last is on its way.
        let _ = self.client.flush().await;
    }
}

/// Whether the servers keep streams for this account. The client's own question cannot read the answer of a server of 2.9.
async fn check_jetstream(client: &Client) -> Result<(), ClusterError> {
    let none = |reason: String| ClusterError::NoJetStream(reason);
    let answer = client.request("$JS.API.INFO", Bytes::new()).await.map_err(|error| none(error.to_string()))?;
    let answer: Value = serde_json::from_slice(&answer.payload).map_err(|error| none(error.to_string()))?;
    match answer.pointer("/error/description") {
        Some(reason) => Err(none(reason.as_str().unwrap_or_default().to_owned())),
        None => Ok(()),
    }
}
