//! Steps with details in the lines below: `connect` and `returns` with header fields.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::super::model::{Action, ConnectStep, Outcome, TextPattern};
use super::super::names::{KEYWORDS, one_of};
use super::cursor::Cursor;
use super::message::pattern;
use super::step::digits;
use super::{Block, ParseError, Scope, Speech, header};
use crate::backend::Connect;
use crate::spoken::PROTOCOL;

/// Ids are exact in JavaScript.
const IDS: u64 = 1 << 53;

/// Behind `returns`: the connection is the one from before.
const RESUMED: &str = "resumed";

/// The header fields that make the handshake, and why a transcript cannot have them.
const OF_HANDSHAKE: [(&str, &str); 9] = [
    ("connection", "the handshake itself has it"),
    ("upgrade", "the handshake itself has it"),
    ("sec-websocket-key", "the handshake itself has it"),
    ("sec-websocket-version", "the handshake itself has it"),
    ("sec-websocket-extensions", "clients of transcripts know no extensions"),
    ("sec-websocket-accept", "only answers have it"),
    ("host", "it depends on where the transcript is played"),
    ("content-length", "a handshake has no body"),
    ("transfer-encoding", "a handshake has no body"),
];

/// After `connect`.
pub(super) fn connect(block: &Block<'_>, mut cursor: Cursor<'_>, scope: &mut Scope) -> Result<Action, ParseError> {
    let client = client(&mut cursor)?;
    let mut request = Connect::to(target(&mut cursor, scope)?);
    let speech = speech(&mut cursor);
    if speech == Speech::Protocol {
        request.speaks = Some(BTreeMap::new());
    }
    let outcome = outcome(cursor, &[PROTOCOL])?;
    let mut connect = ConnectStep { client, request, outcome };
    for line in &block.more {
        detail(*line, &mut connect, speech, scope)?;
    }
    if matches!(connect.outcome, Outcome::Accepted(_)) {
        scope.connect(&connect.client, speech);
    }
    Ok(Action::Connect(connect))
}

/// After `returns`.
pub(super) fn returns(
    block: &Block<'_>,
    client: String,
    cursor: Cursor<'_>,
    scope: &Scope,
) -> Result<Action, ParseError> {
    let speech = scope.speech(&client);
    let mut ahead = cursor;
    ahead.skip_blanks();
    let outcome = match ahead.word() {
        RESUMED if speech == Speech::Protocol => {
            ahead.expect_end("`resumed`")?;
            Outcome::Resumed
        }
        _ => outcome(cursor, if speech == Speech::Protocol { &[RESUMED] } else { &[] })?,
    };
    let mut connect = ConnectStep { client, request: Connect::default(), outcome };
    for line in &block.more {
        detail(*line, &mut connect, speech, scope)?;
    }
    Ok(Action::Return(connect))
}

/// `hassock.v1`, if it is there.
fn speech(cursor: &mut Cursor<'_>) -> Speech {
    let mut ahead = *cursor;
    ahead.skip_blanks();
    if ahead.word() != PROTOCOL {
        return Speech::Plain;
    }
    *cursor = ahead;
    Speech::Protocol
}

fn client(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    cursor.skip_blanks();
    let here = *cursor;
    let name = cursor.expect_name("the name of a client after `connect`")?;
    if KEYWORDS.contains(&name) {
        let words = one_of(KEYWORDS);
        return Err(here.error(format!("`{name}` begins steps of its own, so no client can be called {words}")));
    }
    Ok(name.to_owned())
}

