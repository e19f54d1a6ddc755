//! `permessage-deflate` (RFC 7692): what is agreed, and messages that are compressed in either direction. The decoder's own
//! tests are in `host/frames`.

use hassock_tests::deflating::{COMPRESSED, bomb, compress, compressed};
use hassock_tests::raw::opcode::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT};
use hassock_tests::raw::{Frame, close, frame, text};
use hassock_tests::{
    Browser, Client, Deflating, Events, Marked, Raw, SeparateHost, TestHost, app, app_with_database, guest,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::task::JoinSet;

const MIB: usize = 1 << 20;

/// The lines of a config for an app that compresses.
fn compression(app: &str) -> String {
    format!("[apps.{app}.compression]\nenabled = true\nmin_bytes = 100\n")
}

fn probe() -> String {
    app_with_database("probe", &guest("probe"), "sqlite::memory:")
}

/// Text that becomes a tenth as long.
fn long() -> String {
    (0..50).map(|number| format!("line {number} of a text; ")).collect()
}

/// The next message as it came.
async fn as_it_came(raw: &mut Raw) -> Frame {
    raw.frame().await.expect("the connection goes on")
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_are_answered() {
    let host = TestHost::probe(&compression("probe")).await;
    let accepted = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let small = format!("{accepted}; server_max_window_bits=9");
    for (offer, expected) in [
        ("permessage-deflate", Some(accepted)),
        ("permessage-deflate; client_max_window_bits", Some(accepted)),
        ("permessage-deflate; server_max_window_bits=10", Some(small.as_str())),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Some(accepted)),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate; ?", None),
        ("permessage-deflate\r\nSec-WebSocket-Extensions: ;", None),
        ("x\r\nSec-WebSocket-Extensions: permessage-deflate", Some(accepted)),
        ("permessage-deflate, \u{e4}", None),
    ] {
        let (mut client, answer) = Deflating::offering(&host.address(), "/probe", offer).await;
        assert_eq!(answer.as_deref(), expected, "{offer}");
        client.raw.send(text(&long())).await;
        let reply = as_it_came(&mut client.raw).await;
        assert_eq!(reply.first & COMPRESSED != 0, answer.is_some(), "{offer}");
    }
    let mut plain = host.connect("/probe").await;
    assert_eq!(plain.response.headers().get("sec-websocket-extensions"), None);
    assert_eq!(plain.ask(long()).await, long());
}

/// Denied by default: an app without compression does not answer the offer, and takes no compressed message.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_does_not_compress_unless_its_config_says_so() {
    let host = TestHost::shared().await;
    let (mut client, answer) = Deflating::offering(&host.address(), "/probe", "permessage-deflate").await;
    assert_eq!(answer, None);
    client.raw.send(text(&long())).await;
    assert_eq!(client.raw.text().await, long());
    client.raw.send(compressed(TEXT, "?")).await;
    assert_eq!(client.raw.closed().await.0, 1002);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_compressed_in_both_directions() {
    let host = TestHost::probe(&compression("probe")).await;
    let mut client = Deflating::open(&host.address(), "/probe").await;
    let long = long();
    // Twice: nothing is left of the first one.
    for _ in 0..2 {
        client.raw.send(compressed(TEXT, &long)).await;
        let reply = as_it_came(&mut client.raw).await;
        assert_eq!(reply.first, FIN | COMPRESSED | TEXT);
        assert!(reply.payload.len() < long.len() / 3, "{} bytes", reply.payload.len());
        assert_eq!(client.ask(&long).await, long);
    }
    client.raw.send(compressed(BINARY, vec![7; 10_000])).await;
    assert_eq!(client.message().await, (FIN | COMPRESSED | BINARY, vec![7; 10_000]));
    // Short ones, and those that do not become shorter, are as they are.
    client.raw.send(compressed(TEXT, "x".repeat(99))).await;
    assert_eq!(as_it_came(&mut client.raw).await, Frame::new(TEXT, "x".repeat(99)));
    let mut random = StdRng::seed_from_u64(1);
    let noise: Vec<u8> = (0..1000).map(|_| random.random()).collect();
    client.raw.send(frame(FIN | BINARY, &noise)).await;
    assert_eq!(as_it_came(&mut client.raw).await, Frame::new(BINARY, &noise));
    client.raw.send(compressed(TEXT, "")).await;
    assert_eq!(as_it_came(&mut client.raw).await, Frame::new(TEXT, ""));
    // Several in one call, of which some are compressed.
    client.raw.send(compressed(TEXT, json!({ "send-many": ["a", &long, "b"] }).to_string())).await;
    for expected in ["a", &long, "b"] {
        assert_eq!(client.text().await, expected);
    }
}

/// RFC 7692, section 6: the fragments are those of the compressed data, and control frames may be between them.
#[tokio::test(flavor = "multi_thread")]
async fn fragments_are_of_the_compressed_data() {
    let host = TestHost::probe(&compression("probe")).await;
    let mut client = Deflating::open(&host.address(), "/probe").await;
    let message: String = "äß€😀".repeat(100);
    let data = compress(&message);
    let parts: Vec<&[u8]> = data.chunks(3).collect();
    for (index, part) in parts.iter().enumerate() {
        let opcode = if index == 0 { COMPRESSED | TEXT } else { CONTINUATION };
        let last = if index + 1 == parts.len() { FIN } else { 0 };
        client.raw.send(frame(opcode | last, part)).await;
        if index == 2 {
            client.raw.send(frame(FIN | PING, "between")).await;
            assert_eq!(as_it_came(&mut client.raw).await, Frame::new(PONG, "between"));
        }
    }
    assert_eq!(client.text().await, message);
    client.raw.send([compressed(TEXT, "one"), text("two"), compressed(TEXT, "three")].concat()).await;
    for expected in ["one", "two", "three"] {
        assert_eq!(client.text().await, expected);
    }
    client.raw.send(close(1000, "")).await;
    assert_eq!(client.raw.closed().await.0, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_sent_closes() {
    let events = Events::new().await;
    let host = events.host(&format!("{}[apps.probe.limits]\nmessage_bytes = 1000\n", compression("probe"))).await;
    let misdeeds = [
        (1002, "the bit on a continuation", [frame(COMPRESSED | TEXT, [0]), frame(FIN | COMPRESSED, [0])].concat()),
        (1002, "the bit on a ping", frame(FIN | COMPRESSED | PING, "")),
        (1002, "another bit", frame(FIN | COMPRESSED | 0x20 | TEXT, [0])),
        (1007, "data that is not compressed", frame(FIN | COMPRESSED | TEXT, [0xff; 20])),
        (1007, "data that has no end", frame(FIN | COMPRESSED | TEXT, &compress(long())[..50])),
        (1007, "not UTF-8", compressed(TEXT, [0xc3, 0x28])),
        (1009, "one byte too many", compressed(TEXT, "x".repeat(1001))),
        (1009, "much too many", frame(FIN | COMPRESSED | BINARY, vec![0; 2000])),
    ];
    for (index, (code, misdeed, bytes)) in misdeeds.iter().enumerate() {
        let mut client = Deflating::open(&host.address(), "/probe").await;
        assert_eq!(client.ask(&"x".repeat(1000)).await, "x".repeat(1000));
        client.raw.send(bytes).await;
        assert_eq!(client.raw.closed().await.0, *code, "{misdeed}");
        let closed = events.wait("closed", index + 1).await;
        assert!(closed[index].starts_with(&format!("{code} Host ")), "{misdeed}: {}", closed[index]);
    }
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, misdeeds.len());
}

/// Twenty clients at once send 1 MiB that becomes 1 GiB. The host keeps no more than the limit of a message allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_costs_as_much_as_a_message() {
    const NAME: &str = "session::compression::a_bomb_costs_as_much_as_a_message";
    if SeparateHost::is_this_process().await {
        return;
    }
    let keys = format!("{}[apps.marked.limits]\nmessage_bytes = \"2MiB\"\n", compression("marked"));
    let host = SeparateHost::start(NAME, "m", &keys).await;
    let before = host.usage().resident;
    let data = bomb(1024);
    assert!((MIB..2 * MIB).contains(&data.len()), "{} bytes", data.len());
    let bytes = frame(FIN | COMPRESSED | BINARY, &data);
    let mut bombers = JoinSet::new();
    for _ in 0..20 {
        let (address, bytes) = (host.address.clone(), bytes.clone());
        bombers.spawn(async move {
            let mut client = Deflating::open(&address, "/marked").await;
            client.raw.send(&bytes).await;
            client.raw.closed().await.0
        });
    }
    while let Some(code) = bombers.join_next().await {
        assert_eq!(code.unwrap(), 1009);
    }
    let most = host.most_resident();
    // Of each, the data and as much of the message as is allowed, and of all some memory that the allocator keeps.
    assert!(most < before + 160 * 1024, "{before} KiB before, and {most} KiB with the bombs");
    host.end().await;
}

/// The subscribers of a topic get the same message in the same order, each in its form.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_compressed_once_for_all() {
    let host = TestHost::probe(&compression("probe")).await;
    let mut plain = host.connect("/probe?topic=t").await;
    let (mut one, mut two) = (
        Deflating::open(&host.address(), "/probe?topic=t").await,
        Deflating::open(&host.address(), "/probe?topic=t").await,
    );
    let offer = "permessage-deflate; server_max_window_bits=9";
    let (mut small, _) = Deflating::offering(&host.address(), "/probe?topic=t", offer).await;
    let mut speaker = host.connect("/probe").await;
    let messages: Vec<String> = (0..20).map(|number| format!("{number}: {}", &long()[..number * 45])).collect();
    for message in &messages {
        let published = speaker.probe(json!({ "publish": { "topic": "t", "text": message } })).await;
        assert_eq!(published, 4);
    }
    for message in &messages {
        assert_eq!(plain.text().await, *message);
        assert_eq!(small.text().await, *message);
        let frames = [as_it_came(&mut one.raw).await, as_it_came(&mut two.raw).await];
        assert_eq!(frames[0], frames[1], "the same bytes");
        assert_eq!(frames[0].first & COMPRESSED != 0, message.len() >= 100, "{message}");
    }
    assert_eq!(one.ask("and nothing else").await, "and nothing else");
}

