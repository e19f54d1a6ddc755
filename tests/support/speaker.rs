//! A client of `hassock.v1`.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::Client;
use crate::client::Closed;

/// A client that speaks the client protocol.
pub struct Speaker {
    /// Its WebSocket.
    pub client: Client,
    /// The header of the first message.
    pub connected: Value,
    /// How many messages of the connection it has: all but `connected`, `heartbeat` and `closing`.
    pub received: u64,
    requests: u64,
}

/// What a client knows when its network fails.
#[derive(Debug, Clone)]
pub struct Known {
    /// The header of the first message.
    pub connected: Value,
    /// How many messages of the connection it has.
    pub received: u64,
    requests: u64,
}

/// A message of the host: its header, null if that is empty, and its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    /// The header.
    pub header: Value,
    /// The payload of a text.
    pub payload: String,
}

impl Speaker {
    /// Connect without anything from before.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn connect(address: &str, path: &str) -> Self {
        Self::with(address, path, &["hassock.v1"]).await.unwrap_or_else(|error| panic!("{path} is refused: {error}"))
    }

    /// Connect with positions from before: an object of topics.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn since(address: &str, path: &str, since: Value) -> Self {
        let state = state(&json!({ "since": since }).to_string());
        let connected = Self::with(address, path, &["hassock.v1", &state]).await;
        connected.unwrap_or_else(|error| panic!("{path} is refused: {error}"))
    }

    /// What it knows now.
    pub fn known(&self) -> Known {
        Known { connected: self.connected.clone(), received: self.received, requests: self.requests }
    }

    /// Connect with these subprotocols.
    ///
    /// # Errors
    /// If that is refused.
    ///
    /// # Panics
    /// If the first message is not what it should be.
    pub async fn with(address: &str, path: &str, subprotocols: &[&str]) -> Result<Self, Error> {
        let offer = HeaderValue::from_str(&subprotocols.join(", "))?;
        let client = Client::with(address, path, |request| {
            request.headers_mut().insert("sec-websocket-protocol", offer);
        })
        .await?;
        let mut speaker = Self { client, connected: Value::Null, received: 0, requests: 0 };
        speaker.connected = speaker.try_next().await.map_err(|_| Error::ConnectionClosed)?.header;
        assert_eq!(speaker.connected["type"], "connected");
        Ok(speaker)
    }

    /// The next message except heartbeats, which are answered.
    ///
    /// # Panics
    /// If the connection ends instead, or a message has no header.
    pub async fn next(&mut self) -> Spoken {
        match self.try_next().await {
            Ok(spoken) => spoken,
            Err(closed) => panic!("closed instead of a message: {closed:?}"),
        }
    }

    /// The same, or the end of the connection.
    ///
    /// # Errors
    /// If the end comes.
    ///
    /// # Panics
    /// If a message has no header.
    pub async fn try_next(&mut self) -> Result<Spoken, Closed> {
        loop {
            let spoken = Spoken::parse(&self.client.try_text().await?);
            match spoken.header["type"].as_str() {
                Some("heartbeat") => {}
                Some("connected" | "closing") => return Ok(spoken),
                _ => {
                    self.received += 1;
                    return Ok(spoken);
                }
            }
            let mut answer = json!({ "type": "heartbeat" });
            if !self.connected["resume"].is_null() {
                answer["received"] = json!(self.received);
            }
            // If the host has closed, the next message tells.
            let _ = self.client.socket.send(Message::text(format!("{answer}\n"))).await;
        }
    }

    /// The host says that it is there, and how many messages of the client were handled.
    ///
    /// # Panics
    /// If something else comes first.
    pub async fn heartbeat(&mut self) -> Value {
        let received = self.received;
        self.say(json!({ "type": "heartbeat", "received": received, "reply": true })).await;
        let text = self.client.text().await;
        let header = Spoken::parse(&text).header;
        assert_eq!(header["type"], "heartbeat", "{text}");
        header
    }

    /// Send a message to the module.
    pub async fn send(&mut self, payload: &str) {
        self.client.send(format!("\n{payload}")).await;
    }

    /// Send a message to the host.
    pub async fn say(&mut self, header: Value) {
        self.client.send(format!("{header}\n")).await;
    }

    /// Run a command of the probe, and return its answer, which is the next message.
    ///
    /// # Panics
    /// If it fails.
    pub async fn probe(&mut self, command: Value) -> Value {
        self.send(&command.to_string()).await;
        let spoken = self.next().await;
        assert_eq!(spoken.header, Value::Null, "{spoken:?}");
        let answer: Value = serde_json::from_str(&spoken.payload).unwrap();
        assert!(answer.get("ok").is_some(), "{answer}");
        answer["ok"].clone()
    }

    /// Ask to be subscribed. `more` is added to the message. Returns the answer.
    ///
    /// # Panics
    /// If the answer is for something else.
    pub async fn subscribe(&mut self, topic: &str, more: Value) -> Value {
        self.requests += 1;
        let mut message = json!({ "type": "subscribe", "request": self.requests, "topic": topic });
        let fields = more.as_object().into_iter().flatten();
        fields.for_each(|(name, value)| message[name] = value.clone());
        self.say(message).await;
        let answer = self.next().await.header;
        assert_eq!(answer["request"], self.requests, "{answer}");
        answer
    }

    /// Ask the module. Returns the answer.
    ///
    /// # Panics
    /// If the answer is for something else.
    pub async fn request(&mut self, payload: &str) -> Spoken {
        self.requests += 1;
        self.client.send(format!("{}\n{payload}", json!({ "type": "request", "request": self.requests }))).await;
        let answer = self.next().await;
        assert_eq!(answer.header["request"], self.requests, "{answer:?}");
        answer
    }
}

