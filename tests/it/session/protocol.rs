//! Protocol errors: each has the close code of RFC 6455. The client sees it before the end, and the module gets it as a
//! close of the host.

use hassock_tests::raw::opcode::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT};
use hassock_tests::raw::{close, frame, text, unmasked};
use hassock_tests::{Events, Raw, TestHost};

/// Small, so that a message can be too large without being long.
const LIMITS: &str = "[apps.probe.limits]\nmessage_bytes = 1000\n";

/// Send each on a connection of its own; the client and the module have to see `code`.
async fn assert_closes(code: u16, misdeeds: &[(&str, Vec<u8>)]) {
    let events = Events::new().await;
    let host = events.host(LIMITS).await;
    for (count, (misdeed, bytes)) in misdeeds.iter().enumerate() {
        let mut raw = Raw::open(&host.address(), "/probe").await;
        raw.send(text("before")).await;
        assert_eq!(raw.text().await, "before");
        raw.send(bytes).await;
        assert_eq!(raw.closed().await.0, code, "{misdeed}");
        assert_eq!(raw.end().await, [], "{misdeed}: nothing comes after a close frame");
        let closed = events.wait("closed", count + 1).await;
        assert!(closed[count].starts_with(&format!("{code} Host ")), "{misdeed}: the module gets {}", closed[count]);
    }
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, misdeeds.len());
}

/// RFC 6455, sections 5.1, 5.2, 5.4 and 5.5: malformed frames.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_frames_are_1002() {
    assert_closes(
        1002,
        &[
            ("an unmasked frame", unmasked(FIN | TEXT, "bare")),
            ("an unmasked ping", unmasked(FIN | PING, "")),
            ("a reserved data opcode", frame(FIN | 0x3, "?")),
            ("another reserved data opcode", frame(FIN | 0x7, "")),
            ("a reserved control opcode", frame(FIN | 0xb, "?")),
            ("another reserved control opcode", frame(FIN | 0xf, "")),
            ("RSV1", frame(FIN | 0x40 | TEXT, "?")),
            ("RSV2", frame(FIN | 0x20 | BINARY, "?")),
            ("RSV3", frame(FIN | 0x10 | PING, "?")),
            ("RSV1 in a continuation", [frame(TEXT, "?"), frame(FIN | 0x40 | CONTINUATION, "!")].concat()),
            ("a fragmented ping", frame(PING, "?")),
            ("a fragmented close", frame(CLOSE, [0x03, 0xe8])),
            ("a ping of 126 bytes", frame(FIN | PING, [0; 126])),
            ("a pong of 126 bytes", frame(FIN | PONG, [0; 126])),
            ("a continuation without a start", frame(FIN | CONTINUATION, "?")),
            ("a continuation behind a whole message", [text("x"), frame(CONTINUATION, "?")].concat()),
            ("a message within a message", [frame(TEXT, "?"), text("!")].concat()),
        ],
    )
    .await;
}

/// RFC 6455, section 8.1: text, and the reason of a close, has to be UTF-8.
#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8_is_1007() {
    assert_closes(
        1007,
        &[
            ("a wrong byte", frame(FIN | TEXT, [b'a', 0xff, b'b'])),
            ("a character cut off", frame(FIN | TEXT, [b'a', 0xc3])),
            ("a surrogate", frame(FIN | TEXT, [0xed, 0xa0, 0x80])),
            ("an overlong encoding", frame(FIN | TEXT, [0xc0, 0xaf])),
            ("a wrong byte in a fragment", [frame(TEXT, "a"), frame(FIN | CONTINUATION, [0xff])].concat()),
            (
                "a character that goes wrong in the next one",
                [frame(TEXT, [0xc3]), frame(FIN | CONTINUATION, "a")].concat(),
            ),
            ("a character cut off in the last one", [frame(TEXT, "a"), frame(FIN | CONTINUATION, [0xc3])].concat()),
            ("the reason of a close", frame(FIN | CLOSE, [0x03, 0xe8, 0xff])),
        ],
    )
    .await;
}

/// RFC 6455, section 7.4.1, and invariant 5: `message_bytes` bounds frames and messages.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_too_large_are_1009() {
    let long_head = [FIN | BINARY, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    let drips = [frame(BINARY, "x"), frame(CONTINUATION, "x").repeat(999), frame(FIN | CONTINUATION, "x")];
    assert_closes(
        1009,
        &[
            ("one byte too many", frame(FIN | TEXT, "x".repeat(1001))),
            ("many too many, all of them sent", frame(FIN | BINARY, vec![0; 500_000])),
            ("more than there are, announced only", long_head.to_vec()),
            ("two fragments", [frame(TEXT, "x".repeat(600)), frame(FIN | CONTINUATION, "x".repeat(401))].concat()),
            ("two fragments without an end", [frame(TEXT, [b'x'; 600]), frame(CONTINUATION, [b'x'; 401])].concat()),
            ("a thousand fragments of one byte", drips.concat()),
        ],
    )
    .await;
}

/// RFC 6455, sections 5.5.1 and 7.4: malformed close frames. The client sees 1002.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_close_frames_are_1002() {
    let host = TestHost::shared().await;
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        let mut raw = Raw::open(&host.address(), "/probe").await;
        raw.send(close(code, "?")).await;
        assert_eq!(raw.closed().await.0, 1002, "{code}");
        assert_eq!(raw.end().await, []);
    }
    assert_closes(
        1002,
        &[("a payload of one byte", frame(FIN | CLOSE, [3])), ("126 bytes", frame(FIN | CLOSE, [3; 126]))],
    )
    .await;
}

/// The contract of `closing`: a protocol error, such as a close with a code that may not be sent, is the host's close.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_with_an_invalid_code_is_a_protocol_error_for_the_module_too() {
    assert_closes(1002, &[("1005 on the wire", close(1005, "")), ("999", close(999, "?"))]).await;
}

/// Invariant 4: a client that breaks the protocol loses its own connection, and what it had sent before is handled.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_an_error_is_answered_and_others_stay() {
    let host = TestHost::probe(LIMITS).await;
    let mut other = host.connect("/probe").await;
    for misdeed in [frame(FIN | 0x3, ""), frame(FIN | TEXT, [0xff]), frame(FIN | TEXT, [b'x'; 1001])] {
        let mut raw = Raw::open(&host.address(), "/probe").await;
        raw.send([text("one"), text("two"), misdeed].concat()).await;
        assert_eq!((raw.text().await, raw.text().await), ("one".to_owned(), "two".to_owned()));
        raw.closed().await;
        assert_eq!(other.ask("still here").await, "still here");
    }
}
