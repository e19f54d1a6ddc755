//! The trait that a module implements, and how the host's calls reach it.

use std::cell::OnceCell;

use crate::bindings::hassock::host::types;
use crate::{Acceptance, Closing, Connection, Message, Refusal, Request, Result};

/// What a module does. The calls of one connection come strictly one after the other, in the order of its
/// messages; those of different connections run side by side, in as many instances of the module as the
/// host likes.
///
/// The host may drop an instance between any two calls. So what must last is not kept in `self`: it goes
/// into an [attachment](Connection::attachment), a [topic](crate::topics) or a [database](crate::sql).
pub trait Handler: Sized + 'static {
    /// Make the value that all calls of this instance get: read settings, prepare tables. It runs within
    /// the instance's first call, so its time counts for that call.
    ///
    /// # Errors
    /// Any error goes into the host's log and ends that call only: an `open` refuses with 500, a message
    /// closes its connection. The next call starts again.
    fn start() -> Result<Self>;

    /// A client asks for a WebSocket. Messages that are sent to `connection` from here on are delivered
    /// after the handshake. Unless a module says otherwise, every connection is accepted.
    ///
    /// # Errors
    /// The HTTP answer for a client that is not accepted.
    fn open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
        let _ = (connection, request);
        Ok(Acceptance::new())
    }

    /// A message arrived.
    ///
    /// # Errors
    /// Any error goes into the host's log, and the host closes the connection with the app's
    /// `error_close_code`, by default 1011. Messages that had already arrived after this one are lost.
    fn message(&self, connection: Connection, message: Message) -> Result<()>;

    /// The connection has ended. Comes exactly once for each connection that [`open`](Self::open) accepted, and is its
    /// last call. Its attachment can still be read, but it is no longer subscribed to any topic, and what
    /// is sent to it goes nowhere.
    fn closed(&self, connection: Connection, closing: &Closing) {
        let _ = (connection, closing);
    }

    /// A timer is due: one of `connection`, in turn with its messages, or one of the app.
    ///
    /// # Errors
    /// As for [`message`](Self::message); an error of the app's own timer is only logged.
    fn timer(&self, connection: Option<Connection>, name: &str, payload: &[u8]) -> Result<()> {
        let _ = (connection, name, payload);
        Ok(())
    }

    /// Whether this version can serve here, asked before it gets any traffic: are the settings there, does a query
    /// find its columns? Databases are read-only meanwhile, and there are no connections. Not part of
    /// any instance's life: [`start`](Self::start) has not run, and may be called from here if it only reads.
    ///
    /// # Errors
    /// Any error is what whoever deploys the version reads; it then never serves.
    fn check() -> Result<()> {
        Ok(())
    }

    /// Turn the attachment of a connection that was served by another version until now into what this one
    /// expects. Runs once for each connection that moves here. `from_version` has 12 hex digits. Unless a
    /// module says otherwise, attachments stay as they are.
    ///
    /// # Errors
    /// Any error leaves the connection with the version that it has, and counts as a failed call.
    fn migrate(from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>> {
        let _ = from_version;
        Ok(attachment)
    }
}

/// Where an instance keeps its handler.
pub type Cell<H> = OnceCell<H>;

/// Run `call` with the instance's handler, which is made now if this is the first call.
fn with<H: Handler, T>(cell: &Cell<H>, call: impl FnOnce(&H) -> Result<T>) -> Result<T> {
    match cell.get() {
        Some(handler) => call(handler),
        None => {
            // If it fails the cell stays empty, and the next call tries again.
            let handler = H::start()?;
            call(cell.get_or_init(|| handler))
        }
    }
}

/// The export `handler.open`.
pub fn open<H: Handler>(cell: &Cell<H>, id: u64, request: types::Request) -> Result<types::Acceptance, types::Refusal> {
    let request = Request::from(request);
    let answer = with(cell, |handler| Ok(handler.open(Connection::from_id(id), &request)));
    let refusal = match answer {
        Ok(Ok(acceptance)) => return Ok(acceptance.into_raw()),
        Ok(Err(refusal)) => refusal,
        Err(error) => Refusal::from(error),
    };
    let (answer, cause) = refusal.into_raw();
    if let Some(cause) = cause {
        crate::error!("open failed: {cause}");
    }
    Err(answer)
}

