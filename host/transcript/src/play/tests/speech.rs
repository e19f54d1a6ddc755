//! Clients that speak `hassock.v1`: what they send, what they keep, and what is compared.

use super::double::{Double, Reaction, then};
use super::*;

/// A message as the host sends it.
fn host(header: &str, payload: &str) -> Received {
    Received::Message(Message::Text(format!("{header}\n{payload}")))
}

fn connected(subprotocol: &str) -> Received {
    host(&format!("{{\"type\":\"connected\",\"connection\":1,\"heartbeat\":30000{subprotocol}}}"), "")
}

/// What a client gets that has just connected.
fn accepted(more: impl IntoIterator<Item = Received>) -> Reaction {
    let answer = Reaction::answer(101, &[("sec-websocket-protocol", "hassock.v1")], "");
    answer.with([connected("")].into_iter().chain(more).map(|received| ("ann", received)))
}

fn published(offset: u64, payload: &str) -> Received {
    host(&format!("{{\"topic\":\"a\",\"position\":\"1b-{offset}\"}}"), payload)
}

fn subscribed(offset: u64, how: &str) -> Received {
    host(&format!("{{\"type\":\"subscribed\",\"topic\":\"a\",\"position\":\"1b-{offset}\",{how}}}"), "")
}

const NEW: &str = "\"was_recovering\":false,\"recovered\":false";
const RECOVERED: &str = "\"was_recovering\":true,\"recovered\":true";
const GAP: &str = "\"was_recovering\":true,\"recovered\":false,\"gap\":\"count\"";

#[track_caller]
fn passes(text: &str, backend: &mut Double) {
    let played = play(&parse(text).unwrap(), Path::new("/nowhere"), backend, Mode::Verify);
    assert!(played.failure.is_none(), "{:?}", played.failure);
}

/// Line, sentence, and what was expected and came.
#[track_caller]
fn fails(text: &str, backend: &mut Double) -> (String, Option<(String, String)>) {
    let played = play(&parse(text).unwrap(), Path::new("/nowhere"), backend, Mode::Verify);
    let failure = played.failure.expect("the transcript fails");
    let mismatch = failure.reason.mismatch().map(|mismatch| (mismatch.expected.clone(), mismatch.got.clone()));
    (format!("{}: {}", failure.line, failure.reason), mismatch)
}

#[test]
fn messages_are_sent_with_their_headers_and_numbered() {
    let answers = [
        host("", "from the module"),
        host(
            "{\"type\":\"subscribed\",\"request\":1,\"topic\":\"b c\",\"was_recovering\":false,\"recovered\":false}",
            "",
        ),
        host("{\"type\":\"error\",\"request\":2,\"code\":\"refused\",\"message\":\"not you\"}", ""),
        host("{\"type\":\"reply\",\"request\":3}", "{\"yes\":1}"),
        host("{\"type\":\"unsubscribed\",\"topic\":\"b c\"}", ""),
        host("{\"type\":\"closing\",\"reconnect\":true,\"after\":5000}", ""),
    ];
    let mut backend = Double::new([accepted(answers)]);
    let text = "connect ann /chat hassock.v1\n  sec-websocket-protocol: v1\nann < from the module\n\
        ann > hi\nann > hex ff\nann > (subscribe \"b c\" last 3)\nann > (subscribe d since 1b-7)\nann > (request) {}\n\
        ann > (unsubscribe \"b c\")\nann < (subscribed \"b c\")\nann < (error refused) /not/\nann < (reply) {\"yes\": \"${n=number}\"}\n\
        ann < (unsubscribed \"b c\")\nann < (closing reconnect after 5s)\n";
    passes(text, &mut backend);
    let expected = [
        "connect ann sec-websocket-protocol: v1 speaking since {}",
        "ann > \nhi",
        "ann > [10, 255]",
        "ann > {\"type\":\"subscribe\",\"request\":1,\"topic\":\"b c\",\"last\":3}\n",
        "ann > {\"type\":\"subscribe\",\"request\":2,\"topic\":\"d\",\"since\":\"1b-7\"}\n",
        "ann > {\"type\":\"request\",\"request\":3}\n{}",
        "ann > {\"type\":\"unsubscribe\",\"topic\":\"b c\"}\n",
    ];
    let sorted = |field: &str| {
        let (header, payload) = field.split_once('\n').unwrap_or((field, ""));
        let json = header.strip_prefix("ann > ").and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
        (json, header.len(), payload.to_owned())
    };
    let fields = |all: &[String]| all.iter().map(|field| sorted(field)).collect::<Vec<_>>();
    assert_eq!(fields(&backend.done), fields(&expected.map(str::to_owned)));
}

