//! Clients that speak `hassock.v1`: how their steps are read and written, and what is wrong with them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::super::{
    Action, ConnectStep, Expected, Header, Heard, Outcome, Payload, Publish, Reconnect, Recovery, Said, Start, step,
    write,
};
use super::{error, last, read, regex};
use crate::backend::Connect;

/// A client that speaks, and two positions that have been captured, on three lines.
const ANN: &str =
    "connect ann /chat hassock.v1\nann < (room:1 at ${p1=string}) hi\nann < (position room:1 at ${p2=any})\n";

/// It is written like this, and this is read as the same step.
#[track_caller]
fn check(action: &Action, written: &str) {
    assert_eq!(step(action), written);
    assert_eq!(&last(&format!("{ANN}{written}")), action, "{written}");
}

/// The fourth line has this error.
#[track_caller]
fn check_error(line: &str, expected: &str) {
    let found = error(&format!("{ANN}{line}"));
    assert_eq!(found, format!("4:{expected}"), "of: {line}");
}

fn hear(header: Header, body: Option<Expected>) -> Action {
    Action::Hear { client: "ann".to_owned(), heard: Heard { header, body } }
}

fn say(said: Said) -> Action {
    Action::Say { client: "ann".to_owned(), said }
}

fn text(text: &str) -> Option<Expected> {
    Some(Expected::Text(text.to_owned()))
}

#[test]
fn a_client_speaks_if_its_line_says_so() {
    let step = |request, outcome| Action::Connect(ConnectStep { client: "ann".to_owned(), request, outcome });
    check(&step(Connect::to("/chat").speaking(), Outcome::Accepted(Vec::new())), "connect ann /chat hassock.v1");
    let refused = Outcome::Refused { status: 409, body: None };
    check(&step(Connect::to("/chat").speaking(), refused), "connect ann /chat hassock.v1 refused 409");
    let request = Connect::to("/chat").header("origin", "x").since("room 1", "1b-7").since("room:1", "${p1}").id(7);
    let written =
        "connect ann /chat hassock.v1\n  origin: x\n  @since: \"room 1\" 1b-7\n  @since: room:1 ${p1}\n  @id: 7";
    check(&step(request, Outcome::Accepted(Vec::new())), written);
}

#[test]
fn a_client_returns_with_what_is_different() {
    let step = |request, outcome| Action::Return(ConnectStep { client: "ann".to_owned(), request, outcome });
    check(&step(Connect::default(), Outcome::Accepted(Vec::new())), "ann returns");
    check(&step(Connect::default(), Outcome::Refused { status: 409, body: None }), "ann returns refused 409");
    check(&step(Connect::default(), Outcome::Resumed), "ann returns resumed");
    let request =
        Connect { speaks: Some(BTreeMap::from([("room:1".to_owned(), "${p2}".to_owned())])), ..Connect::default() };
    check(&step(request, Outcome::Accepted(Vec::new())), "ann returns\n  @since: room:1 ${p2}");
    // A client that does not speak returns too, but has no positions.
    assert!(read("connect bob /\nbob vanishes\nbob returns\n  cookie: a").steps.len() == 3);
}

