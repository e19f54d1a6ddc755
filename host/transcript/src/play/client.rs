//! What the runner knows of each client.

use std::collections::{BTreeMap, VecDeque};

use super::reason::{Absence, Close, Reason, Unread};
use super::speech::Speech;
use crate::backend::{Backend, BackendError, Connect, Message, Received};
use crate::compare;
use crate::spoken::Spoken;

/// What is taken of a client's messages at once. A module that sends for ever would otherwise keep the runner
/// busy for ever, where time is real.
const TAKEN_AT_ONCE: usize = 10_000;

/// All clients that have ever asked for a connection.
#[derive(Default)]
pub(super) struct Clients(BTreeMap<String, Client>);

/// One of them.
pub(super) struct Client {
    state: ClientState,
    /// What it got and no step has taken yet, with the line after which it came.
    pending: VecDeque<(usize, Got)>,
    /// The line of the last step that took a message.
    pub(super) taken_at: usize,
    /// What it asked for when it connected, to do so again.
    pub(super) request: Connect,
    /// None if it does not speak `hassock.v1`.
    pub(super) speech: Option<Speech>,
}

/// What a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Got {
    /// A message of the module for this client.
    Message(Message),
    /// A message with a header, for a client that speaks `hassock.v1`.
    Spoken(Spoken),
    /// The end of its connection.
    Closed(Close),
}

enum ClientState {
    Open,
    /// The host closed it. The close may be pending still.
    Closed(Close),
    Absent(Absence),
}

/// Whether to wait for what a client gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetch {
    /// Something is expected.
    Wait,
    /// Nothing is.
    Poll,
}

impl Clients {
    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn accepted(&mut self, name: &str, request: Connect) {
        self.put(name, request, ClientState::Open);
    }

    /// It may return, with what it has.
    pub(super) fn refused(&mut self, name: &str, request: Connect) {
        self.put(name, request, ClientState::Absent(Absence::Refused));
    }

    pub(super) fn left(&mut self, name: &str) {
        if let Some(client) = self.0.get_mut(name) {
            client.state = ClientState::Absent(Absence::Left);
            client.pending.clear();
        }
    }

    /// One that was accepted. Of those that are closed by now, only if the close is still to be told.
    ///
    /// # Errors
    /// If it is not connected.
    pub(super) fn present(&mut self, name: &str) -> Result<&mut Client, Reason> {
        let gone = |absence| Err(Reason::Gone { client: name.to_owned(), absence });
        match self.0.get_mut(name) {
            None => gone(Absence::Never),
            Some(client) => match &client.state {
                ClientState::Absent(absence) => gone(absence.clone()),
                ClientState::Closed(close) if client.pending.is_empty() => gone(Absence::Closed(close.clone())),
                ClientState::Open | ClientState::Closed(_) => Ok(client),
            },
        }
    }

    /// One that can still send.
    ///
    /// # Errors
    /// If it is not connected.
    pub(super) fn open(&mut self, name: &str) -> Result<(), Reason> {
        match self.present(name)?.close() {
            Some(close) => Err(Reason::Gone { client: name.to_owned(), absence: Absence::Closed(close.clone()) }),
            None => Ok(()),
        }
    }

    /// What it speaks; none for one that does not speak `hassock.v1`.
    pub(super) fn speech(&mut self, name: &str) -> Option<&mut Speech> {
        self.0.get_mut(name)?.speech.as_mut()
    }

    /// It speaks as before: it has not got another connection.
    pub(super) fn keep_speech(&mut self, name: &str, speech: Option<Speech>) {
        if let (Some(client), Some(speech)) = (self.0.get_mut(name), speech) {
            client.speech = Some(speech);
        }
    }

    /// Whatever state it is in; none if it never asked.
    pub(super) fn get(&mut self, name: &str) -> Option<&mut Client> {
        self.0.get_mut(name)
    }

    fn put(&mut self, name: &str, request: Connect, state: ClientState) {
        let speech = request.speaks.clone().map(Speech::since);
        self.0.insert(name.to_owned(), Client { state, pending: VecDeque::new(), taken_at: 0, request, speech });
    }
}

impl Got {
    /// As a transcript has it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Message(message) => compare::show_message(message),
            Self::Spoken(spoken) => compare::spoken(spoken),
            Self::Closed(close) => format!("closed {close}"),
        }
    }
}

impl Client {
    /// How it was closed by the host, as far as that is known.
    pub(super) fn close(&self) -> Option<&Close> {
        match &self.state {
            ClientState::Closed(close) => Some(close),
            ClientState::Open | ClientState::Absent(_) => None,
        }
    }

    /// Ask the backend for one more; false if there is none.
    pub(super) fn fetch(
        &mut self,
        name: &str,
        backend: &mut dyn Backend,
        fetch: Fetch,
        line: usize,
    ) -> Result<bool, BackendError> {
        if !matches!(self.state, ClientState::Open) {
            return Ok(false);
        }
        let received = match fetch {
            Fetch::Wait => backend.receive(name)?,
            Fetch::Poll => backend.poll(name)?,
        };
        let Some(received) = received else { return Ok(false) };
        let got = match (received, &mut self.speech) {
            (Received::Message(message), None) => Got::Message(message),
            (Received::Message(message), Some(speech)) => speech.hear(message)?,
            (Received::Closed { code, reason }, _) => {
                let close = Close { code, reason };
                self.state = ClientState::Closed(close.clone());
                Got::Closed(close)
            }
        };
        self.pending.push_back((line, got));
        Ok(true)
    }

    /// Ask the backend for all that there is.
    pub(super) fn fetch_all(&mut self, name: &str, backend: &mut dyn Backend, line: usize) -> Result<(), BackendError> {
        for _ in 0..TAKEN_AT_ONCE {
            if !self.fetch(name, backend, Fetch::Poll, line)? {
                break;
            }
        }
        Ok(())
    }

    /// What is pending, with the line after which each came.
    pub(super) fn pending(&self) -> impl Iterator<Item = &(usize, Got)> {
        self.pending.iter()
    }

    /// The messages that are pending.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Got> {
        self.pending().map(|(_, got)| got).filter(|got| !matches!(got, Got::Closed(_)))
    }

    /// Take the next one.
    pub(super) fn take(&mut self) -> Option<(usize, Got)> {
        self.pending.pop_front()
    }

    /// Forget messages, but not that the connection was closed: that always matters.
    pub(super) fn skip(&mut self) {
        self.pending.retain(|(_, received)| matches!(received, Got::Closed(_)));
    }

    /// Take all; none if there is nothing.
    pub(super) fn take_unread(&mut self) -> Option<Unread> {
        let mut unread = Unread { messages: Vec::new(), close: None };
        for (_, got) in self.pending.drain(..) {
            match got {
                Got::Closed(close) => unread.close = Some(close),
                message => unread.messages.push(message.shown()),
            }
        }
        (!unread.messages.is_empty() || unread.close.is_some()).then_some(unread)
    }
}