/// The export `handler.receive`: the batch in order, up to the first error.
pub fn receive<H: Handler>(cell: &Cell<H>, id: u64, messages: Vec<Message>) -> Result<(), String> {
    let connection = Connection::from_id(id);
    let handle = |handler: &H| messages.into_iter().try_for_each(|message| handler.message(connection, message));
    with(cell, handle).map_err(|error| error.to_string())
}

/// The export `handler.closed`.
pub fn closed<H: Handler>(cell: &Cell<H>, id: u64, closing: &Closing) {
    let call = |handler: &H| {
        handler.closed(Connection::from_id(id), closing);
        Ok(())
    };
    if let Err(error) = with(cell, call) {
        crate::error!("closed failed: {error}");
    }
}

/// The export `timer-handler.fired`.
pub fn fired<H: Handler>(cell: &Cell<H>, id: Option<u64>, name: &str, payload: &[u8]) -> Result<(), String> {
    with(cell, |handler| handler.timer(id.map(Connection::from_id), name, payload)).map_err(|error| error.to_string())
}

/// The export `self-test.check`.
pub fn check<H: Handler>() -> Result<(), String> {
    H::check().map_err(|error| error.to_string())
}

/// The export `migration.migrate`.
pub fn migrate<H: Handler>(from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>, String> {
    H::migrate(from_version, attachment).map_err(|error| error.to_string())
}

/// Make a type that implements [`Handler`] the module: `hassock_guest::export!(Echo);`, once in a crate.
#[macro_export]
macro_rules! export {
    ($handler:ty) => {
        const _: () = {
            use $crate::__private::{bindings, bindings::exports::hassock::host as exports, handler};

            // An instance is single-threaded, so "of the thread" means "of the instance".
            ::std::thread_local! {
                static HANDLER: ::std::cell::OnceCell<$handler> = const { ::std::cell::OnceCell::new() };
            }

            struct Module;

            impl exports::handler::Guest for Module {
                fn open(
                    id: u64,
                    request: exports::handler::Request,
                ) -> ::std::result::Result<exports::handler::Acceptance, exports::handler::Refusal> {
                    HANDLER.with(|cell| handler::open(cell, id, request))
                }

                fn receive(
                    id: u64,
                    messages: ::std::vec::Vec<exports::handler::Message>,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    HANDLER.with(|cell| handler::receive(cell, id, messages))
                }

                fn closed(id: u64, closing: exports::handler::Closing) {
                    HANDLER.with(|cell| handler::closed(cell, id, &closing));
                }
            }

            impl exports::timer_handler::Guest for Module {
                fn fired(
                    id: ::std::option::Option<u64>,
                    name: ::std::string::String,
                    payload: ::std::vec::Vec<u8>,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    HANDLER.with(|cell| handler::fired(cell, id, &name, &payload))
                }
            }

            impl exports::self_test::Guest for Module {
                fn check() -> ::std::result::Result<(), ::std::string::String> {
                    handler::check::<$handler>()
                }
            }

            impl exports::migration::Guest for Module {
                fn migrate(
                    from_version: ::std::string::String,
                    attachment: ::std::vec::Vec<u8>,
                ) -> ::std::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                    handler::migrate::<$handler>(&from_version, attachment)
                }
            }

    bindings::export_module!(Module with_types_in bindings);
        };
    };
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Counts its starts, of which the first fails, and notes what it gets.
    struct Recorder;

    thread_local! {
        static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn note(text: &str) -> usize {
        SEEN.with_borrow_mut(|seen| {
            seen.push(text.into());
            seen.len()
        })
    }

    impl Handler for Recorder {
        fn start() -> Result<Self> {
            match note("start") {
                1 => Err("not yet".into()),
                _ => Ok(Self),
            }
        }

        fn message(&self, _: Connection, message: Message) -> Result<()> {
            let text = message.as_text().unwrap_or_default();
            note(text);
            if text == "bad" { Err(format!("{text} text").into()) } else { Ok(()) }
        }
    }

    #[test]
    fn a_start_that_fails_is_tried_again_and_a_batch_ends_at_its_first_error() {
        let cell = OnceCell::<Recorder>::new();
        let receive = |texts: &[&str]| receive(&cell, 1, texts.iter().copied().map(Message::from).collect());
        assert_eq!(receive(&["lost"]), Err("not yet".into()));
        assert_eq!(receive(&["a", "b"]), Ok(()));
        assert_eq!(receive(&["c", "bad", "never"]), Err("bad text".into()));
        assert_eq!(SEEN.take(), ["start", "start", "a", "b", "c", "bad"]);
    }
}