#[test]
fn a_client_returns_with_the_positions_that_it_has() {
    let mut backend = Double::new([
        accepted([subscribed(3, NEW), published(4, "x")]),
        then([]),
        accepted([subscribed(4, RECOVERED), published(6, "y")]),
        then([]),
        accepted([subscribed(9, GAP), host("{\"type\":\"position\",\"topic\":\"a\",\"position\":\"1b-10\"}", "")]),
        then([]),
        accepted([host("{\"type\":\"unsubscribed\",\"topic\":\"a\"}", "")]),
        then([]),
        accepted([]),
    ]);
    let text = "connect ann /chat hassock.v1\n  cookie: x\nann < (subscribed a at ${p0=string})\nann < (a at ${p1=string}) x\n\
        ann vanishes\nann returns\n  cookie: y\n  other: z\nann < (subscribed a at ${p1} recovered)\nann < (a) y\n\
        ann vanishes\nann returns\n  @since: a ${p0}\nann < (subscribed a gap count)\nann < (position a at 1b-10)\n\
        ann disconnects\nann returns\nann < (unsubscribed a)\nann vanishes\nann returns\n";
    passes(text, &mut backend);
    let connects: Vec<&str> =
        backend.done.iter().filter(|done| done.starts_with("connect")).map(String::as_str).collect();
    assert_eq!(
        connects,
        [
            "connect ann cookie: x speaking since {}",
            "connect ann cookie: y other: z speaking since {\"a\": \"1b-4\"}",
            "connect ann cookie: y other: z speaking since {\"a\": \"1b-3\"}",
            "connect ann cookie: y other: z speaking since {\"a\": \"1b-10\"}",
            "connect ann cookie: y other: z speaking since {}",
        ]
    );
}

#[test]
fn a_client_without_the_protocol_returns_too() {
    let mut backend = Double::default();
    passes("connect bob /x\n  a: b\nbob vanishes\nbob returns\n", &mut backend);
    assert_eq!(backend.done, ["connect bob /x a: b", "bob vanishes", "connect bob /x a: b"]);
    // One that was refused may try again, with what it has.
    let mut backend = Double::new([
        accepted([subscribed(3, NEW)]),
        then([]),
        Reaction::answer(409, &[], "taken"),
        accepted([subscribed(3, RECOVERED)]),
    ]);
    let text = "connect ann /chat hassock.v1\nann < (subscribed a)\nann vanishes\nann returns refused 409 taken\nann returns\n\
        ann < (subscribed a recovered)\n";
    passes(text, &mut backend);
}

#[test]
fn the_subprotocol_is_that_of_the_module() {
    let answer = Reaction::answer(101, &[("sec-websocket-protocol", "hassock.v1")], "");
    let text = "connect ann /chat hassock.v1\n  < sec-websocket-protocol: v2\n";
    let reaction = || answer.clone().with([("ann", connected(",\"subprotocol\":\"v2\""))]);
    passes(text, &mut Double::new([reaction()]));
    let said = fails(text, &mut Double::new([accepted([])])).0;
    assert_eq!(said, "1: the answer to `ann` has another header field `sec-websocket-protocol` than expected");
    let said = fails(text, &mut Double::new([Reaction::answer(101, &[], "")])).0;
    assert_eq!(said, "1: the step cannot be played: the host does not speak `hassock.v1`");
    let said = fails(text, &mut Double::new([answer])).0;
    assert_eq!(said, "1: the step cannot be played: the host has not said `connected`");
}

