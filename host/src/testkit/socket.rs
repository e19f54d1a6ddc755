//! The client's side of a WebSocket: the same over in-memory buffers and over TCP.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hassock_transcript::backend::Resume;
use hassock_transcript::spoken::{PROTOCOL, Spoken};
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message as Frame, Utf8Bytes};

use super::{Answer, Connect, Message, Received};
use crate::socket::Transport;

/// Any key will do (RFC 6455, section 4.1, is about caches); a fixed one makes the answer the same each time.
const KEY: &str = "aGFzc29jayB0ZXN0a2l0IQ==";

/// Answers heartbeats for a client that speaks `hassock.v1`. It does not keep the connection open.
struct HeartbeatAnswers {
    orders: mpsc::WeakUnboundedSender<WriteOrder>,
    /// How many messages have come on the connection, which may have had other sockets before.
    received: u64,
}

impl HeartbeatAnswers {
    /// Count a message. Returns whether it was a heartbeat, which nobody else sees.
    fn is_answered(&mut self, frame: &Frame) -> bool {
        let message = match frame {
            Frame::Text(text) => Message::Text(text.as_str().to_owned()),
            Frame::Binary(_) => {
                self.received += 1;
                return false;
            }
            _ => return false,
        };
        let Ok(spoken) = Spoken::read(message) else { return false };
        match spoken.kind() {
            Some("heartbeat") => {
                let answer = serde_json::json!({ "type": "heartbeat", "received": self.received });
                // Without a sender, the client has gone.
                if let Some(orders) = self.orders.upgrade() {
                    let _ = orders.send(WriteOrder::Send(Frame::text(format!("{answer}\n"))));
                }
                return true;
            }
            Some("connected") if spoken.header.get("resumed") != Some(&true.into()) => self.received = 0,
            Some("connected" | "closing") => {}
            _ => self.received += 1,
        }
        false
    }
}

/// One end of a connection. When it is dropped, the connection breaks.
pub(crate) struct Socket {
    inbox: Arc<Inbox>,
    orders: mpsc::UnboundedSender<WriteOrder>,
}

#[derive(Default)]
struct Inbox {
    state: Mutex<InboxState>,
    changed: Notify,
}

#[derive(Default)]
struct InboxState {
    received: VecDeque<Received>,
    /// All that the host has written.
    bytes: Vec<u8>,
    pongs: u64,
    /// The client has closed, so that the host's answer is not reported.
    leaving: bool,
    over: bool,
}

enum WriteOrder {
    Send(Frame),
    Vanish,
}

/// Ask for a WebSocket over `stream`, which leads to `authority`.
///
/// # Errors
/// If the request is malformed, or not answered with HTTP.
pub(crate) async fn connect(
    stream: impl Transport,
    authority: &str,
    connect: &Connect,
) -> Result<(Answer, Option<Socket>), String> {
    let inbox = Arc::new(Inbox::default());
    let tapped = Tapped { stream, inbox: Arc::clone(&inbox) };
    let (mut http, connection) = http1::handshake(TokioIo::new(tapped)).await.map_err(failed)?;
    tokio::spawn(connection.with_upgrades());
    let mut response = http.send_request(request(authority, connect)?).await.map_err(failed)?;
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut answer = Answer {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(header).collect(),
        body: String::new(),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let body = response.into_body().collect().await.map_err(failed)?;
        answer.body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        return Ok((answer, None));
    }
    let upgraded = hyper::upgrade::on(&mut response).await.map_err(failed)?;
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
    let (orders, wanted) = mpsc::unbounded_channel();
    let answers = connect.speaks.is_some().then(|| HeartbeatAnswers {
        orders: orders.downgrade(),
        received: connect.resume.as_ref().map_or(0, |resume| resume.received),
    });
    tokio::spawn(attend(socket, Arc::clone(&inbox), wanted, answers));
    Ok((answer, Some(Socket { inbox, orders })))
}

fn failed(error: hyper::Error) -> String {
    format!("the request was not answered: {error}")
}

fn request(authority: &str, connect: &Connect) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::get(&connect.target)
        .header(HOST, authority)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, KEY);
    if let Some(since) = &connect.speaks {
        request = request.header(SEC_WEBSOCKET_PROTOCOL, offer(since, connect.resume.as_ref()));
    }
    for (name, value) in &connect.headers {
        request = request.header(name, value);
    }
    request.body(Empty::new()).map_err(|error| format!("the request cannot be sent: {error}"))
}

/// What a client that speaks `hassock.v1` offers.
fn offer(since: &BTreeMap<String, String>, resume: Option<&Resume>) -> String {
    let state = match resume {
        None if since.is_empty() => return PROTOCOL.to_owned(),
        None => serde_json::json!({ "since": since }),
        Some(Resume { token, received }) => {
            serde_json::json!({ "since": since, "resume": token, "received": received })
        }
    };
    format!("{PROTOCOL}, {PROTOCOL}.{}", BASE64_URL_SAFE_NO_PAD.encode(state.to_string()))
}

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// Read and write until the connection is over. Both at once: a host that waits for us to read reads nothing.
async fn attend(
    socket: Stream,
    inbox: Arc<Inbox>,
    orders: mpsc::UnboundedReceiver<WriteOrder>,
    answers: Option<HeartbeatAnswers>,
) {
    let (writer, reader) = socket.split();
    tokio::select! {
        () = read(reader, &inbox, answers) => {}
        () = write(writer, &inbox, orders) => {}
    }
    inbox.change(|state| state.over = true);
}

