//! Clients that speak `hassock.v1`: what they keep, what they ask for, and how they come back. And programs that publish.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value as Json};

use super::client::Got;
use super::reason::Reason;
use super::{Mode, Player, unplayable};
use crate::backend::{Answer, BackendError, Connect, Message, Publication, Received, Resume};
use crate::bless::kept_position;
use crate::compare::{Mismatch, fill, same_position};
use crate::format::{Action, ConnectStep, Publish, Said, Start, Step};
use crate::spoken::{PROTOCOL, Spoken, with_header};

/// The header field that says which subprotocol was chosen.
const CHOSEN: &str = "sec-websocket-protocol";

/// What a client that speaks `hassock.v1` keeps.
#[derive(Debug, Default, Clone)]
pub(super) struct Speech {
    /// Where it is in each topic with a history.
    positions: BTreeMap<String, String>,
    /// The number of its last request.
    requests: u64,
    /// The numbers of those that have no answer.
    unanswered: VecDeque<u64>,
    /// With what it has its connection again; none if the host does not let it.
    token: Option<String>,
    /// How many messages it has received on the connection.
    received: u64,
    /// The messages that it has sent on the connection.
    sent: Vec<Message>,
}

impl Speech {
    /// With these positions from before.
    pub(super) fn since(positions: BTreeMap<String, String>) -> Self {
        Self { positions, ..Self::default() }
    }

    /// Read a message, and keep what a client keeps.
    pub(super) fn hear(&mut self, message: Message) -> Result<Got, BackendError> {
        let mut spoken = Spoken::read(message).map_err(|error| BackendError(error.to_string()))?;
        if spoken.kind() != Some("closing") {
            self.received += 1;
        }
        if spoken.header.is_empty() {
            return Ok(Got::Message(spoken.payload));
        }
        self.keep_position(&spoken);
        let request = spoken.header.get("request").and_then(Json::as_u64);
        // Answers come in the order of the requests, so that a transcript needs no numbers.
        if request.is_some() && request == self.unanswered.front().copied() {
            self.unanswered.pop_front();
            spoken.header.remove("request");
        }
        Ok(Got::Spoken(spoken))
    }

    /// Keep a message that is about to be sent: the host may not receive it.
    pub(super) fn keep_sent(&mut self, message: Message) -> Message {
        if self.token.is_some() {
            self.sent.push(message.clone());
        }
        message
    }

    fn resume(&self) -> Option<Resume> {
        self.token.clone().map(|token| Resume { token, received: self.received })
    }

    fn keep_position(&mut self, spoken: &Spoken) {
        let Some(topic) = spoken.text("topic") else { return };
        match (spoken.kind(), spoken.text("position")) {
            (Some("unsubscribed"), _) => drop(self.positions.remove(topic)),
            (_, Some(position)) => drop(self.positions.insert(topic.to_owned(), position.to_owned())),
            _ => {}
        }
    }

    fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.unanswered.push_back(self.requests);
        self.requests
    }
}