/// Each wrong expectation, and how the difference is shown.
#[test]
fn a_difference_is_shown_as_a_transcript_has_it() {
    let begin = "connect ann /chat hassock.v1\nann < (a at ${p1=string}) x\n";
    for (wrong, got, expected, shown) in [
        ("ann < (a at ${p1}) y", published(5, "y"), "(a at 1b-4) y", "(a at 1b-5) y"),
        ("ann < (b) y", published(5, "y"), "(b) y", "(a at 1b-5) y"),
        ("ann < (a id k) y", published(5, "y"), "(a id k) y", "(a at 1b-5) y"),
        ("ann < (a) y", published(5, "z"), "y", "z"),
        ("ann < y", published(5, "y"), "y", "(a at 1b-5) y"),
        ("ann < (a) y", host("", "y"), "(a) y", "y"),
        (
            "ann < (subscribed a recovered)",
            subscribed(5, GAP),
            "(subscribed a recovered)",
            "(subscribed a at 1b-5 gap count)",
        ),
        ("ann < (subscribed a)", subscribed(5, RECOVERED), "(subscribed a)", "(subscribed a at 1b-5 recovered)"),
        (
            "ann < (gap a age)",
            host("{\"type\":\"gap\",\"topic\":\"a\",\"gap\":\"bytes\"}", ""),
            "(gap a age)",
            "(gap a bytes)",
        ),
        (
            "ann < (reply) y",
            host("{\"type\":\"reply\",\"request\":9}", "y"),
            "(reply) y",
            "({\"type\":\"reply\",\"request\":9}) y",
        ),
        (
            "ann < (closing)",
            host("{\"type\":\"closing\",\"reconnect\":true,\"after\":0}", ""),
            "(closing)",
            "(closing reconnect after 0s)",
        ),
        (
            "ann < (error refused)",
            host("{\"type\":\"error\",\"request\":9}", ""),
            "(error refused)",
            "({\"type\":\"error\",\"request\":9})",
        ),
        (
            "ann < (position a at ${any})",
            host("{\"type\":\"position\",\"topic\":\"a\"}", ""),
            "(position a at ${any})",
            "(position a)",
        ),
        ("ann < (a) y", host("{\"type\":\"dance\"}", ""), "(a) y", "({\"type\":\"dance\"})"),
    ] {
        let mut backend = Double::new([accepted([published(4, "x"), got])]);
        let (said, mismatch) = fails(&format!("{begin}{wrong}\n"), &mut backend);
        assert!(said.starts_with("3: `ann` got another message than expected"), "{wrong}: {said}");
        assert_eq!(mismatch, Some((expected.to_owned(), shown.to_owned())), "{wrong}");
    }
    let told = host("{\"type\":\"presence\",\"topic\":\"a\",\"count\":2,\"left\":[7]}", "");
    let mut backend = Double::new([accepted([published(4, "x"), told])]);
    let (said, _) = fails(&format!("{begin}ann < (presence a) {{\"count\": 1, \"left\": [7]}}\n"), &mut backend);
    assert_eq!(said, "3: `ann` got another message than expected, at $.count");
}

#[test]
fn what_no_step_expects_is_shown_with_its_header() {
    let mut backend = Double::new([accepted([subscribed(3, NEW), published(4, "x")])]);
    let said = fails("connect ann /chat hassock.v1\n", &mut backend).0;
    let expected = "1: `ann` got 2 messages that no step expects: (subscribed a at 1b-3), (a at 1b-4) x; \
        add `ann < …`, or `ann skips`";
    assert_eq!(said, expected);
    let mut backend = Double::new([accepted([text("no header")])]);
    let said = fails("connect ann /chat hassock.v1\nann < x\n", &mut backend).0;
    assert!(
        said.starts_with("2: the step cannot be played: the host has sent a message that `hassock.v1` does not have"),
        "{said}"
    );
}

#[test]
fn what_a_program_publishes_has_a_position() {
    let text = "publish (a at ${p=string} id k) hi\npublish chat (a at ${p}) hex ff\n";
    let mut backend = Double::new([Reaction::position("1b-4"), Reaction::position("1b-4")]);
    passes(text, &mut backend);
    assert_eq!(backend.done, ["publish None a Some(\"k\"): hi", "publish Some(\"chat\") a None: hex ff"]);
    let (said, mismatch) = fails(text, &mut Double::new([Reaction::position("1b-4"), Reaction::position("1b-5")]));
    assert_eq!(said, "2: the message that was published has another position than expected");
    assert_eq!(mismatch, Some(("at 1b-4".to_owned(), "at 1b-5".to_owned())));
    let (_, mismatch) = fails("publish (a at ${any}) hi\n", &mut Double::default());
    assert_eq!(mismatch, Some(("at ${any}".to_owned(), "no position".to_owned())));
    let said = fails("publish (a) hi\n", &mut Double::new([Reaction::error("no such app")])).0;
    assert_eq!(said, "1: the step cannot be played: no such app");
}

