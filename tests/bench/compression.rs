//! What compression costs and saves: the same messages to an app with `permessage-deflate` and to one without.

use std::time::Instant;

use clap::Args;
use hassock_tests::deflating::{COMPRESSED, compress};
use hassock_tests::{app, app_with_database, example, guest};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::load::client::{answer, expect, from_server, handshake, to_server};
use crate::load::{PUBLISH, ROUND, Round, SUBSCRIBE, TEXT, rate};
use crate::server::{Cores, Server};

/// Clients that send at the same time.
const ECHOING: usize = 32;

const SUBSCRIBERS: usize = 200;

/// How many published messages have not been answered.
const PUBLISHING: usize = 4;

/// Rounds for each figure.
const ROUNDS: usize = 3;

/// Measure what compressed messages cost and save.
#[derive(Args)]
pub struct Compression {}

/// Whether the app of a row compresses.
#[derive(Clone, Copy)]
enum Form {
    Plain,
    Compressed,
}

/// A row of the table.
struct Figures {
    /// Microseconds of the host's CPU for a message that is echoed, or for a delivery.
    cpu: f64,
    /// Bytes of a frame from a client, and of one to a client.
    received: usize,
    sent: usize,
}

impl Compression {
    pub async fn measure(&self) {
        println!("| | | µs of CPU | bytes from a client | bytes to a client |\n|---|---|---|---|---|");
        for length in [1 << 10, 16 << 10] {
            let text = prices(length);
            for form in [Form::Plain, Form::Compressed] {
                print(&format!("echo of {} KiB", length >> 10), form, &echo(form, &text).await);
            }
        }
        let text = prices(1 << 10);
        for form in [Form::Plain, Form::Compressed] {
            print(&format!("1 KiB to {SUBSCRIBERS}, for each"), form, &fan_out(form, &text).await);
        }
    }
}

fn print(case: &str, form: Form, figures: &Figures) {
    let Figures { cpu, received, sent } = figures;
    println!("| {case} | {} | {cpu:.2} | {received} | {sent} |", form.name());
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Compressed => "compressed",
        }
    }

    fn server(self) -> Server {
        let apps = app("echo", &example("echo")) + &app_with_database("probe", &guest("probe"), "sqlite::memory:");
        let keys = match self {
            Self::Plain => "",
            Self::Compressed => "[apps.echo.compression]\nenabled = true\n[apps.probe.compression]\nenabled = true\n",
        };
        Server::hassock_with(&format!("{apps}{keys}"), Cores::SERVER, &[])
    }

    /// A frame of a client.
    fn frame(self, text: &str) -> Vec<u8> {
        match self {
            Self::Plain => to_server(TEXT, text.as_bytes()),
            Self::Compressed => to_server(COMPRESSED | TEXT, &compress(text)),
        }
    }

    async fn connect(self, server: &Server, target: &str) -> TcpStream {
        let mut socket = TcpStream::connect(&server.address).await.expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        let request = handshake(target);
        let request = match self {
            Self::Plain => request,
            Self::Compressed => {
                request.trim_end().to_owned() + "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            }
        };
        socket.write_all(request.as_bytes()).await.expect("the request");
        answer(&mut socket).await;
        socket
    }

    /// Check that a frame from the host has the right form.
    fn check(self, frame: &[u8], text: &str) {
        match self {
            Self::Plain => assert!(frame == from_server(TEXT, text.as_bytes()), "it is not what was sent"),
            Self::Compressed => {
                assert_eq!(frame[0], 0x80 | COMPRESSED | TEXT, "it is not compressed");
                assert!(frame.len() < text.len(), "it is not shorter");
            }
        }
    }
}

/// JSON as an app may publish it: an array of prices with so many bytes.
fn prices(length: usize) -> String {
    // Any sequence without a pattern does (Knuth's multiplier).
    let mut random = 1_u64;
    let mut next = |most: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % most
    };
    let mut text = "[".to_owned();
    while text.len() < length - 80 {
        let (id, price, volume) = (next(100_000), next(1_000_000), next(10_000));
        let side = ["buy", "sell"][next(2) as usize];
        text += &format!(
            r#"{{"id":{id},"symbol":"SYM{}","price":{}.{:02},"volume":{volume},"side":"{side}"}},"#,
            next(500),
            price / 100,
            price % 100
        );
    }
    let note = "x".repeat(length - text.len() - r#"{"note":""}]"#.len());
    text + &format!(r#"{{"note":"{note}"}}]"#)
}

async fn echo(form: Form, text: &str) -> Figures {
    let server = form.server();
    let frame = form.frame(text);
    let mut sockets = Vec::new();
    for _ in 0..ECHOING {
        sockets.push(form.connect(&server, &server.echo).await);
    }
    sockets[0].write_all(&frame).await.expect("to send");
    let reply = read_frame(&mut sockets[0]).await;
    form.check(&reply, text);
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        rounds.push(rate(&server, exchange(&mut sockets, &frame, &reply)).await);
    }
    Figures { cpu: median(&rounds), received: frame.len(), sent: reply.len() }
}