impl Player<'_> {
    /// Take the first message of a connection. It says which subprotocol the module has chosen, which is what the transcript
    /// means by the header field.
    /// Returns whether it is the connection from before, with what the client kept of that.
    pub(super) fn begin_speech(
        &mut self,
        client: &str,
        answer: &mut Answer,
        before: Option<Speech>,
    ) -> Result<bool, Reason> {
        if self.clients.speech(client).is_none() {
            return Ok(false);
        }
        let is_chosen = |(name, value): &(String, String)| name == CHOSEN && value == PROTOCOL;
        if !answer.headers.iter().any(is_chosen) {
            return Err(unplayable(BackendError(format!("the host does not speak `{PROTOCOL}`"))));
        }
        answer.headers.retain(|(name, _)| name != CHOSEN);
        let silent = || unplayable(BackendError("the host has not said `connected`".to_owned()));
        let Some(Received::Message(message)) = self.backend.receive(client).map_err(unplayable)? else {
            return Err(silent());
        };
        let first = Spoken::read(message).map_err(|error| unplayable(BackendError(error.to_string())))?;
        if first.kind() != Some("connected") {
            return Err(silent());
        }
        let chosen = first.text("subprotocol").map(|chosen| (CHOSEN.to_owned(), chosen.to_owned()));
        answer.headers.extend(chosen);
        let is_resumed = first.header.get("resumed").and_then(Json::as_bool) == Some(true);
        self.clients.keep_speech(client, before.filter(|_| is_resumed));
        let Some(speech) = self.clients.speech(client) else { return Ok(is_resumed) };
        speech.token = first.text("resume").map(str::to_owned);
        if is_resumed {
            let has = first.header.get("received").and_then(Json::as_u64).and_then(|has| usize::try_from(has).ok());
            let missing = speech.sent.get(has.unwrap_or(usize::MAX)..).unwrap_or_default().to_vec();
            for message in missing {
                self.backend.send(client, message).map_err(|error| self.not_open(client, error))?;
            }
        }
        Ok(is_resumed)
    }

    /// Connect again with the same request, and with the positions that the client has by now.
    pub(super) fn return_client(&mut self, step: &Step, connect: &ConnectStep) -> Result<(), Reason> {
        let changes = super::payload::request(&connect.request, &self.captures).map_err(unplayable)?;
        let mut request = Connect { id: changes.id, ..Connect::default() };
        let mut before = None;
        if let Some(client) = self.clients.get(&connect.client) {
            request.target.clone_from(&client.request.target);
            request.headers.clone_from(&client.request.headers);
            request.speaks = client.speech.as_ref().map(|speech| speech.positions.clone());
            request.resume = client.speech.as_ref().and_then(Speech::resume);
            before.clone_from(&client.speech);
        }
        request.headers.retain(|(name, _)| !changes.headers.iter().any(|(changed, _)| changed == name));
        request.headers.extend(changes.headers);
        if let (Some(positions), Some(changed)) = (&mut request.speaks, changes.speaks) {
            positions.extend(changed);
        }
        self.ask(step, connect, request, before)
    }

    pub(super) fn say(&mut self, client: &str, said: &Said) -> Result<(), Reason> {
        self.clients.open(client)?;
        let filled = |text: &str| fill(text, &self.captures).map_err(Reason::Capture);
        let nothing = Message::Text(String::new());
        let (kind, fields, payload) = match said {
            Said::Subscribe { topic, start } => {
                let start = match start {
                    Start::Now => None,
                    Start::Since(position) => Some(("since", filled(position)?.into())),
                    Start::Last(count) => Some(("last", (*count).into())),
                };
                let topic = ("topic", filled(topic)?.into());
                ("subscribe", [Some(topic), start].into_iter().flatten().collect(), nothing)
            }
            Said::Unsubscribe { topic } => ("unsubscribe", vec![("topic", filled(topic)?.into())], nothing),
            Said::Request(question) => ("request", Vec::new(), self.message(question)?),
        };
        let mut header = Map::from_iter([("type".to_owned(), Json::from(kind))]);
        if let Some(speech) = self.clients.speech(client)
            && !matches!(said, Said::Unsubscribe { .. })
        {
            header.insert("request".to_owned(), speech.next_request().into());
        }
        header.extend(fields.into_iter().map(|(name, value): (&str, Json)| (name.to_owned(), value)));
        let mut message = with_header(Some(&Json::Object(header)), payload);
        if let Some(speech) = self.clients.speech(client) {
            message = speech.keep_sent(message);
        }
        self.backend.send(client, message).map_err(|error| self.not_open(client, error))
    }

    pub(super) fn publish(&mut self, step: &Step, publish: &Publish) -> Result<(), Reason> {
        let filled = |text: &str| fill(text, &self.captures).map_err(Reason::Capture);
        let publication = Publication {
            app: publish.app.clone(),
            topic: filled(&publish.topic)?,
            id: publish.id.as_deref().map(filled).transpose()?,
            message: self.message(&publish.payload)?,
        };
        let position = self.backend.publish(&publication).map_err(unplayable)?;
        match (same_position(publish.position.as_deref(), position.as_deref(), &mut self.captures), self.mode) {
            (true, _) => Ok(()),
            (false, Mode::Bless) => {
                let kept = kept_position(publish.position.as_deref(), position.as_deref(), &mut self.captures);
                self.replace(step, &Action::Publish(Publish { position: kept, ..publish.clone() }));
                Ok(())
            }
            (false, Mode::Verify) => {
                let expected = publish.position.as_deref().unwrap_or_default();
                let expected = fill(expected, &self.captures).unwrap_or_else(|_| expected.to_owned());
                let got = position.map_or("no position".to_owned(), |position| format!("at {position}"));
                Err(Reason::Published { mismatch: Mismatch::new(format!("at {expected}"), got) })
            }
        }
    }
}