#[test]
fn what_a_client_hears() {
    let topic = || "room:1".to_owned();
    let at = |position: &str| Some(position.to_owned());
    let published =
        |position, id: Option<&str>| Header::Published { topic: topic(), position, id: id.map(str::to_owned) };
    check(&hear(published(None, None), text("hi")), "ann < (room:1) hi");
    check(&hear(published(at("${p1}"), None), text("hi")), "ann < (room:1 at ${p1}) hi");
    check(&hear(published(at("${any}"), Some("x 1")), text("a\nb")), "ann < (room:1 at ${any} id \"x 1\") a\n  b");
    check(
        &hear(published(at("1b-7"), Some("x")), Some(Expected::Json(json!({"a": 1})))),
        "ann < (room:1 at 1b-7 id x) {\"a\":1}",
    );
    check(&hear(published(None, None), text("")), "ann < (room:1) text");
    check(&hear(published(None, None), text("(x")), "ann < (room:1) text \"(x\"");
    check(&hear(published(None, None), Some(Expected::Binary(vec![255]))), "ann < (room:1) hex ff");
    for strange in ["gap", "a b", "a)b", "\"", "", "${p1"] {
        let topic = strange.replace("${", "$${");
        let header = Header::Published { topic, position: None, id: None };
        let written = step(&hear(header.clone(), text("hi")));
        assert_eq!(last(&format!("{ANN}{written}")), hear(header, text("hi")), "{written}");
    }
    let subscribed = |position, recovery| Header::Subscribed { topic: topic(), position, recovery };
    check(&hear(subscribed(None, Recovery::New), None), "ann < (subscribed room:1)");
    check(
        &hear(subscribed(at("${p3=string}"), Recovery::Recovered), None),
        "ann < (subscribed room:1 at ${p3=string} recovered)",
    );
    check(&hear(subscribed(None, Recovery::Gap("count".to_owned())), None), "ann < (subscribed room:1 gap count)");
    check(&hear(Header::Unsubscribed { topic: topic() }, None), "ann < (unsubscribed room:1)");
    check(&hear(Header::Gap { topic: topic(), gap: "bytes".to_owned() }, None), "ann < (gap room:1 bytes)");
    check(&hear(Header::Position { topic: topic(), position: at("${p1}") }, None), "ann < (position room:1 at ${p1})");
    let told = Some(Expected::Json(json!({"count": 1})));
    check(&hear(Header::Presence { topic: topic() }, told), "ann < (presence room:1) {\"count\":1}");
    check(&hear(Header::Presence { topic: topic() }, None), "ann < (presence room:1)");
    check(&hear(Header::Reply, text("yes")), "ann < (reply) yes");
    check(&hear(Header::Error { code: "refused".to_owned() }, None), "ann < (error refused)");
    let pattern = Some(Expected::Regex(regex("not.*")));
    check(&hear(Header::Error { code: "refused".to_owned() }, pattern), "ann < (error refused) /not.*/");
    check(&hear(Header::Closing(Reconnect::Never), None), "ann < (closing)");
    check(&hear(Header::Closing(Reconnect::After(None)), None), "ann < (closing reconnect)");
    let time = Duration::from_millis(1500);
    check(&hear(Header::Closing(Reconnect::After(Some(time))), None), "ann < (closing reconnect after 1s 500ms)");
}

#[test]
fn what_a_client_says() {
    let subscribe = |start| say(Said::Subscribe { topic: "room:1".to_owned(), start });
    check(&subscribe(Start::Now), "ann > (subscribe room:1)");
    check(&subscribe(Start::Since("${p1}".to_owned())), "ann > (subscribe room:1 since ${p1})");
    check(&subscribe(Start::Last(20)), "ann > (subscribe room:1 last 20)");
    check(&say(Said::Unsubscribe { topic: "a b".to_owned() }), "ann > (unsubscribe \"a b\")");
    check(&say(Said::Request(Payload::Text("{\"a\":1}".to_owned()))), "ann > (request) {\"a\":1}");
    check(&say(Said::Request(Payload::Binary(vec![0]))), "ann > (request) hex 00");
    // Without a header, it is for the module.
    let plain = Action::Send { client: "ann".to_owned(), payload: Payload::Text("(hi".to_owned()) };
    check(&plain, "ann > text \"(hi\"");
    // A client that does not speak says what it likes.
    assert_eq!(
        last("connect ann /\nann > (subscribe x)"),
        Action::Send { client: "ann".to_owned(), payload: Payload::Text("(subscribe x)".to_owned()) }
    );
    // A name that is used again is another client.
    assert!(matches!(last(&format!("{ANN}connect ann /\nann < (hi)")), Action::Expect { .. }));
}

#[test]
fn what_another_program_publishes() {
    let publish = |app: Option<&str>, id: Option<&str>, position: Option<&str>| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let payload = Payload::Text("hi".to_owned());
        Action::Publish(Publish {
            app: owned(app),
            topic: "room:1".to_owned(),
            id: owned(id),
            position: owned(position),
            payload,
        })
    };
    check(&publish(None, None, None), "publish (room:1) hi");
    check(&publish(Some("chat"), Some("order-7"), Some("${p1}")), "publish chat (room:1 at ${p1} id order-7) hi");
    let captured = read("publish (a at ${p=string}) x\nconnect ann / hassock.v1\n  @since: a ${p}\n");
    assert_eq!(write(&captured), "publish (a at ${p=string}) x\nconnect ann / hassock.v1\n  @since: a ${p}\n");
}