fn target(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<String, ParseError> {
    cursor.skip_blanks();
    if !cursor.rest().starts_with('/') {
        return Err(cursor.error("expected the path that is asked for, and its query: `/chat?room=lobby`"));
    }
    let (here, mut chars) = (*cursor, *cursor);
    let target = cursor.word();
    chars.take_while(|char| char.is_ascii_graphic() && char != '#');
    if let Some(char) = chars.rest().chars().next().filter(|_| chars.rest().len() > cursor.rest().len()) {
        return Err(chars.error(format!(
            "`{}` cannot stand in the path of a request; write `{}`",
            char.escape_debug(),
            percent_encoded(char)
        )));
    }
    scope.check_rest(here.until(target.len()))?;
    Ok(target.to_owned())
}

/// As it can stand in a path or a query.
fn percent_encoded(char: char) -> String {
    let mut bytes = [0; 4];
    char.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The end of the line, or `refused STATUS`. `options` might have come before it.
fn outcome(mut cursor: Cursor<'_>, options: &[&str]) -> Result<Outcome, ParseError> {
    cursor.skip_blanks();
    if cursor.is_done() {
        return Ok(Outcome::Accepted(Vec::new()));
    }
    let here = cursor;
    if cursor.word() != "refused" {
        here.expect_no_comment()?;
        let options: String = options.iter().map(|option| format!("`{option}`, ")).collect();
        return Err(here.error(format!(
            "expected {options}`refused STATUS`, or the end of the line if the host is to accept the client"
        )));
    }
    cursor.skip_blanks();
    let here = cursor;
    let status = digits(cursor.word()).and_then(|status| u16::try_from(status).ok());
    let status = status
        .filter(|status| (200..=599).contains(status))
        .ok_or_else(|| here.error("expected a status of HTTP from 200 to 599 after `refused`, such as `403`"))?;
    cursor.skip_blanks();
    let body = if cursor.is_done() { None } else { Some(pattern(cursor)?) };
    Ok(Outcome::Refused { status, body })
}

/// An indented line.
fn detail(mut line: Cursor<'_>, connect: &mut ConnectStep, speech: Speech, scope: &Scope) -> Result<(), ParseError> {
    line.skip_blanks();
    let here = line;
    if line.eat("@since:") {
        return since(here, line, connect, speech, scope);
    }
    if line.eat("@") {
        return id(here, line, connect);
    }
    if line.eat("<") {
        return answer(here, line, connect);
    }
    let (name, value) = field(line)?;
    if let Some((name, reason)) = OF_HANDSHAKE.iter().find(|(refused, _)| *refused == name) {
        return Err(here.error(format!("a transcript cannot send `{name}`: {reason}; remove the line")));
    }
    if let Some(at) = value.rest().find(|char: char| char.is_control() && char != '\t') {
        return Err(value.after(at).error("a control character cannot stand in a header field"));
    }
    scope.check_rest(value)?;
    connect.request.headers.push((name, value.rest().to_owned()));
    Ok(())
}

/// `@since: TOPIC POSITION`
fn since(
    here: Cursor<'_>,
    line: Cursor<'_>,
    connect: &mut ConnectStep,
    speech: Speech,
    scope: &Scope,
) -> Result<(), ParseError> {
    if speech == Speech::Plain {
        return Err(here
            .error(format!("only a client that speaks `{PROTOCOL}` has positions: `connect NAME /PATH {PROTOCOL}`")));
    }
    let (topic, position) = header::since(line, scope)?;
    match connect.request.speaks.get_or_insert_default().entry(topic) {
        Entry::Vacant(place) => place.insert(position),
        Entry::Occupied(place) => {
            return Err(here.error(format!("a second `@since` of `{}`; a client has one position of it", place.key())));
        }
    };
    Ok(())
}

/// `@id: N`
fn id(here: Cursor<'_>, mut line: Cursor<'_>, connect: &mut ConnectStep) -> Result<(), ParseError> {
    let known = line.eat("id");
    line.skip_blanks();
    if !known || !line.eat(":") {
        return Err(here.error("expected `@id: N` or `@since: TOPIC POSITION`; a header field begins with a letter"));
    }
    if connect.request.id.is_some() {
        return Err(here.error("a second `@id`; a connection has one"));
    }
    line.skip_blanks();
    line.expect_no_comment()?;
    let id = digits(line.rest()).filter(|id| (1..IDS).contains(id));
    let id = id.ok_or_else(|| line.error(format!("expected an id from 1 to {} after `@id:`", IDS - 1)))?;
    connect.request.id = Some(id);
    Ok(())
}

/// `< NAME: PATTERN`
fn answer(here: Cursor<'_>, mut line: Cursor<'_>, connect: &mut ConnectStep) -> Result<(), ParseError> {
    let Outcome::Accepted(fields) = &mut connect.outcome else {
        return Err(here.error("header fields are expected only of a client that is accepted; remove the line"));
    };
    line.skip_blanks();
    let (name, value) = field(line)?;
    if value.is_done() {
        return Err(value.error(format!("expected what `{name}` is to be; for an empty value write `text`")));
    }
    let value: TextPattern = pattern(value)?;
    fields.push((name, value));
    Ok(())
}

/// `NAME: …`; the name in lower case, because HTTP does not distinguish.
fn field(mut line: Cursor<'_>) -> Result<(String, Cursor<'_>), ParseError> {
    let here = line;
    let name = line.take_while(in_token);
    if name.is_empty() {
        return Err(
            here.error("expected the name of a header field, `@id: N`, `@since: TOPIC POSITION` or `< NAME: VALUE`")
        );
    }
    if !line.eat(":") {
        return Err(line.error(format!("expected `: VALUE` after the header field `{name}`")));
    }
    line.skip_blanks();
    Ok((name.to_ascii_lowercase(), line))
}

/// A token of RFC 9110.
fn in_token(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char)
}
