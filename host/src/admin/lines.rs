//! A response of one JSON object per line, as a client of the admin listener reads it: a recording, or a tail.

use std::marker::PhantomData;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::ClientError;
use crate::config::AdminAddress;

/// The lines of a response in progress. What they tell of ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    body: Incoming,
    /// Received bytes; those from `read` on are not parsed yet.
    buffer: Vec<u8>,
    read: usize,
    address: AdminAddress,
    /// In messages.
    what: &'static str,
    line: PhantomData<T>,
}

impl<T: DeserializeOwned> Lines<T> {
    /// The lines of a body, which are a `what`.
    pub(super) fn new(body: Incoming, address: AdminAddress, what: &'static str) -> Self {
        Self { body, buffer: Vec::new(), read: 0, address, what, line: PhantomData }
    }

    /// Wait for the next line. Do not call this after the last one. Nothing is lost if this is cancelled.
    ///
    /// # Errors
    /// If the host goes away, or sends something else.
    pub(crate) async fn next(&mut self) -> Result<T, ClientError> {
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
                None => return Err(self.broke_off("there was no last line".to_owned())),
            };
            // Parsed bytes are removed only here, so that many lines in one frame cost one move.
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
        ClientError::BrokeOff { address: self.address.clone(), what: self.what, reason }
    }
}
