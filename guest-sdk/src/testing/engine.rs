//! The calls of a handler, and what follows from each of them.

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;

use super::answer::{Answer, accept, refused};
use super::current::{World, enter};
use super::history;
use super::module::Module;
use super::state::{Connection, Phase, State};
use super::timers::Timer;
use crate::history::StartAt;
use crate::log::Level;
use crate::{Acceptance, ClosedBy, Closing, Message, Request, Timer as Fired};

/// A host with its module.
pub(super) struct Engine {
    world: World,
    module: Box<dyn Module>,
}

impl Engine {
    pub(super) fn new(state: State, module: Box<dyn Module>) -> Self {
        Self { world: Rc::new(RefCell::new(state)), module }
    }

    pub(super) fn state(&self) -> Ref<'_, State> {
        self.world.borrow()
    }

    pub(super) fn state_mut(&self) -> RefMut<'_, State> {
        self.world.borrow_mut()
    }

    /// Drop the instance: the next call starts another one.
    pub(super) fn drop_instance(&self) {
        self.module.drop_instance();
    }

    /// Ask the module whether it accepts a connection.
    pub(super) fn connect(&self, request: Request) -> Result<u64, Answer> {
        let id = self.state_mut().new_connection();
        let answer = match self.call(|module| module.open(id, request.clone())) {
            Ok(acceptance) => self.accept(id, &request, acceptance),
            Err(refusal) => {
                let answer = refused(refusal).unwrap_or_else(|reason| self.misbehaved(&reason));
                self.state_mut().detach(id, Phase::Gone);
                Err(answer)
            }
        };
        self.settle();
        answer
    }

    /// Deliver messages of a client in one batch.
    pub(super) fn receive(&self, id: u64, mut messages: Vec<Message>) {
        let most = self.state().limits.message_bytes;
        if let Some(index) = messages.iter().position(|message| message.as_bytes().len() > most) {
            messages.truncate(index);
            self.receive(id, messages);
            return self.end(id, closing(1009, "the message is too large", ClosedBy::Host));
        }
        if messages.is_empty() {
            return;
        }
        let result = self.call(|module| module.receive(id, messages));
        self.conclude("receive", Some(id), result);
    }

    /// Let the client of a connection subscribe by itself, if the module allows it.
    pub(super) fn subscribe(&self, id: u64, topic: &str) -> Result<(), String> {
        self.call(|module| module.subscribe(id, topic))?;
        let subscribed = history::subscribe(&mut self.state_mut(), id, topic, StartAt::Now);
        self.settle();
        subscribed.map(drop).map_err(|error| error.to_string())
    }

    /// Let the client of a connection ask the module.
    pub(super) fn request(&self, id: u64, message: &Message) -> Result<Message, String> {
        let answer = self.call(|module| module.request(id, message));
        self.settle();
        answer
    }

    /// Let the client of a connection come back with another handshake.
    pub(super) fn resume(&self, id: u64, request: Request) {
        let result = self.call(|module| module.resumed(id, request));
        self.conclude("resumed", Some(id), result);
    }

    /// End the connection, unless it has ended.
    pub(super) fn end(&self, id: u64, closing: Closing) {
        if self.is_open(id) {
            self.finish(id, closing);
            self.settle();
        }
    }

    pub(super) fn is_open(&self, id: u64) -> bool {
        self.state().connections.get(&id).is_some_and(|connection| connection.phase == Phase::Open)
    }

    /// Let time pass, and fire the timers that become due in their order.
    pub(super) fn advance(&self, time: Duration) {
        let end = self.state().now + time;
        loop {
            let Some(timer) = self.state_mut().timers.take_due(end) else { break };
            let now = self.state().now.max(timer.due);
            self.state_mut().now = now;
            self.fire(timer);
        }
        self.state_mut().now = end;
    }

    /// Have the module test itself: it can read, and everything else that it does is discarded.
    pub(super) fn check(&self) -> Result<(), String> {
        let scratch = Rc::new(RefCell::new(self.state().for_self_test()));
        let inside = enter(&scratch);
        let result = self.module.check();
        drop(inside);
        self.state_mut().log.append(&mut scratch.borrow_mut().log);
        result
    }

    pub(super) fn migrate(&self, from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>, String> {
        let migrated = self.call(|module| module.migrate(from_version, attachment))?;
        self.settle();
        let most = self.state().limits.attachment_bytes;
        match migrated.len() > most {
            true => Err(format!("the attachment is larger than `attachment_bytes` = {most}")),
            false => Ok(migrated),
        }
    }

    fn fire(&self, timer: Timer) {
        let Timer { owner, name, payload, .. } = timer;
        let fired = Fired::new(name, payload);
        let (call, result) = match owner {
            Some(id) => ("connection-timer", self.call(|module| module.connection_timer(id, &fired))),
            None => ("app-timer", self.call(|module| module.app_timer(&fired))),
        };
        self.conclude(call, owner, result);
    }

    /// Run a call inside of this host.
    fn call<T>(&self, call: impl FnOnce(&dyn Module) -> T) -> T {
        let _inside = enter(&self.world);
        call(&*self.module)
    }

    fn accept(&self, id: u64, request: &Request, acceptance: Acceptance) -> Result<u64, Answer> {
        let applied = {
            let mut state = self.state_mut();
            let State { connections, limits, .. } = &mut *state;
            connections.get_mut(&id).map_or(Ok(()), |connection| {
                connection.phase = Phase::Open;
                accept(connection, limits, request, acceptance)
            })
        };
        applied.map(|()| id).map_err(|reason| {
            let answer = self.misbehaved(&reason);
            // The module believes that it has a connection.
            self.finish(id, failed());
            answer
        })
    }

    fn misbehaved(&self, reason: &str) -> Answer {
        self.state_mut().log(Level::Error, &format!("the answer of `on_open` is not possible: {reason}"));
        Answer::broken()
    }

    /// Deal with the result of a call: an error is logged, and closes its connection.
    fn conclude(&self, call: &str, id: Option<u64>, result: Result<(), String>) {
        if let Err(error) = result {
            let mut state = self.state_mut();
            state.log(Level::Error, &format!("{call} failed: {error}"));
            if let Some(connection) = id.and_then(|id| state.known(id)) {
                // The first close counts: a module that closes and then fails has closed.
                let _ = connection.outbox.close(failed());
            }
        }
        self.settle();
    }

    /// Deliver what was sent, and end the connections that are to be closed.
    fn settle(&self) {
        loop {
            self.state_mut().deliver();
            let next = self.state().next_to_close();
            let Some((id, closing)) = next else { break };
            self.finish(id, closing);
        }
    }

    /// Tell the module that a connection has ended, and forget it.
    fn finish(&self, id: u64, closing: Closing) {
        {
            let mut state = self.state_mut();
            state.detach(id, Phase::Ending);
            if let Some(connection) = state.connections.get_mut(&id) {
                connection.closed = Some(closing.clone());
            }
        }
        self.call(|module| module.closed(id, &closing));
        // `on_close` may have subscribed it again or set a timer; neither may outlive the connection.
        self.state_mut().detach(id, Phase::Gone);
    }

    /// A connection of this host, ended or not.
    pub(super) fn connection<T>(&self, id: u64, look: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        self.state_mut().connections.get_mut(&id).map(look)
    }
}

pub(super) fn closing(code: u16, reason: &str, by: ClosedBy) -> Closing {
    Closing { code, reason: reason.to_owned(), by }
}

fn failed() -> Closing {
    closing(1011, "the application failed", ClosedBy::Host)
}