/// A connection keeps what was agreed, whatever becomes of the config and the module.
#[tokio::test(flavor = "multi_thread")]
async fn reloads_and_swaps_leave_open_connections_as_they_are() {
    let host = Marked::start("one", &compression("marked")).await;
    let address = host.host.address();
    let mut client = Deflating::open(&address, "/marked").await;
    let mut before = Deflating::offering(&address, "/marked", "none").await.0;
    let message = long();
    assert_eq!(client.ask(&message).await, format!("one {message}"));
    host.deploy("two").await;
    client.raw.send(compressed(TEXT, &message)).await;
    assert_eq!(client.message().await, (FIN | COMPRESSED | TEXT, format!("two {message}").into_bytes()));
    let config = app("marked", host.file.path());
    host.host.reload(&config).await.unwrap();
    client.raw.send(compressed(TEXT, &message)).await;
    assert_eq!(client.message().await.0, FIN | COMPRESSED | TEXT, "it was agreed");
    assert_eq!(Deflating::offering(&address, "/marked", "permessage-deflate").await.1, None, "not any more");
    host.host.reload(&format!("{config}{}", compression("marked"))).await.unwrap();
    before.raw.send(text(&message)).await;
    assert_eq!(as_it_came(&mut before.raw).await.first, FIN | TEXT, "it was not agreed");
    assert!(Deflating::offering(&address, "/marked", "permessage-deflate").await.1.is_some());
}

/// Chromium, which compresses what it sends.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_agrees_to_compression() {
    let host = TestHost::start(&format!("test_page = true\n{}{}", probe(), compression("probe"))).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", host.address())).await;
    let url = json!(format!("ws://{}/probe", host.address()));
    browser
        .eval(&format!(
            "void (window.got = [], window.ws = new WebSocket({url}), ws.onmessage = e => got.push(e.data))"
        ))
        .await;
    browser.until("ws.readyState === 1").await;
    let extensions = browser.eval("ws.extensions").await;
    assert_eq!(extensions, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    let message = long();
    browser.eval(&format!("void (ws.send({0}), ws.send('short'), ws.send({0} + '!'))", json!(message))).await;
    browser.until("got.length === 3").await;
    assert_eq!(browser.eval("got").await, json!([message, "short", format!("{message}!")]));
}

/// `hassock replay` and others that do not compress talk to such an app as to any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_compression_notices_nothing() {
    let host = TestHost::probe(&compression("probe")).await;
    let mut client: Client = host.connect("/probe").await;
    for length in [0, 1, 100, 100_000] {
        let message = "x".repeat(length);
        assert_eq!(client.ask(message.clone()).await, message);
    }
    assert_eq!(host.drain().await, 0);
}
