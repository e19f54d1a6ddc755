//! Calls a handler as the contract does: with the same functions that the exports of a module run.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use crate::handler;
use crate::{Acceptance, AsMessage, Closing, Handler, Message, Refusal, Request, Timer};

/// The exports of a module, with any type of handler.
pub(super) trait Module {
    fn open(&self, id: u64, request: Request) -> Result<Acceptance, Refusal>;
    fn receive(&self, id: u64, messages: Vec<Message>) -> Result<(), String>;
    fn closed(&self, id: u64, closing: &Closing);
    fn connection_timer(&self, id: u64, timer: &Timer) -> Result<(), String>;
    fn app_timer(&self, timer: &Timer) -> Result<(), String>;
    fn subscribe(&self, id: u64, topic: &str) -> Result<(), String>;
    fn request(&self, id: u64, message: &Message) -> Result<Message, String>;
    fn resumed(&self, id: u64, request: Request) -> Result<(), String>;
    fn check(&self) -> Result<(), String>;
    fn migrate(&self, from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>, String>;
    fn drop_instance(&self);
}

/// The only instance of a host in a test.
pub(super) struct Instance<H>(RefCell<Rc<OnceCell<H>>>);

impl<H> Instance<H> {
    pub(super) fn new() -> Self {
        Self(RefCell::new(Rc::new(OnceCell::new())))
    }

    fn cell(&self) -> Rc<OnceCell<H>> {
        Rc::clone(&self.0.borrow())
    }
}

impl<H: Handler> Module for Instance<H> {
    fn open(&self, id: u64, request: Request) -> Result<Acceptance, Refusal> {
        handler::open(&self.cell(), id, request)
    }

    fn receive(&self, id: u64, messages: Vec<Message>) -> Result<(), String> {
        handler::receive(&self.cell(), id, messages.iter().map(Message::as_message))
    }

    fn closed(&self, id: u64, closing: &Closing) {
        handler::closed(&self.cell(), id, closing);
    }

    fn connection_timer(&self, id: u64, timer: &Timer) -> Result<(), String> {
        handler::connection_timer(&self.cell(), id, timer)
    }

    fn app_timer(&self, timer: &Timer) -> Result<(), String> {
        handler::app_timer(&self.cell(), timer)
    }

    fn subscribe(&self, id: u64, topic: &str) -> Result<(), String> {
        handler::subscribe(&self.cell(), id, topic)
    }

    fn request(&self, id: u64, message: &Message) -> Result<Message, String> {
        handler::request(&self.cell(), id, message)
    }

    fn resumed(&self, id: u64, request: Request) -> Result<(), String> {
        handler::resumed(&self.cell(), id, request)
    }

    fn check(&self) -> Result<(), String> {
        handler::check::<H>()
    }

    fn migrate(&self, from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>, String> {
        handler::migrate::<H>(from_version, attachment)
    }

    fn drop_instance(&self) {
        self.0.replace(Rc::new(OnceCell::new()));
    }
}
