//! Attacks of clients. They come from an address of their own, and go to the app of the bystanders.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::{Attack, AttackedHost};
use crate::Raw;
use crate::deflating::{COMPRESSED, bomb, compressed};
use crate::raw::opcode::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT};
use crate::raw::{Frame, frame, text, unmasked, upgrade, upgrade_with};

/// Where attackers connect from.
const ADDRESS: &str = "127.0.0.2";

/// A reserved bit of the first byte of a frame.
const RESERVED: u8 = 0x40;

/// Between two bytes of a request that is sent slowly.
const SLOWLY: Duration = Duration::from_millis(50);

/// How long a host takes nothing before a client concludes that it waits for the client to read.
const BLOCKED: Duration = Duration::from_millis(200);

/// A WebSocket of an attacker.
pub(super) async fn open(address: &str, path: &str) -> Raw {
    let mut raw = connect(address).await;
    raw.send(upgrade(path)).await;
    raw.accepted().await;
    raw
}

async fn connect(address: &str) -> Raw {
    Raw::connect_from(ADDRESS, address).await
}

async fn echo(address: &str) -> Raw {
    open(address, AttackedHost::ECHO).await
}

impl Attack {
    /// Do once what a client does.
    pub(super) async fn harass(self, address: &str) {
        match self {
            Self::SlowHandshake => slow_handshake(address).await,
            Self::HalfOpen => half_open(address).await,
            Self::NeverReads => never_reads(address).await,
            Self::SingleBytes => single_bytes(address).await,
            Self::GiantFrame => {
                // Ten bytes of head, and a mask.
                let length = (1_u64 << 62).to_be_bytes();
                let head = [&[FIN | BINARY, 0x80 | 127], &length[..], &[0; 4]].concat();
                refused(echo(address).await, &head, 1009).await;
            }
            Self::Fragments => fragments(address).await,
            Self::EmptyFragments => empty_fragments(address).await,
            Self::Pings => pings(address).await,
            Self::Unmasked => refused(echo(address).await, &unmasked(FIN | TEXT, "x"), 1002).await,
            Self::ReservedBits => refused(echo(address).await, &frame(FIN | RESERVED | TEXT, "x"), 1002).await,
            Self::Bombs => bombs(address).await,
            Self::Storm => storm(address).await,
            Self::Pipelined => pipelined(address).await,
            Self::HugeHead => huge_head(address).await,
            other => unreachable!("{} is an attack of a module", other.name()),
        }
    }
}

/// Send bytes, and be closed with a code.
async fn refused(mut raw: Raw, bytes: &[u8], code: u16) {
    raw.send(bytes).await;
    assert_eq!(raw.closed().await.0, code);
    raw.reset();
}

/// The host gives the client up, with or without an answer.
async fn slow_handshake(address: &str) {
    let mut raw = connect(address).await;
    for byte in upgrade(AttackedHost::ECHO).bytes().cycle() {
        if raw.try_send([byte]).await.is_err() {
            break;
        }
        tokio::select! {
            answer = raw.try_answer() => {
                assert!(answer.as_ref().is_none_or(|answer| answer.status == 408), "{answer:?}");
                break;
            }
            () = tokio::time::sleep(SLOWLY) => {}
        }
    }
    raw.reset();
}

async fn half_open(address: &str) {
    let mut raw = connect(address).await;
    let answer = raw.try_answer().await;
    assert!(answer.as_ref().is_none_or(|answer| answer.status == 408), "{answer:?}");
    raw.reset();
}

/// Until the host hangs up: the kernel takes only so much.
async fn never_reads(address: &str) {
    let mut raw = echo(address).await;
    let message = frame(FIN | BINARY, vec![7; 64 << 10]);
    while raw.try_send(&message).await.is_ok() {}
    raw.reset();
}

/// Each byte is a packet.
async fn single_bytes(address: &str) {
    let mut raw = echo(address).await;
    for byte in text("byte by byte") {
        raw.send([byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.text().await, "byte by byte");
    raw.reset();
}

/// Until the message is too large.
async fn fragments(address: &str) {
    let mut raw = echo(address).await;
    raw.send(frame(TEXT, "x")).await;
    let part = frame(CONTINUATION, "x".repeat(100)).repeat(100);
    for _ in 0..1000 {
        // The host may have closed, and hung up.
        if raw.try_send(&part).await.is_err() {
            break;
        }
    }
    // If the close frame has not been lost with what the host did not read any more.
    if let Some(frame) = raw.frame().await {
        assert!(frame.payload.starts_with(&1009_u16.to_be_bytes()), "{frame:?}");
    }
    raw.reset();
}

/// A message of 100,001 parts, of which the first has the content.
async fn empty_fragments(address: &str) {
    let mut raw = echo(address).await;
    raw.send(frame(TEXT, "x")).await;
    for _ in 0..100 {
        raw.send(frame(CONTINUATION, "").repeat(1000)).await;
    }
    raw.send(frame(FIN | CONTINUATION, "")).await;
    assert_eq!(raw.text().await, "x");
    raw.reset();
}

/// The host answers only the last ones of many, so the very last one is awaited.
async fn pings(address: &str) {
    let mut raw = echo(address).await;
    for _ in 0..20 {
        raw.send([frame(FIN | PING, "ping").repeat(500), frame(FIN | PING, "the last")].concat()).await;
        while raw.frame().await.unwrap_or_else(|| panic!("the host has left")) != Frame::new(PONG, "the last") {}
    }
    raw.reset();
}

/// Some that are just within the limit, and one that is not.
async fn bombs(address: &str) {
    // It takes a while to make it.
    static HUGE: LazyLock<Vec<u8>> = LazyLock::new(|| frame(FIN | COMPRESSED | BINARY, bomb(512)));
    let mut raw = connect(address).await;
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    raw.send(upgrade_with(AttackedHost::ECHO, offer)).await;
    raw.accepted().await;
    for _ in 0..4 {
        raw.send(compressed(BINARY, vec![0; 1 << 20])).await;
        let echo = raw.frame().await.unwrap_or_else(|| panic!("the host has left"));
        assert_eq!(echo.first, FIN | COMPRESSED | BINARY);
    }
    refused(raw, &HUGE, 1009).await;
}

/// Leave before and after the handshake, with a TCP reset each time.
async fn storm(address: &str) {
    connect(address).await.reset();
    let mut unanswered = connect(address).await;
    unanswered.send(upgrade(AttackedHost::ECHO)).await;
    unanswered.reset();
    echo(address).await.reset();
}

/// Until the host reads no more, or hangs up.
async fn pipelined(address: &str) {
    let mut raw = connect(address).await;
    let requests = "GET /nowhere HTTP/1.1\r\nHost: hassock.test\r\n\r\n".repeat(1000);
    while let Ok(Ok(())) = timeout(BLOCKED, raw.stream.write_all(requests.as_bytes())).await {}
    raw.reset();
}

async fn huge_head(address: &str) {
    let mut raw = connect(address).await;
    let field = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
    // The host may hang up before it has read everything, and then the answer may be lost too.
    let _ = raw.try_send(upgrade_with(AttackedHost::ECHO, &field)).await;
    if let Some(answer) = raw.try_answer().await {
        assert_eq!(answer.status, 431, "{answer:?}");
    }
    raw.reset();
}
