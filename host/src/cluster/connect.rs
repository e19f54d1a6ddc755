//! The connection to the servers of NATS.

use std::path::Path;
use std::sync::Arc;

use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::ClusterError;
use crate::VERSION;
use crate::config::ClusterConfig;

/// How many messages of one topic may wait for the host. More are lost, which the host notices, and reads them.
const WAITING: usize = 4096;

/// Connect to the servers of a config, whose paths are relative to `folder`. The number in the result grows with each connection
/// after the first one: what was sent meanwhile may be lost.
///
/// # Errors
/// If the config cannot be used, or no server can be in time.
pub(super) async fn connect(
    config: &ClusterConfig,
    folder: &Path,
) -> Result<(Client, watch::Receiver<u64>), ClusterError> {
    let (connections, connected) = watch::channel(0);
    let connections = Arc::new(connections);
    let options = options(config, folder).await?.event_callback(move |event| {
        note(&event, &connections);
        std::future::ready(())
    });
    let urls = config.url.0.join(", ");
    let failed = |reason: String| ClusterError::Connect { urls: urls.clone(), reason };
    let connecting = options.connect(config.url.0.clone());
    let client = match timeout(config.connect_timeout.get(), connecting).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed("there was no answer within `connect_timeout`".to_owned())),
    };
    Ok((client, connected))
}

async fn options(config: &ClusterConfig, folder: &Path) -> Result<ConnectOptions, ClusterError> {
    let mut options = ConnectOptions::new()
        .name(VERSION)
        // A host delivers what nobody keeps itself.
        .no_echo()
        .subscription_capacity(WAITING);
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        options = options.user_and_password(user.clone(), password.expose().to_owned());
    }
    if let Some(token) = &config.token {
        options = options.token(token.expose().to_owned());
    }
    if let Some(seed) = &config.nkey {
        options = options.nkey(seed.expose().to_owned());
    }
    if let Some(file) = &config.credentials {
        let file = folder.join(file);
        let read = options.credentials_file(&file).await;
        options = read.map_err(|error| ClusterError::Config(format!("cannot read {}: {error}", file.display())))?;
    }
    if let Some(file) = &config.ca {
        options = options.add_root_certificates(folder.join(file)).require_tls(true);
    }
    Ok(options)
}

fn note(event: &Event, connections: &watch::Sender<u64>) {
    match event {
        Event::Connected => {
            let first = !connections.send_if_modified(|count| {
                *count += 1;
                *count > 1
            });
            if !first {
                tracing::info!("NATS can be reached again");
            }
        }
        Event::Disconnected => tracing::warn!("the connection to NATS is lost; the host connects again"),
        Event::SlowConsumer(_) => {
            // There is one of these for each message. The next message of the topic, or its verification, shows what is missing.
            tracing::debug!(
                "messages from NATS came faster than the host took them; it reads those that it has missed"
            );
        }
        Event::ServerError(error) => tracing::warn!(%error, "NATS reports an error"),
        Event::ClientError(error) => tracing::warn!(%error, "the connection to NATS has an error"),
        Event::LameDuckMode | Event::Draining | Event::Closed => {}
    }
}
