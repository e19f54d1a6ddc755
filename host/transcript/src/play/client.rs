//! What the runner knows of each client.

use std::collections::{BTreeMap, VecDeque};

use super::reason::{Absence, Close, Reason, Unread};
use crate::backend::{Backend, BackendError, Message, Received};

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
    pending: VecDeque<(usize, Received)>,
    /// The line of the last step that took a message.
    pub(super) taken_at: usize,
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

    pub(super) fn accepted(&mut self, name: &str) {
        self.put(name, ClientState::Open);
    }

    pub(super) fn refused(&mut self, name: &str) {
        self.put(name, ClientState::Absent(Absence::Refused));
    }

    pub(super) fn left(&mut self, name: &str) {
        self.put(name, ClientState::Absent(Absence::Left));
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

    /// Whatever state it is in; none if it never asked.
    pub(super) fn get(&mut self, name: &str) -> Option<&mut Client> {
        self.0.get_mut(name)
    }

    fn put(&mut self, name: &str, state: ClientState) {
        self.0.insert(name.to_owned(), Client { state, pending: VecDeque::new(), taken_at: 0 });
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
        if let Received::Closed { code, reason } = &received {
            self.state = ClientState::Closed(Close { code: *code, reason: reason.clone() });
        }
        self.pending.push_back((line, received));
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
    pub(super) fn pending(&self) -> impl Iterator<Item = &(usize, Received)> {
        self.pending.iter()
    }

    /// The messages that are pending.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.pending().filter_map(|(_, received)| match received {
            Received::Message(message) => Some(message),
            Received::Closed { .. } => None,
        })
    }

    /// Take the next one.
    pub(super) fn take(&mut self) -> Option<(usize, Received)> {
        self.pending.pop_front()
    }

    /// Forget messages, but not that the connection was closed: that always matters.
    pub(super) fn skip(&mut self) {
        self.pending.retain(|(_, received)| matches!(received, Received::Closed { .. }));
    }

    /// Take all; none if there is nothing.
    pub(super) fn take_unread(&mut self) -> Option<Unread> {
        let mut unread = Unread { messages: Vec::new(), close: None };
        for (_, received) in self.pending.drain(..) {
            match received {
                Received::Message(message) => unread.messages.push(message),
                Received::Closed { code, reason } => unread.close = Some(Close { code, reason }),
            }
        }
        (!unread.messages.is_empty() || unread.close.is_some()).then_some(unread)
    }
}