/// Correct a transcript. What was corrected has to pass.
#[track_caller]
fn corrected(transcript: &str, backend: &Double) -> String {
    let played = play(&parse(transcript).unwrap(), Path::new("/nowhere"), &mut backend.clone(), Mode::Bless);
    assert!(played.failure.is_none(), "{:?}", played.failure);
    let blessed = apply(transcript, played.blessings);
    passes(&blessed, &mut backend.clone());
    blessed
}

#[test]
fn a_transcript_is_corrected_without_positions_that_change() {
    let reactions = [
        accepted([subscribed(3, NEW), published(4, "x"), published(5, "{\"n\":1}")]),
        then([]),
        accepted([
            subscribed(5, GAP),
            host("{\"type\":\"closing\",\"reconnect\":true,\"after\":1000}", ""),
            close(1012, ""),
        ])
        .with([]),
    ];
    let backend = Double::new(reactions);
    let bare = "connect ann /chat hassock.v1\nann vanishes\nann returns\n";
    let expected = "connect ann /chat hassock.v1\nann < (subscribed a)\nann < (a) x\nann < (a) {\"n\":1}\nann vanishes\nann returns\n\
        ann < (subscribed a gap count)\nann < (closing reconnect after 1s)\nann closed 1012\n";
    assert_eq!(corrected(bare, &backend), expected);
    // What is captured stays, and what still matches.
    let before = "connect ann /chat hassock.v1\nann < (subscribed a recovered)\nann < (a at ${p1=string} id k) y\n\
        ann < (a at ${p1}) {\"n\":\"${n=number}\"}\nann vanishes\nann returns refused 409\n  @since: a ${p1}\n";
    let after = "connect ann /chat hassock.v1\nann < (subscribed a)\nann < (a at ${p1=string}) x\n\
        ann < (a) {\"n\":\"${n=number}\"}\nann vanishes\nann returns\n  @since: a ${p1}\nann < (subscribed a gap count)\n\
        ann < (closing reconnect after 1s)\nann closed 1012\n";
    assert_eq!(corrected(before, &backend), after);
}

/// An answer, and the first message with these fields.
fn resumable(fields: &str, more: impl IntoIterator<Item = Received>) -> Reaction {
    let answer = Reaction::answer(101, &[("sec-websocket-protocol", "hassock.v1")], "");
    answer.with([connected(fields)].into_iter().chain(more).map(|received| ("ann", received)))
}

#[test]
fn a_client_that_returns_may_have_its_connection_again() {
    let reactions = || {
        [
            resumable(",\"resume\":\"t1\"", [subscribed(3, NEW)]),
            then([("ann", host("", "a"))]),
            then([]),
            then([]),
            // The host has not received the second message.
            resumable(",\"resume\":\"t2\",\"resumed\":true,\"received\":1", [published(4, "x")]),
            then([("ann", host("{\"type\":\"reply\",\"request\":1}", "b"))]),
            then([]),
            resumable(",\"resume\":\"t3\",\"resumed\":false", [subscribed(4, RECOVERED)]),
            then([]),
            resumable("", []),
        ]
    };
    let text = "connect ann /chat hassock.v1\nann < (subscribed a)\nann > a\nann < a\nann > (request) b\nann vanishes\n\
        ann returns resumed\nann < (a) x\nann < (reply) b\nann vanishes\nann returns\nann < (subscribed a recovered)\n\
        ann vanishes\nann returns\n";
    let mut backend = Double::new(reactions());
    passes(text, &mut backend);
    assert_eq!(
        backend.done,
        [
            "connect ann speaking since {}",
            "ann > \na",
            "ann > {\"type\":\"request\",\"request\":1}\nb",
            "ann vanishes",
            "connect ann speaking since {\"a\": \"1b-3\"} resuming t1 after 2",
            "ann > {\"type\":\"request\",\"request\":1}\nb",
            "ann vanishes",
            "connect ann speaking since {\"a\": \"1b-4\"} resuming t2 after 4",
            "ann vanishes",
            "connect ann speaking since {\"a\": \"1b-4\"} resuming t3 after 1",
        ]
    );
    let wrong = text.replacen("ann returns resumed", "ann returns", 1);
    let (said, mismatch) = fails(&wrong, &mut Double::new(reactions()));
    assert_eq!(said, "7: `ann` has another connection than expected");
    assert_eq!(mismatch, Some(("a new connection".to_owned(), "resumed".to_owned())));
    assert_eq!(corrected(&wrong, &Double::new(reactions())), text);
}