/// Send for a round. Returns the number of messages that came back.
async fn exchange(sockets: &mut Vec<TcpStream>, frame: &[u8], reply: &[u8]) -> usize {
    let end = Instant::now() + ROUND;
    let mut tasks = JoinSet::new();
    for mut socket in sockets.drain(..) {
        let (frame, reply) = (frame.to_vec(), reply.to_vec());
        tasks.spawn(async move {
            let (mut buffer, mut count) = (Vec::new(), 0);
            while Instant::now() < end {
                socket.write_all(&frame).await.expect("to send");
                expect(&mut socket, &reply, &mut buffer).await;
                count += 1;
            }
            (socket, count)
        });
    }
    let done = tasks.join_all().await;
    let messages = done.iter().map(|(_, count)| count).sum();
    sockets.extend(done.into_iter().map(|(socket, _)| socket));
    messages
}

async fn fan_out(form: Form, text: &str) -> Figures {
    let server = form.server();
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        subscribers.push(form.connect(&server, SUBSCRIBE).await);
    }
    let mut publisher = Form::Plain.connect(&server, PUBLISH).await;
    let publish = to_server(TEXT, json!({ "publish": { "topic": "news", "text": text } }).to_string().as_bytes());
    let done = from_server(TEXT, json!({ "ok": SUBSCRIBERS }).to_string().as_bytes());
    publisher.write_all(&publish).await.expect("to publish");
    expect(&mut publisher, &done, &mut Vec::new()).await;
    let delivery = read_frame(&mut subscribers[0]).await;
    form.check(&delivery, text);
    for subscriber in &mut subscribers[1..] {
        expect(subscriber, &delivery, &mut Vec::new()).await;
    }
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        let work = deliver(&mut publisher, &mut subscribers, [&publish, &done, &delivery]);
        rounds.push(rate(&server, work).await);
    }
    Figures { cpu: median(&rounds), received: publish.len(), sent: delivery.len() }
}

/// Publish for a round. Returns the number of deliveries.
async fn deliver(
    publisher: &mut TcpStream,
    subscribers: &mut [TcpStream],
    [publish, done, delivery]: [&[u8]; 3],
) -> usize {
    let (end, mut count) = (Instant::now() + ROUND, 0);
    let (publishes, answers) = (publish.repeat(PUBLISHING), done.repeat(PUBLISHING));
    let (deliveries, mut buffer) = (delivery.repeat(PUBLISHING), Vec::new());
    while Instant::now() < end {
        publisher.write_all(&publishes).await.expect("to publish");
        expect(publisher, &answers, &mut buffer).await;
        for subscriber in &mut *subscribers {
            expect(subscriber, &deliveries, &mut buffer).await;
        }
        count += PUBLISHING * subscribers.len();
    }
    count
}

/// The next frame of the host, whatever it is.
async fn read_frame(socket: &mut TcpStream) -> Vec<u8> {
    let mut frame = vec![0; 2];
    socket.read_exact(&mut frame).await.expect("a frame");
    if frame[1] == 126 {
        frame.resize(4, 0);
        socket.read_exact(&mut frame[2..]).await.expect("its length");
    }
    let length = match frame[..] {
        [_, _, high, low] => usize::from(u16::from_be_bytes([high, low])),
        _ => usize::from(frame[1]),
    };
    let head = frame.len();
    frame.resize(head + length, 0);
    socket.read_exact(&mut frame[head..]).await.expect("its payload");
    frame
}

/// The median without the first round, which warms up.
fn median(rounds: &[Round]) -> f64 {
    let mut cpu: Vec<f64> = rounds.iter().skip(1).filter_map(|round| round.cpu).collect();
    cpu.sort_by(f64::total_cmp);
    cpu[cpu.len() / 2]
}
