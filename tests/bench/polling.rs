//! The claim of the article *Integrating WebSocket to Joomla!* (2012), measured: what a page costs that asks each second
//! whether something has changed, beside one that is told.
//!
//! The same 100 updates, at the same moments, reach one client that polls over a kept HTTP connection and one that listens
//! on a WebSocket of the host. The bytes are those of HTTP and of WebSocket, without those of TCP and IP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::load::{PUBLISH, SUBSCRIBE, client};
use crate::server::Server;

const UPDATES: usize = 100;

/// How often the page asks.
const INTERVAL: Duration = Duration::from_secs(1);

/// The mean time between two updates, in milliseconds.
const MEAN_MILLIS: u64 = 500;

/// What Chromium sends with a request of a page's script.
const REQUEST: &str = "GET /updates?since={since} HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nsec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Dest: empty\r\nReferer: https://www.example.com/\r\n";

/// What it also sends when it opens a WebSocket.
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\r\n";

/// What nginx sends before the body.
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n";

/// Compare a page that polls with one that is told.
#[derive(Args)]
pub struct Polling {}

/// What one page has seen.
#[derive(Default)]
struct Seen {
    bytes: usize,
    requests: usize,
    delays: Vec<Duration>,
}

/// The updates so far, and when each happened.
type Updates = Arc<Mutex<Vec<(String, Instant)>>>;

impl Polling {
    pub async fn measure(&self) {
        let updates = Updates::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        tokio::spawn(serve(listener, Arc::clone(&updates)));
        let host = Server::hassock();
        let told = tokio::spawn(listen(host.address.clone(), Arc::clone(&updates)));
        let polled = tokio::spawn(poll(address, Arc::clone(&updates)));
        happen(&host, &updates).await;
        let (polled, told) = (polled.await.expect("the poller"), told.await.expect("the listener"));
        println!("{UPDATES} updates in about {} s\n", UPDATES as u64 * MEAN_MILLIS / 1000);
        println!("| | bytes | requests | median delay |\n|---|---|---|---|");
        println!("{}", polled.line("HTTP polling, each second"));
        println!("{}", told.line("WebSocket"));
    }
}

/// Publish the updates.
async fn happen(host: &Server, updates: &Updates) {
    let mut publisher = client::connect(&host.address, PUBLISH).await;
    // Any sequence without a pattern does (Knuth's multiplier).
    let mut random = 1_u64;
    for number in 0..UPDATES {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis((random >> 33) % (2 * MEAN_MILLIS))).await;
        let text = update(number);
        updates.lock().push((text.clone(), Instant::now()));
        let publish = format!(r#"{{"publish":{{"topic":"news","text":"{text}"}}}}"#);
        publisher.write_all(&client::to_server(1, publish.as_bytes())).await.expect("to publish");
        client::expect(&mut publisher, &client::from_server(1, br#"{"ok":1}"#), &mut Vec::new()).await;
    }
}

fn update(number: usize) -> String {
    format!("article {number} has a new comment")
}

/// The WebSocket page.
async fn listen(address: String, updates: Updates) -> Seen {
    let mut socket = TcpStream::connect(&address).await.expect("a connection");
    let request = client::handshake(SUBSCRIBE).trim_end().to_owned() + "\r\n" + BROWSER;
    socket.write_all(request.as_bytes()).await.expect("the request");
    let mut seen = Seen { requests: 1, bytes: request.len() + client::answer(&mut socket).await, ..Seen::default() };
    for number in 0..UPDATES {
        let frame = client::from_server(1, update(number).as_bytes());
        client::expect(&mut socket, &frame, &mut Vec::new()).await;
        seen.bytes += frame.len();
        seen.delays.push(updates.lock()[number].1.elapsed());
    }
    seen
}

/// The page that polls.
async fn poll(address: String, updates: Updates) -> Seen {
    let mut socket = TcpStream::connect(&address).await.expect("a connection");
    let (mut seen, mut turns) = (Seen::default(), tokio::time::interval(INTERVAL));
    while seen.delays.len() < UPDATES {
        turns.tick().await;
        let since = seen.delays.len();
        let request = REQUEST.replace("{since}", &since.to_string()) + BROWSER;
        socket.write_all(request.as_bytes()).await.expect("to ask");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.expect("the answer"));
        }
        let head = String::from_utf8(head).expect("text");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
        let mut body = vec![0; length.parse().expect("a number")];
        socket.read_exact(&mut body).await.expect("the body");
        seen.requests += 1;
        seen.bytes += request.len() + head.len() + body.len();
        let news: Vec<String> = serde_json::from_slice(&body).expect("JSON");
        for (number, text) in (since..).zip(news) {
            assert_eq!(text, update(number));
            seen.delays.push(updates.lock()[number].1.elapsed());
        }
    }
    seen
}

/// A server that answers what has happened since.
async fn serve(listener: TcpListener, updates: Updates) {
    let (mut socket, _) = listener.accept().await.expect("a connection");
    let mut request = Vec::new();
    while socket.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&request);
        let since: usize = text.split(['=', ' ']).nth(2).expect("since").parse().expect("a number");
        let news: Vec<String> = updates.lock().iter().skip(since).map(|(text, _)| text.clone()).collect();
        let body = serde_json::to_string(&news).expect("JSON");
        let answer = RESPONSE.replace("{length}", &body.len().to_string()) + &body;
        socket.write_all(answer.as_bytes()).await.expect("to answer");
        request.clear();
    }
}

impl Seen {
    fn line(mut self, name: &str) -> String {
        self.delays.sort_unstable();
        let median = self.delays[self.delays.len() / 2].as_secs_f64() * 1e3;
        format!("| {name} | {} | {} | {median:.1} ms |", self.bytes, self.requests)
    }
}
