//! The trait that a module implements, and how the host's calls reach it.

use std::cell::OnceCell;

use crate::{
    Acceptance, AsMessage, ClientError, Closing, Connection, ConnectionError, Error, FromMessage, Message, MessageRef,
    Refusal, Request, Result, Timer, log,
};

/// How a module creates its [`Handler`]. A type that implements [`Default`] implements this already; implement it for a
/// type that reads settings or prepares tables first.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be started",
    note = "add `#[derive(Default)]` to `{Self}`, or implement `hassock_sdk::Start` for it"
)]
pub trait Start: Sized {
    /// Create the value that all calls of this instance use. This runs within the instance's first call, so its time
    /// counts for that call.
    ///
    /// # Errors
    /// Any error goes into the host's log and ends that call only: [`on_open`](Handler::on_open) refuses with 500,
    /// [`on_message`](Handler::on_message) closes its connection. The next call runs `start` again.
    fn start() -> Result<Self>;
}

impl<T: Default> Start for T {
    fn start() -> Result<Self> {
        Ok(Self::default())
    }
}

/// What a module does. The calls of one connection come strictly one after the other, in the order of its
/// messages; those of different connections run side by side, in as many instances of the module as the
/// host chooses.
///
/// The host may drop an instance between any two calls. So do not keep state in `self` that later calls need: keep it
/// in an [attachment](Connection::attachment), a [topic](crate::topics) or a [database](crate::sql).
pub trait Handler: Start + 'static {
    /// The type that the messages of clients are read as: [`MessageRef<'a>`](MessageRef), `&'a str`, `&'a [u8]`,
    /// [`Json<T>`](crate::Json), or another type that implements [`FromMessage`]. It may borrow from the message.
    type Message<'a>: FromMessage<'a>;

    /// A client asks for a WebSocket. Messages that are sent to `connection` from now on are delivered after the
    /// handshake. By default, every connection is accepted.
    ///
    /// # Errors
    /// The HTTP answer for a client that is not accepted.
    fn on_open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
        let _ = (connection, request);
        Ok(Acceptance::new())
    }

    /// A message arrived.
    ///
    /// # Errors
    /// A [`ClientError`] goes to [`on_client_error`](Self::on_client_error), which by default replies with it; the
    /// connection stays. Any other error goes into the host's log, and the host closes the connection with the app's
    /// `error_close_code`, by default 1011; messages that had already arrived after this one are lost.
    fn on_message(&self, connection: Connection, message: Self::Message<'_>) -> Result<()>;

    /// The client made a mistake: its message is not a [`Self::Message`](Self::Message), or
    /// [`on_message`](Self::on_message) returned a [`ClientError`]. By default, the client gets the text message
    /// `{"error":"…"}` with the text of the error, and the connection stays. A module may instead send another reply,
    /// or [`close`](Connection::close) the connection, such as with 1003 or 1007. If the connection is already closing,
    /// there is no reply.
    ///
    /// # Errors
    /// As for [`on_message`](Self::on_message), but a [`ClientError`] is treated like any other error. The default
    /// reply fails with [`ConnectionError::OutboxFull`] if the client makes mistakes and does not read the replies;
    /// this error closes the connection.
    fn on_client_error(&self, connection: Connection, error: ClientError) -> Result<()> {
        let replied = connection.send_json(&serde_json::json!({ "error": error.to_string() }));
        replied.or_else(|error| match error.downcast_ref() {
            Some(ConnectionError::Closing) => Ok(()),
            _ => Err(error),
        })
    }

    /// The connection has ended. This is called exactly once for each connection that [`on_open`](Self::on_open)
    /// accepted, and is its last call. Its attachment can still be read, but it is not subscribed to any topic any
    /// more, and nothing can be sent to it.
    ///
    /// # Errors
    /// Any error goes into the host's log, and has no other effect.
    fn on_close(&self, connection: Connection, closing: &Closing) -> Result<()> {
        let _ = (connection, closing);
        Ok(())
    }

    /// A [timer of the connection](Connection::set_timer) is due. This is called in turn with the messages of the
    /// connection.
    ///
    /// # Errors
    /// Any error goes into the host's log, and the host closes the connection as after an error of
    /// [`on_message`](Self::on_message).
    fn on_connection_timer(&self, connection: Connection, timer: &Timer) -> Result<()> {
        let _ = (connection, timer);
        Ok(())
    }

    /// A [timer of the app](crate::timers::set) is due. The calls for timers of the app come one after the other, in
    /// parallel with the calls of connections.
    ///
    /// # Errors
    /// Any error goes into the host's log. A timer that repeats continues.
    fn on_app_timer(&self, timer: &Timer) -> Result<()> {
        let _ = timer;
        Ok(())
    }

    /// The client wants to subscribe to a topic by itself, with the subprotocol `hassock.v1`. The host subscribes it if this
    /// returns `Ok`. Whoever may subscribe to a topic may read what is kept of it. By default, no client may.
    ///
    /// # Errors
    /// The client is told that it may not subscribe, with the text of a [`ClientError`]. The text of any other error goes
    /// into the host's log.
    fn on_subscribe(&self, connection: Connection, topic: &str) -> Result<()> {
        let _ = (connection, topic);
        Err(ClientError::new("clients may not subscribe to this topic by themselves").into())
    }

    /// The client asks something with the subprotocol `hassock.v1`, and gets what this returns as the answer. This is called
    /// in turn with the messages of the connection. By default, nothing is answered.
    ///
    /// # Errors
    /// The client gets the text of a [`ClientError`] instead of an answer. The text of any other error goes into the host's
    /// log. The connection stays.
    fn on_request(&self, connection: Connection, message: Self::Message<'_>) -> Result<Message> {
        let _ = (connection, message);
        Err(ClientError::new("requests are not answered here").into())
    }

    /// The client was away, and is back within the app's `resume_for` with another handshake, `request`. The connection goes
    /// on: it has its attachment, its topics and its timers, and the client gets what it has not received. So neither
    /// [`on_close`](Self::on_close) nor [`on_open`](Self::on_open) is called. This is called in turn with the messages of the
    /// connection.
    ///
    /// # Errors
    /// Any error goes into the host's log, and the connection is closed with the app's `error_close_code`.
    fn on_resume(&self, connection: Connection, request: &Request) -> Result<()> {
        let _ = (connection, request);
        Ok(())
    }

    /// Check whether this version can serve on this host, before it gets any traffic: whether the settings exist, for
    /// example, and whether a query finds its columns. During this call databases are read-only, and there are no
    /// connections. There is no handler yet: [`start`](Start::start) has not run, and may be called from here if it
    /// only reads.
    ///
    /// ```
    /// # use hassock_sdk::prelude::*;
    /// # #[derive(Default)]
    /// # struct Shop;
    /// # impl Handler for Shop {
    /// #     type Message<'a> = MessageRef<'a>;
    /// #     fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
    /// #         connection.send(message)
    /// #     }
    /// fn check() -> Result<()> {
    ///     settings::require("currency")?;
    ///     Database::open("main")?.query("SELECT id, price FROM item LIMIT 1", [])?;
    ///     Ok(())
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// Any error is reported to the person or program that deploys the version, which then never serves.
    fn check() -> Result<()> {
        Ok(())
    }

    /// Convert the attachment of a connection that another version has served until now into what this version expects.
    /// This is called once for each connection that moves to this version. `from_version` has 12 hex digits. By
    /// default, attachments stay as they are.
    ///
    /// ```
    /// # use hassock_sdk::prelude::*;
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Member {
    ///     name: String,
    ///     /// New in this version.
    ///     #[serde(default)]
    ///     muted: bool,
    /// }
    ///
    /// # #[derive(Default)]
    /// # struct Chat;
    /// # impl Handler for Chat {
    /// #     type Message<'a> = MessageRef<'a>;
    /// #     fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
    /// #         connection.send(message)
    /// #     }
    /// fn migrate(_from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>> {
    ///     let member: Member = serde_json::from_slice(&attachment)?;
    ///     Ok(serde_json::to_vec(&member)?)
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// Any error leaves the connection with the version that it has, and counts as a failed call.
    fn migrate(from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>> {
        let _ = from_version;
        Ok(attachment)
    }
}

/// Run `call` with the instance's handler, which is created now if this is the first call.
fn with<H: Handler, T>(cell: &OnceCell<H>, call: impl FnOnce(&H) -> Result<T>) -> Result<T> {
    log::install();
    match cell.get() {
        Some(handler) => call(handler),
        None => {
            // If this fails, the cell stays empty, and the next call tries again.
            let handler = H::start()?;
            call(cell.get_or_init(|| handler))
        }
    }
}

/// The export `handler.open`. The cause of a refusal goes into the log.
pub(crate) fn open<H: Handler>(cell: &OnceCell<H>, id: u64, request: Request) -> Result<Acceptance, Refusal> {
    let answer = with(cell, |handler| Ok(handler.on_open(Connection::from_id(id), &request)));
    let refusal = match answer {
        Ok(Ok(acceptance)) => return Ok(acceptance),
        Ok(Err(refusal)) => refusal,
        Err(error) => Refusal::from(error),
    };
    if let Some(cause) = &refusal.cause {
        ::log::error!("open failed: {cause}");
    }
    Err(refusal)
}

/// The export `handler.receive`: the batch in order, up to the first error.
pub(crate) fn receive<'a, H: Handler>(
    cell: &OnceCell<H>,
    id: u64,
    messages: impl IntoIterator<Item = MessageRef<'a>>,
) -> Result<(), String> {
    let connection = Connection::from_id(id);
    let handle = |handler: &H| messages.into_iter().try_for_each(|message| dispatch(handler, connection, message));
    with(cell, handle).map_err(text)
}

fn dispatch<H: Handler>(handler: &H, connection: Connection, message: MessageRef<'_>) -> Result<()> {
    let handled = match H::Message::from_message(message) {
        Ok(message) => handler.on_message(connection, message),
        Err(error) => return handler.on_client_error(connection, error),
    };
    handled.or_else(|error| handler.on_client_error(connection, error.downcast::<ClientError>()?))
}

/// The export `handler.closed`.
pub(crate) fn closed<H: Handler>(cell: &OnceCell<H>, id: u64, closing: &Closing) {
    if let Err(error) = with(cell, |handler| handler.on_close(Connection::from_id(id), closing)) {
        ::log::error!("closed failed: {error:#}");
    }
}

/// The export `timer-handler.connection-timer`.
pub(crate) fn connection_timer<H: Handler>(cell: &OnceCell<H>, id: u64, timer: &Timer) -> Result<(), String> {
    with(cell, |handler| handler.on_connection_timer(Connection::from_id(id), timer)).map_err(text)
}

/// The export `timer-handler.app-timer`.
pub(crate) fn app_timer<H: Handler>(cell: &OnceCell<H>, timer: &Timer) -> Result<(), String> {
    with(cell, |handler| handler.on_app_timer(timer)).map_err(text)
}

/// The export `subscription-handler.subscribe`.
pub(crate) fn subscribe<H: Handler>(cell: &OnceCell<H>, id: u64, topic: &str) -> Result<(), String> {
    with(cell, |handler| handler.on_subscribe(Connection::from_id(id), topic))
        .map_err(|error| for_client(error, "subscribe"))
}

/// The export `request-handler.request`.
pub(crate) fn request<H: Handler>(cell: &OnceCell<H>, id: u64, message: &Message) -> Result<Message, String> {
    let answer = with(cell, |handler| {
        let message = H::Message::from_message(message.as_message())?;
        handler.on_request(Connection::from_id(id), message)
    });
    answer.map_err(|error| for_client(error, "request"))
}

/// The export `resumption-handler.resumed`.
pub(crate) fn resumed<H: Handler>(cell: &OnceCell<H>, id: u64, request: Request) -> Result<(), String> {
    with(cell, |handler| handler.on_resume(Connection::from_id(id), &request)).map_err(text)
}

/// What the client is told. Only the log gets the text of an error that is not its own.
fn for_client(error: Error, call: &str) -> String {
    match error.downcast::<ClientError>() {
        Ok(mistake) => mistake.to_string(),
        Err(error) => {
            ::log::error!("{call} failed: {error:#}");
            "the application failed".to_owned()
        }
    }
}

/// The export `self-test.check`.
pub(crate) fn check<H: Handler>() -> Result<(), String> {
    log::install();
    H::check().map_err(text)
}

/// The export `migration.migrate`.
pub(crate) fn migrate<H: Handler>(from_version: &str, attachment: Vec<u8>) -> Result<Vec<u8>, String> {
    log::install();
    H::migrate(from_version, attachment).map_err(text)
}

/// The error with its causes, for the host's log.
fn text(error: Error) -> String {
    format!("{error:#}")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::prelude::{Context, bail};

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

    impl Start for Recorder {
        fn start() -> Result<Self> {
            match note("start") {
                1 => bail!("not yet"),
                _ => Ok(Self),
            }
        }
    }

    impl Handler for Recorder {
        type Message<'a> = &'a str;

        fn on_message(&self, _: Connection, text: &str) -> Result<()> {
            note(text);
            match text {
                "bad" => Err(Error::msg("the cause")).context("bad text"),
                "mistake" => bail!(ClientError::new("not that")),
                _ => Ok(()),
            }
        }

        fn on_client_error(&self, _: Connection, error: ClientError) -> Result<()> {
            note(&format!("client error: {error}"));
            Ok(())
        }
    }

    #[test]
    fn a_start_that_fails_is_tried_again_and_a_batch_ends_at_its_first_error() {
        let cell = OnceCell::<Recorder>::new();
        let receive = |texts: &[&str]| receive(&cell, 1, texts.iter().copied().map(MessageRef::text));
        assert_eq!(receive(&["lost"]), Err("not yet".into()));
        assert_eq!(receive(&["a", "b"]), Ok(()));
        assert_eq!(receive(&["c", "bad", "never"]), Err("bad text: the cause".into()));
        assert_eq!(SEEN.take(), ["start", "start", "a", "b", "c", "bad"]);
    }

    #[test]
    fn mistakes_of_the_client_do_not_end_the_batch() {
        note("a start that fails");
        let cell = OnceCell::<Recorder>::new();
        let messages = [MessageRef::text("mistake"), MessageRef::binary(&[0]), MessageRef::text("a")];
        assert_eq!(receive(&cell, 1, messages), Ok(()));
        let expected = ["mistake", "client error: not that", "client error: the message is binary; send text", "a"];
        assert_eq!(SEEN.take().split_off(2), expected);
    }
}