#[test]
fn mistakes_in_a_header() {
    let text = "for a text that begins with `(` write `text \"(…\"`";
    let topic = "expected the name of a topic; one with blanks or parentheses is a string of JSON: `\"a b\"`";
    let inside = "in what stands in parentheses";
    check_error("ann > (hi) there", &format!("8: expected `subscribe`, `unsubscribe` or `request` after `(`; {text}"));
    check_error(
        "ann > (subscibe a)",
        &format!("8: expected `subscribe`, `unsubscribe` or `request` after `(`; did you mean `subscribe`?; {text}"),
    );
    check_error("ann > (subscribe)", &format!("17: {topic}"));
    check_error("ann > (subscribe a b)", &format!("20: expected `since`, `last` or `)` {inside}"));
    check_error("ann > (subscribe a last x)", "25: expected a number of messages after `last`");
    check_error("ann > (subscribe a last 1", &format!("26: expected `)` {inside}"));
    check_error("ann > (subscribe a) b", "21: expected the end of the line after `)`, not `b`");
    assert_eq!(
        error(&format!("{ANN}ann > (subscribe a)\n  b")),
        "5:3: a header that has no message takes no further lines; a step of its own begins at the line's first column"
    );
}

#[test]
fn mistakes_in_what_is_heard() {
    let inside = "in what stands in parentheses";
    check_error(
        "ann < ()",
        "8: expected the name of a topic; one with blanks or parentheses is a string of JSON: `\"a b\"`",
    );
    check_error("ann < (\"a)", "8: expected a string of JSON, which ends with `\"`");
    check_error("ann < (room:1 here) x", &format!("15: expected `at`, `id` or `)` {inside}"));
    check_error(
        "ann < (subscirbed room:1)",
        &format!("19: expected `at`, `id` or `)` {inside}; did you mean `subscribed`?"),
    );
    check_error("ann < (room:1)", "15: a message is missing; for an empty one write `text`");
    check_error("ann < (reply) ", "14: a message is missing; for an empty one write `text`");
    check_error("ann < (gap room:1)", "18: expected `count`, `age`, `bytes`, `restart` or `none` after `gap`");
    check_error(
        "ann < (gap room:1 cuont)",
        "19: expected `count`, `age`, `bytes`, `restart` or `none` after `gap`; did you mean `count`?",
    );
    check_error(
        "ann < (presence a) 2",
        "20: expected what is told as JSON, such as `{\"count\": 2, \"members\": \"${any}\"}`",
    );
    check_error(
        "ann < (closing reconnect after soon)",
        "32: expected a time such as `1s` after `after`: expected number at 0",
    );
    check_error("ann < (subscribed a recovered gap count)", &format!("31: expected `)` {inside}"));
    check_error("ann < (closing) x", "17: expected the end of the line after `)`, not `x`");
}

#[test]
fn mistakes_in_positions() {
    let position = "expected a position: `${NAME=string}` to capture it, a captured `${NAME}`, `${any}`, or one such as `1b2f4c-17`";
    check_error("ann < (a at here) x", &format!("13: {position}"));
    check_error("ann < (a at) x", &format!("12: {position}"));
    check_error("ann < (a at ${p=number}) x", &format!("13: {position}"));
    check_error(
        "ann < (a at ${p9}) x",
        "13: no earlier step has captured `p9` (captured so far: `p1` or `p2`); to capture it here write `${p9=string}`; did you mean `p1`?",
    );
    let since = "expected a position: `${NAME}`, which an earlier step has captured, or one such as `1b2f4c-17`";
    check_error("ann > (subscribe a since ${p=string})", &format!("26: {since}"));
    check_error("ann > (subscribe a since x)", &format!("26: {since}"));
    assert_eq!(error("connect bob / hassock.v1\n  @since: a"), format!("2:12: {since}"));
    assert_eq!(
        error("connect bob /\n  @since: a 1-1"),
        "2:3: only a client that speaks `hassock.v1` has positions: `connect NAME /PATH hassock.v1`"
    );
    assert_eq!(
        error("connect bob / hassock.v1\n  @since: a 1-1\n  @since: a 1-2"),
        "3:3: a second `@since` of `a`; a client has one position of it"
    );
}

#[test]
fn mistakes_in_what_is_published() {
    let usage = "expected `publish (TOPIC) MESSAGE`, or `publish APP (TOPIC) MESSAGE`";
    check_error("publish room:1 hi", &format!("13: {usage}"));
    check_error("publish", &format!("8: {usage}"));
    check_error("publish (a)", "12: a message is missing; for an empty one write `text`");
    check_error("publish (a since 1-1) x", "12: expected `at`, `id` or `)` in what stands in parentheses");
}
