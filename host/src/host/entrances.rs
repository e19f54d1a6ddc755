//! The listeners of a config, opened, with their certificates.

use std::sync::Arc;

use super::StartError;
use crate::config::{Config, ListenAddress, ListenerConfig, Problems};
use crate::listen::{Entrance, Preamble};
use crate::socket::{ListenError, Listener};
use crate::tls::{self, Certificates};

/// All listeners of a config. Clients can connect already, and wait.
pub struct Entrances {
    entrances: Vec<(ListenAddress, Entrance)>,
    /// Those of the listeners that speak TLS.
    certificates: Vec<Arc<Certificates>>,
}

/// A listener of a running host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// The address, with the port that the system gave for port 0.
    pub address: ListenAddress,
    /// Whether it speaks TLS.
    pub is_secure: bool,
}

impl Entrances {
    /// Open the listeners of a config.
    ///
    /// # Errors
    /// The first one that cannot be opened, or all certificates that cannot be used.
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        let mut opened = Self { entrances: Vec::new(), certificates: Vec::new() };
        let certificates = certificates(config)?;
        for ((key, listener), certificates) in config.all_listeners().into_iter().zip(certificates) {
            let open = opened.open_one(config, &listener, certificates).await;
            open.map_err(|error| StartError::Listen { key, error })?;
        }
        Ok(opened)
    }

    async fn open_one(
        &mut self,
        config: &Config,
        listener: &ListenerConfig,
        certificates: Option<Arc<Certificates>>,
    ) -> Result<(), ListenError> {
        let address = listener.address.within(config.locator.folder());
        let failed = |reason: String| ListenError { address: address.clone(), reason };
        self.certificates.extend(certificates.clone());
        let acceptor = certificates.as_ref().map(tls::acceptor).transpose();
        let entrance = Entrance {
            listener: Listener::bind(&address, listener.mode.unwrap_or_default()).await?,
            preamble: Preamble {
                tls: acceptor.map_err(|error| failed(error.to_string()))?,
                proxy_protocol: listener.proxy_protocol,
            },
        };
        let address = entrance.listener.address().map_err(|error| failed(error.to_string()))?;
        self.entrances.push((address, entrance));
        Ok(())
    }

    /// What is listened on.
    pub(super) fn listening(&self) -> Vec<Listening> {
        let each = self.entrances.iter();
        each.map(|(address, entrance)| Listening {
            address: address.clone(),
            is_secure: entrance.preamble.tls.is_some(),
        })
        .collect()
    }

    /// The entrances, and their certificates, which are kept current from now on.
    pub(super) fn serve(self) -> (Vec<Entrance>, Vec<Arc<Certificates>>) {
        for certificates in &self.certificates {
            tokio::spawn(tls::keep_current(Arc::downgrade(certificates)));
        }
        (self.entrances.into_iter().map(|(_, entrance)| entrance).collect(), self.certificates)
    }
}

/// The certificates of each listener.
pub(crate) fn certificates(config: &Config) -> Result<Vec<Option<Arc<Certificates>>>, Problems> {
    let (mut all, mut problems) = (Vec::new(), Problems::default());
    for (key, listener) in config.all_listeners() {
        match Certificates::load(&listener.tls, config.locator.folder()) {
            Ok(certificates) => all.push(certificates),
            Err((name, error)) => {
                let parent = key.strip_suffix("address").unwrap_or_default();
                problems.0.push(config.locator.problem(&format!("{parent}tls.{name}"), error.to_string()));
            }
        }
    }
    if problems.0.is_empty() { Ok(all) } else { Err(problems) }
}
