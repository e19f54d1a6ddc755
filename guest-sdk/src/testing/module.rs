//! A handler behind the calls of the contract: the same functions that the exports of a module run.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use crate::Handler;
use crate::bindings::hassock::host::types::{Acceptance, Closing, Message, Refusal, Request};
use crate::handler::{self, Cell};

/// The exports of a module, whatever its handler is.
pub(super) trait Module {
    fn open(&self, id: u64, request: Request) -> Result<Acceptance, Refusal>;
    fn receive(&self, id: u64, messages: Vec<Message>) -> Result<(), String>;
    fn closed(&self, id: u64, closing: &Closing);
    fn fired(&self, id: Option<u64>, name: &str, payload: &[u8]) -> Result<(), String>;
    fn check(&self) -> Result<(), String>;
    fn migrate(&self, from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>, String>;
    fn restart(&self);
}

/// The one instance that a host in a test has.
pub(super) struct Instance<H>(RefCell<Rc<Cell<H>>>);

impl<H> Instance<H> {
    pub(super) fn new() -> Self {
        Self(RefCell::new(Rc::new(OnceCell::new())))
    }

    fn cell(&self) -> Rc<Cell<H>> {
        Rc::clone(&self.0.borrow())
    }
}

impl<H: Handler> Module for Instance<H> {
    fn open(&self, id: u64, request: Request) -> Result<Acceptance, Refusal> {
        handler::open(&self.cell(), id, request)
    }

    fn receive(&self, id: u64, messages: Vec<Message>) -> Result<(), String> {
        handler::receive(&self.cell(), id, messages)
    }

    fn closed(&self, id: u64, closing: &Closing) {
        handler::closed(&self.cell(), id, closing);
    }

    fn fired(&self, id: Option<u64>, name: &str, payload: &[u8]) -> Result<(), String> {
        handler::fired(&self.cell(), id, name, payload)
    }

    fn check(&self) -> Result<(), String> {
        handler::check::<H>()
    }

    fn migrate(&self, from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>, String> {
        handler::migrate::<H>(from_version, attachment)
    }

    fn restart(&self) {
        self.0.replace(Rc::new(OnceCell::new()));
    }
}
