//! `connect NAME TARGET …`, with the header fields of the request and of the answer.

use super::super::model::{Action, Connect, Outcome, TextPattern};
use super::super::names::{KEYWORDS, one_of};
use super::ParseError;
use super::block::Block;
use super::clock::digits;
use super::cursor::Cursor;
use super::pattern::pattern;
use super::references::check_rest;
use super::scope::Scope;

/// Ids are exact in JavaScript.
const IDS: u64 = 1 << 53;

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
    let target = target(&mut cursor, scope)?;
    let outcome = outcome(cursor)?;
    let mut connect = Connect { client, target, headers: Vec::new(), id: None, outcome };
    for line in &block.more {
        detail(*line, &mut connect, scope)?;
    }
    if matches!(connect.outcome, Outcome::Accepted(_)) {
        scope.connect(&connect.client);
    }
    Ok(Action::Connect(connect))
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
    check_rest(here.until(target.len()), scope)?;
    Ok(target.to_owned())
}

/// As it can stand in a path or a query.
fn percent_encoded(char: char) -> String {
    let mut bytes = [0; 4];
    char.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn outcome(mut cursor: Cursor<'_>) -> Result<Outcome, ParseError> {
    cursor.skip_blanks();
    if cursor.is_done() {
        return Ok(Outcome::Accepted(Vec::new()));
    }
    let here = cursor;
    if cursor.word() != "refused" {
        here.expect_no_comment()?;
        return Err(here.error("expected `refused STATUS`, or the end of the line if the host is to accept the client"));
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
fn detail(mut line: Cursor<'_>, connect: &mut Connect, scope: &Scope) -> Result<(), ParseError> {
    line.skip_blanks();
    let here = line;
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
    check_rest(value, scope)?;
    connect.headers.push((name, value.rest().to_owned()));
    Ok(())
}

/// `@id: N`
fn id(here: Cursor<'_>, mut line: Cursor<'_>, connect: &mut Connect) -> Result<(), ParseError> {
    let known = line.eat("id");
    line.skip_blanks();
    if !known || !line.eat(":") {
        return Err(here.error("expected `@id: N`; a header field begins with a letter"));
    }
    if connect.id.is_some() {
        return Err(here.error("a second `@id`; a connection has one"));
    }
    line.skip_blanks();
    line.expect_no_comment()?;
    let id = digits(line.rest()).filter(|id| (1..IDS).contains(id));
    let id = id.ok_or_else(|| line.error(format!("expected an id from 1 to {} after `@id:`", IDS - 1)))?;
    connect.id = Some(id);
    Ok(())
}

/// `< NAME: PATTERN`
fn answer(here: Cursor<'_>, mut line: Cursor<'_>, connect: &mut Connect) -> Result<(), ParseError> {
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
        return Err(here.error("expected the name of a header field, `@id: N` or `< NAME: VALUE`"));
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