impl Known {
    /// Come back to the connection, or get another one.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn again(&self, address: &str, path: &str) -> Speaker {
        self.again_with(address, path, |_| {}).await
    }

    /// The same with a changed state: the object that tells the host what a client has from before.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn again_with(&self, address: &str, path: &str, change: impl FnOnce(&mut Value)) -> Speaker {
        let again = self.try_again_with(address, path, change).await;
        again.unwrap_or_else(|error| panic!("{path} is refused: {error}"))
    }

    /// The same.
    ///
    /// # Errors
    /// If that is refused.
    pub async fn try_again_with(
        &self,
        address: &str,
        path: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Speaker, Error> {
        let mut again = Speaker::with(address, path, &["hassock.v1", &self.state(change)]).await?;
        if again.connected["resumed"] == true {
            (again.received, again.requests) = (self.received, self.requests);
        }
        Ok(again)
    }

    /// The subprotocol that says so.
    pub fn state(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut known = json!({ "resume": self.connected["resume"], "received": self.received });
        change(&mut known);
        state(&known.to_string())
    }
}

impl Spoken {
    /// Tell the header from the payload.
    ///
    /// # Panics
    /// If the message has no header.
    pub fn parse(message: &str) -> Self {
        let (header, payload) = message.split_once('\n').unwrap_or_else(|| panic!("no header: {message}"));
        let header = match header {
            "" => Value::Null,
            header => serde_json::from_str(header).unwrap_or_else(|error| panic!("{header}: {error}")),
        };
        Self { header, payload: payload.to_owned() }
    }

    /// The position of the message.
    ///
    /// # Panics
    /// If it has none.
    pub fn position(&self) -> String {
        self.header["position"].as_str().unwrap_or_else(|| panic!("no position: {self:?}")).to_owned()
    }
}

/// The subprotocol that tells the host what a client has from before.
pub fn state(json: &str) -> String {
    format!("hassock.v1.{}", BASE64_URL_SAFE_NO_PAD.encode(json))
}
