//! The exports of a module: the generated traits, implemented for every type that [`export!`](crate::export) makes.

use std::cell::OnceCell;

use crate::bindings::exports::hassock::host::{
    handler, migration, packed_handler, request_handler, resumption_handler, self_test, subscription_handler,
    timer_handler,
};
use crate::handler as calls;
use crate::host::{packed, replies};
use crate::{AsMessage, Handler, Message, Timer};

/// The only module of a component.
pub trait Module {
    /// The handler of its calls.
    type Handler: Handler;

    /// Run a call with the cell in which this instance keeps its handler.
    fn with_handler<T>(call: impl FnOnce(&OnceCell<Self::Handler>) -> T) -> T;
}

impl<M: Module> handler::Guest for M {
    fn open(id: u64, request: handler::Request) -> Result<handler::Acceptance, handler::Refusal> {
        let answer = M::with_handler(|cell| calls::open(cell, id, request.into()));
        answer.map(Into::into).map_err(Into::into)
    }

    fn receive(id: u64, messages: Vec<handler::Message>) -> Result<(), String> {
        let messages: Vec<Message> = messages.into_iter().map(Into::into).collect();
        M::with_handler(|cell| calls::receive(cell, id, messages.iter().map(Message::as_message)))
    }

    fn closed(id: u64, closing: handler::Closing) {
        M::with_handler(|cell| calls::closed(cell, id, &closing.into()));
    }
}

impl<M: Module> packed_handler::Guest for M {
    fn receive_packed(id: u64, messages: Vec<u8>, room: u32) -> Result<Vec<u8>, String> {
        let call = || M::with_handler(|cell| calls::receive(cell, id, packed::messages(&messages)));
        replies::collect(id, messages.len(), room, call)
    }
}

impl<M: Module> timer_handler::Guest for M {
    fn connection_timer(connection: u64, name: String, payload: Vec<u8>) -> Result<(), String> {
        M::with_handler(|cell| calls::connection_timer(cell, connection, &Timer::new(name, payload)))
    }

    fn app_timer(name: String, payload: Vec<u8>) -> Result<(), String> {
        M::with_handler(|cell| calls::app_timer(cell, &Timer::new(name, payload)))
    }
}

impl<M: Module> subscription_handler::Guest for M {
    fn subscribe(id: u64, topic: String) -> Result<(), String> {
        M::with_handler(|cell| calls::subscribe(cell, id, &topic))
    }
}

impl<M: Module> request_handler::Guest for M {
    fn request(id: u64, message: request_handler::Message) -> Result<request_handler::Message, String> {
        let message: Message = message.into();
        M::with_handler(|cell| calls::request(cell, id, &message)).map(Into::into)
    }
}

impl<M: Module> resumption_handler::Guest for M {
    fn resumed(id: u64, request: resumption_handler::Request) -> Result<(), String> {
        M::with_handler(|cell| calls::resumed(cell, id, request.into()))
    }
}

impl<M: Module> self_test::Guest for M {
    fn check() -> Result<(), String> {
        calls::check::<M::Handler>()
    }
}

impl<M: Module> migration::Guest for M {
    fn migrate(from_version: String, attachment: Vec<u8>) -> Result<Vec<u8>, String> {
        calls::migrate::<M::Handler>(&from_version, attachment)
    }
}

/// Export a type that implements [`Handler`] as the module, once in a crate: `hassock_sdk::export!(Echo);`.
#[macro_export]
macro_rules! export {
    ($handler:ty) => {
        const _: () = {
            use $crate::__private::bindings;

            // An instance is single-threaded, so "of the thread" means "of the instance".
            ::std::thread_local! {
                static HANDLER: ::std::cell::OnceCell<$handler> = const { ::std::cell::OnceCell::new() };
            }

            struct Module;

            impl $crate::__private::Module for Module {
                type Handler = $handler;

                fn with_handler<T>(call: impl ::std::ops::FnOnce(&::std::cell::OnceCell<$handler>) -> T) -> T {
                    HANDLER.with(call)
                }
            }

    bindings::export_module!(Module with_types_in bindings);
        };
    };
}