async fn read(mut reader: SplitStream<Stream>, inbox: &Inbox, mut answers: Option<HeartbeatAnswers>) {
    let mut is_closed = false;
    while let Some(frame) = reader.next().await {
        if let (Ok(frame), Some(answers)) = (&frame, &mut answers)
            && answers.is_answered(frame)
        {
            continue;
        }
        inbox.change(|state| match frame {
            Ok(Frame::Text(text)) => state.push(Message::Text(text.as_str().to_owned())),
            Ok(Frame::Binary(data)) => state.push(Message::Binary(data.into())),
            Ok(Frame::Pong(_)) => state.pongs += 1,
            Ok(Frame::Close(frame)) => {
                is_closed = true;
                state.close(frame);
            }
            Ok(Frame::Ping(_) | Frame::Frame(_)) => {}
            Err(_) => {
                if !std::mem::replace(&mut is_closed, true) {
                    state.lose();
                }
            }
        });
    }
    if !is_closed {
        inbox.change(InboxState::lose);
    }
}

async fn write(mut writer: SplitSink<Stream, Frame>, inbox: &Inbox, mut orders: mpsc::UnboundedReceiver<WriteOrder>) {
    while let Some(WriteOrder::Send(frame)) = orders.recv().await {
        if writer.send(frame).await.is_err() {
            // The reading side sees why.
            return std::future::pending().await;
        }
    }
    inbox.change(|state| state.leaving = true);
}

impl Socket {
    /// Send a message. False if the connection is over, or the client has closed it.
    pub(crate) fn send(&self, message: Message) -> bool {
        let frame = match message {
            Message::Text(text) => Frame::text(text),
            Message::Binary(bytes) => Frame::binary(bytes),
        };
        self.is_open() && self.orders.send(WriteOrder::Send(frame)).is_ok()
    }

    /// Ask the other side for a sign of life.
    pub(crate) fn ping(&self) -> bool {
        self.is_open() && self.orders.send(WriteOrder::Send(Frame::Ping(Bytes::new()))).is_ok()
    }

    /// Send a close frame. False if the connection is over already.
    pub(crate) fn close(&self, close: Option<(u16, &str)>) -> bool {
        let frame = close.map(|(code, reason)| CloseFrame { code: code.into(), reason: Utf8Bytes::from(reason) });
        let was_open = self.leave();
        was_open && self.orders.send(WriteOrder::Send(Frame::Close(frame))).is_ok()
    }

    /// Break the connection. False if it is over already.
    pub(crate) fn vanish(&self) -> bool {
        let was_open = self.leave();
        was_open && self.orders.send(WriteOrder::Vanish).is_ok()
    }

    fn leave(&self) -> bool {
        let was_open = self.is_open();
        self.inbox.state.lock().leaving = true;
        was_open
    }

    /// Whether messages can be sent.
    pub(crate) fn is_open(&self) -> bool {
        let state = self.inbox.state.lock();
        !state.over && !state.leaving
    }

    /// What came next.
    pub(crate) fn take(&self) -> Option<Received> {
        self.inbox.state.lock().received.pop_front()
    }

    /// The id of the connection, if a client that speaks `hassock.v1` has been told it and nobody has taken that message.
    pub(crate) fn told_id(&self) -> Option<u64> {
        let state = self.inbox.state.lock();
        let Some(Received::Message(message)) = state.received.front() else { return None };
        let spoken = Spoken::read(message.clone()).ok().filter(|spoken| spoken.kind() == Some("connected"))?;
        spoken.header.get("connection")?.as_u64()
    }

    /// The next message, if there is one before the end.
    pub(crate) fn take_message(&self) -> Option<Message> {
        let mut state = self.inbox.state.lock();
        match state.received.pop_front()? {
            Received::Message(message) => Some(message),
            end @ Received::Closed { .. } => {
                state.received.push_front(end);
                None
            }
        }
    }

    /// All that the host has written, from its answer to the request on.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.inbox.state.lock().bytes.clone()
    }

    /// Wait until something has come, or the connection is over.
    pub(crate) async fn wait(&self) {
        self.wait_for(|state| !state.received.is_empty()).await;
    }

    /// Wait until the connection is over.
    pub(crate) async fn end(&self) {
        self.wait_for(|_| false).await;
    }

    /// Wait until the host has answered a ping, which it reads after all that was sent before.
    pub(crate) async fn answered(&self) {
        let pongs = self.inbox.state.lock().pongs;
        if self.ping() {
            self.wait_for(|state| state.pongs > pongs).await;
        }
    }

    async fn wait_for(&self, done: impl Fn(&InboxState) -> bool) {
        loop {
            let changed = self.inbox.changed.notified();
            {
                let state = self.inbox.state.lock();
                if done(&state) || state.over {
                    return;
                }
            }
            changed.await;
        }
    }
}

impl Inbox {
    fn change(&self, change: impl FnOnce(&mut InboxState)) {
        change(&mut self.state.lock());
        self.changed.notify_waiters();
    }
}

impl InboxState {
    fn push(&mut self, message: Message) {
        self.received.push_back(Received::Message(message));
    }

    fn close(&mut self, frame: Option<CloseFrame>) {
        if !std::mem::replace(&mut self.leaving, true) {
            let (code, reason) =
                frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
            self.received.push_back(Received::Closed { code, reason });
        }
    }

    fn lose(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) {
            self.received.push_back(Received::Closed { code: 1006, reason: String::new() });
        }
    }
}

/// Keeps a copy of what was read.
struct Tapped<S> {
    stream: S,
    inbox: Arc<Inbox>,
}

impl<S: Transport> AsyncRead for Tapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            let read = buffer.filled().get(before..).unwrap_or_default();
            self.inbox.state.lock().bytes.extend_from_slice(read);
        }
        polled
    }
}

impl<S: Transport> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
