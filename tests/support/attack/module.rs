//! Attacks of the module `faults`.

use super::{Attack, AttackedHost};
use crate::raw::opcode::{CLOSE, FIN};
use crate::raw::text;

/// A message to the module, and what follows for its sender.
pub(super) struct Misdeed {
    message: &'static str,
    outcome: Outcome,
}

enum Outcome {
    /// The host ends the call: 1011, and a failure in the metrics.
    Failure,
    /// The connection is closed with one of these codes.
    Closed(&'static [u16]),
    /// The module says that it was refused something.
    Says(&'static str),
    /// The same, unless its time was over before.
    SaysInTime(&'static str),
}

use Outcome::{Closed, Failure, Says, SaysInTime};

impl Attack {
    /// Whether the host counts a failed call.
    pub fn is_failure(self) -> bool {
        self.module().is_some_and(|misdeed| matches!(misdeed.outcome, Failure))
    }

    /// What the module is told; none for an attack of a client.
    pub(super) fn module(self) -> Option<Misdeed> {
        let (message, outcome) = match self {
            Self::Trap => ("trap", Failure),
            Self::Spin => ("spin", Failure),
            Self::Recursion => ("overflow", Failure),
            Self::Memory => ("hog", Failure),
            Self::Table => ("table", Says("times and then refused")),
            // The outbox is full, or the client reads so fast that the time of the call is over before.
            Self::Sends => ("flood", Closed(&[3000, 1011])),
            // It is a subscriber too, and the first whose outbox is full.
            Self::Publishes => ("publishes", Closed(&[1013])),
            Self::LogLines => ("chatter", Says("chattered")),
            Self::Timers => ("timers", Says("fired")),
            Self::Subscriptions => ("subscriptions", Says("630 subscriptions")),
            Self::Attachment => ("attachment", SaysInTime("65536 bytes at most")),
            Self::Argument => ("glut", Failure),
            Self::Statement => ("compute", Says("took too long")),
            Self::Result => ("huge", Says("max_rows")),
            Self::Random => ("random", Failure),
            Self::Sleep => ("sleep", Failure),
            // Or it has waited too long for the transaction of another attacker.
            Self::Transaction => ("leak and sleep", Closed(&[1011])),
            _ => return None,
        };
        Some(Misdeed { message, outcome })
    }
}

impl Misdeed {
    /// Do it once.
    pub(super) async fn commit(&self, address: &str) {
        let mut raw = super::client::open(address, AttackedHost::FAULTS).await;
        raw.send(text(self.message)).await;
        match self.outcome {
            Failure => assert_eq!(raw.closed().await.0, 1011, "{}", self.message),
            Closed(codes) => {
                let (code, reason) = raw.closed().await;
                assert!(codes.contains(&code), "{}: {code} {reason}", self.message);
            }
            SaysInTime(words) => {
                let frame = raw.frame().await.unwrap_or_else(|| panic!("{}: the host has left", self.message));
                let said = String::from_utf8_lossy(&frame.payload);
                let is_late = frame.first == FIN | CLOSE && frame.payload.starts_with(&1011_u16.to_be_bytes());
                assert!(is_late || said.contains(words), "{}: {said}", self.message);
            }
            Says(words) => loop {
                let frame = raw.frame().await.unwrap_or_else(|| panic!("{}: the host has left", self.message));
                let said = String::from_utf8_lossy(&frame.payload);
                assert_ne!(frame.first, FIN | CLOSE, "{}: {said}", self.message);
                if said.contains(words) {
                    break;
                }
            },
        }
        raw.reset();
    }
}
