//! A recording as its reader gets it.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::ClientError;
use crate::config::AdminAddress;
use crate::record::Entry;

/// The events of a recording that a host makes. When this is dropped, it ends.
#[derive(Debug)]
pub struct Recorded {
    body: Incoming,
    /// What came and is no whole line yet, from `read` on.
    buffer: Vec<u8>,
    read: usize,
    address: AdminAddress,
}

impl Recorded {
    pub(super) fn new(body: Incoming, address: AdminAddress) -> Self {
        Self { body, buffer: Vec::new(), read: 0, address }
    }

    /// Wait for the next event, which is not to be done after the last. Nothing is lost if this is cancelled.
    ///
    /// # Errors
    /// If the host goes away, or says something else.
    pub async fn next(&mut self) -> Result<Entry, ClientError> {
        loop {
            if let Some(line) = self.line() {
                let strange = |error: serde_json::Error| ClientError::Strange {
                    address: self.address.clone(),
                    reason: error.to_string(),
                };
                return serde_json::from_slice(&line).map_err(strange);
            }
            let frame = match self.body.frame().await {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Err(self.broke_off(error.to_string())),
                None => return Err(self.broke_off("there was no last event".to_owned())),
            };
            // What was read goes only here, so that many lines in one piece cost one move.
            self.buffer.drain(..std::mem::take(&mut self.read));
            self.buffer.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let rest = self.buffer.get(self.read..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest.get(..end)?.to_vec();
        self.read += end + 1;
        Some(line)
    }

    fn broke_off(&self, reason: String) -> ClientError {
        ClientError::BrokeOff { address: self.address.clone(), reason }
    }
}
