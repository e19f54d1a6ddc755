//! What stands in parentheses: headers of `hassock.v1`, and where `publish` publishes.

use serde_json::Value as Json;

use super::super::header::{Header, Heard, Publish, Reconnect, Recovery, Said, Start};
use super::super::model::Action;
use super::super::names::{did_you_mean, is_blank, one_of};
use super::super::placeholder::{Kind, Placeholder};
use super::cursor::{Cursor, Lines};
use super::step::digits;
use super::{Block, ParseError, Scope, message};

/// Why messages are missing, in the words of the protocol.
const GAPS: [&str; 5] = ["count", "age", "bytes", "restart", "none"];

/// The codes of the protocol.
const CODES: [&str; 6] = ["refused", "not-supported", "invalid-topic", "too-many-topics", "too-large", "closing"];

/// More than a client can ask for.
const MOST_LAST: u64 = u32::MAX as u64;

/// Advice for an author who did not mean a header.
const TEXT_ADVICE: &str = "for a text that begins with `(` write `text \"(…\"`";

/// After `>` and `(`, of a client that speaks `hassock.v1`.
pub(super) fn say(block: &Block<'_>, client: String, cursor: Cursor<'_>, scope: &Scope) -> Result<Action, ParseError> {
    let mut cursor = cursor;
    cursor.skip_blanks();
    let here = cursor;
    let said = match word(&mut cursor) {
        "subscribe" => Said::Subscribe { topic: topic(&mut cursor, scope)?, start: start(&mut cursor, scope)? },
        "unsubscribe" => Said::Unsubscribe { topic: topic(&mut cursor, scope)? },
        "request" => {
            close(&mut cursor, &[])?;
            let payload = message::payload(&Lines::of(cursor, &block.more), scope)?;
            return Ok(Action::Say { client, said: Said::Request(payload) });
        }
        other => {
            let (words, near) = (one_of(Said::WORDS), did_you_mean(other, Said::WORDS));
            return Err(here.error(format!("expected {words} after `(`{near}; {TEXT_ADVICE}")));
        }
    };
    let options: &[&str] = match &said {
        Said::Subscribe { start: Start::Now, .. } => &["since", "last"],
        _ => &[],
    };
    close(&mut cursor, options)?;
    nothing_more(block, cursor)?;
    Ok(Action::Say { client, said })
}

fn start(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<Start, ParseError> {
    if option(cursor, "since") {
        return Ok(Start::Since(known_position(cursor, scope)?));
    }
    if option(cursor, "last") {
        let here = *cursor;
        let count = digits(word(cursor)).filter(|count| *count <= MOST_LAST);
        return count.map(Start::Last).ok_or_else(|| here.error("expected a number of messages after `last`"));
    }
    Ok(Start::Now)
}

/// After `<` and `(`, of a client that speaks `hassock.v1`.
pub(super) fn hear(
    block: &Block<'_>,
    client: String,
    cursor: Cursor<'_>,
    scope: &mut Scope,
) -> Result<Action, ParseError> {
    let mut cursor = cursor;
    let mut captures = Vec::new();
    let header = header(&mut cursor, scope, &mut captures)?;
    let body = body(block, &header, cursor, scope)?;
    captures.into_iter().for_each(|name| scope.capture(name));
    Ok(Action::Hear { client, heard: Heard { header, body } })
}

/// Up to the closing parenthesis.
fn header(cursor: &mut Cursor<'_>, scope: &Scope, captures: &mut Vec<String>) -> Result<Header, ParseError> {
    cursor.skip_blanks();
    let mut ahead = *cursor;
    let kind = Header::WORDS.into_iter().find(|kind| *kind == word(&mut ahead.clone()));
    let Some(kind) = kind else { return published(cursor, scope, captures) };
    word(&mut ahead);
    ahead.skip_blanks();
    *cursor = ahead;
    let (header, options): (Header, &[&str]) = match kind {
        "subscribed" => subscribed(cursor, scope, captures)?,
        "unsubscribed" => (Header::Unsubscribed { topic: topic(cursor, scope)? }, &[]),
        "gap" => (Header::Gap { topic: topic(cursor, scope)?, gap: one_word(cursor, "gap", &GAPS)? }, &[]),
        "position" => {
            let topic = topic(cursor, scope)?;
            (Header::Position { topic, position: at(cursor, scope, captures)? }, &["at"])
        }
        "presence" => (Header::Presence { topic: topic(cursor, scope)? }, &[]),
        "reply" => (Header::Reply, &[]),
        "error" => (Header::Error { code: one_word(cursor, "error", &CODES)? }, &[]),
        _ => closing(cursor)?,
    };
    close(cursor, options)?;
    Ok(header)
}

/// A message that was published: it begins with its topic.
fn published(cursor: &mut Cursor<'_>, scope: &Scope, captures: &mut Vec<String>) -> Result<Header, ParseError> {
    let near = did_you_mean(word(&mut cursor.clone()), Header::WORDS);
    let topic = topic(cursor, scope)?;
    let position = at(cursor, scope, captures)?;
    let id = id(cursor, scope)?;
    close(cursor, &["at", "id"]).map_err(|error| ParseError { message: error.message + &near, ..error })?;
    Ok(Header::Published { topic, position, id })
}

fn subscribed(
    cursor: &mut Cursor<'_>,
    scope: &Scope,
    captures: &mut Vec<String>,
) -> Result<(Header, &'static [&'static str]), ParseError> {
    let topic = topic(cursor, scope)?;
    let position = at(cursor, scope, captures)?;
    let recovery = match () {
        () if option(cursor, "recovered") => Recovery::Recovered,
        () if option(cursor, "gap") => Recovery::Gap(one_word(cursor, "gap", &GAPS)?),
        () => Recovery::New,
    };
    let options: &[&str] = if recovery == Recovery::New { &["at", "recovered", "gap"] } else { &[] };
    Ok((Header::Subscribed { topic, position, recovery }, options))
}

fn closing(cursor: &mut Cursor<'_>) -> Result<(Header, &'static [&'static str]), ParseError> {
    if !option(cursor, "reconnect") {
        return Ok((Header::Closing(Reconnect::Never), &["reconnect"]));
    }
    if !option(cursor, "after") {
        return Ok((Header::Closing(Reconnect::After(None)), &["after"]));
    }
    let here = *cursor;
    let text = cursor.take_while(|char| char != ')').trim_end_matches(is_blank);
    let time = humantime::parse_duration(text)
        .map_err(|error| here.error(format!("expected a time such as `1s` after `after`: {error}")))?;
    Ok((Header::Closing(Reconnect::After(Some(time))), &[]))
}

/// What follows the header.
fn body(
    block: &Block<'_>,
    header: &Header,
    cursor: Cursor<'_>,
    scope: &mut Scope,
) -> Result<Option<super::super::model::Expected>, ParseError> {
    let lines = Lines::of(cursor, &block.more);
    let is_missing = lines.text().is_empty();
    match header {
        Header::Published { .. } | Header::Reply => message::expected(&lines, scope).map(Some),
        Header::Presence { .. } | Header::Error { .. } if is_missing => Ok(None),
        Header::Presence { .. } if !lines.text().starts_with('{') => {
            Err(lines.error("expected what is told as JSON, such as `{\"count\": 2, \"members\": \"${any}\"}`"))
        }
        Header::Presence { .. } | Header::Error { .. } => message::expected(&lines, scope).map(Some),
        _ => nothing_more(block, cursor).map(|()| None),
    }
}

/// After `publish`.
pub(super) fn publish(block: &Block<'_>, cursor: Cursor<'_>, scope: &mut Scope) -> Result<Action, ParseError> {
    let mut cursor = cursor;
    cursor.skip_blanks();
    let app = cursor.name().map(str::to_owned);
    cursor.skip_blanks();
    if !cursor.eat("(") {
        return Err(cursor.error("expected `publish (TOPIC) MESSAGE`, or `publish APP (TOPIC) MESSAGE`"));
    }
    let mut captures = Vec::new();
    let topic = topic(&mut cursor, scope)?;
    let position = at(&mut cursor, scope, &mut captures)?;
    let id = id(&mut cursor, scope)?;
    close(&mut cursor, &["at", "id"])?;
    let payload = message::payload(&Lines::of(cursor, &block.more), scope)?;
    captures.into_iter().for_each(|name| scope.capture(name));
    Ok(Action::Publish(Publish { app, topic, id, position, payload }))
}

/// `TOPIC POSITION` to the end of the line, after `@since:`.
pub(super) fn since(mut cursor: Cursor<'_>, scope: &Scope) -> Result<(String, String), ParseError> {
    let topic = topic(&mut cursor, scope)?;
    cursor.skip_blanks();
    let position = known_position(&mut cursor, scope)?;
    cursor.expect_end("the position")?;
    Ok((topic, position))
}

/// A name of a topic, or a string of JSON.
fn topic(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<String, ParseError> {
    text(cursor, scope, "the name of a topic")
}

fn id(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<Option<String>, ParseError> {
    option(cursor, "id").then(|| text(cursor, scope, "an id after `id`")).transpose()
}

/// A word, or a string of JSON: for one that has blanks or parentheses, or looks like another word.
fn text(cursor: &mut Cursor<'_>, scope: &Scope, what: &str) -> Result<String, ParseError> {
    cursor.skip_blanks();
    let here = *cursor;
    let text = match cursor.rest().starts_with('"') {
        true => string(cursor)?,
        false => word(cursor).to_owned(),
    };
    if text.is_empty() && *cursor == here {
        return Err(
            here.error(format!("expected {what}; one with blanks or parentheses is a string of JSON: `\"a b\"`"))
        );
    }
    scope.check_text(&text).map_err(|(_, message)| here.error(message))?;
    Ok(text)
}

fn string(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let mut values = serde_json::Deserializer::from_str(cursor.rest()).into_iter::<Json>();
    match values.next() {
        Some(Ok(Json::String(text))) => {
            *cursor = cursor.after(values.byte_offset());
            Ok(text)
        }
        _ => Err(cursor.error("expected a string of JSON, which ends with `\"`")),
    }
}

/// `at POSITION`, if it is there.
fn at(cursor: &mut Cursor<'_>, scope: &Scope, captures: &mut Vec<String>) -> Result<Option<String>, ParseError> {
    if !option(cursor, "at") {
        return Ok(None);
    }
    let here = *cursor;
    let position = word(cursor);
    match Placeholder::parse(position).map_err(|message| here.error(message))? {
        Some(Placeholder::Kind(Kind::Any | Kind::String)) => {}
        Some(Placeholder::Capture(name, Kind::Any | Kind::String)) => captures.push(name),
        Some(Placeholder::Captured(name)) => {
            let advice = format!("to capture it here write `${{{name}=string}}`");
            scope.check_captured(&name, &advice, &["any"]).map_err(|message| here.error(message))?;
        }
        None if is_position(position) => {}
        _ => return Err(no_position(here)),
    }
    Ok(Some(position.to_owned()))
}

/// A position that is known already.
fn known_position(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<String, ParseError> {
    let here = *cursor;
    let position = word(cursor);
    match Placeholder::parse(position).map_err(|message| here.error(message))? {
        Some(Placeholder::Captured(name)) => {
            let advice = "an earlier message captures it: `at ${NAME=string}`";
            scope.check_captured(&name, advice, &[]).map_err(|message| here.error(message))?;
        }
        None if is_position(position) => {}
        _ => {
            return Err(here.error(
                "expected a position: `${NAME}`, which an earlier step has captured, or one such as `1b2f4c-17`",
            ));
        }
    }
    Ok(position.to_owned())
}

fn no_position(here: Cursor<'_>) -> ParseError {
    here.error("expected a position: `${NAME=string}` to capture it, a captured `${NAME}`, `${any}`, or one such as `1b2f4c-17`")
}

fn is_position(text: &str) -> bool {
    text.split_once('-').is_some_and(|(epoch, offset)| {
        let is_hex = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex && digits(offset).is_some()
    })
}

/// One of these words.
fn one_word(cursor: &mut Cursor<'_>, after: &str, words: &[&str]) -> Result<String, ParseError> {
    cursor.skip_blanks();
    let here = *cursor;
    let found = word(cursor);
    match words.contains(&found) {
        true => Ok(found.to_owned()),
        false => {
            let near = did_you_mean(found, words.iter().copied());
            Err(here.error(format!("expected {} after `{after}`{near}", one_of(words.iter().copied()))))
        }
    }
}

/// Whether this word is next; if so, it is now behind, and the blanks after it.
fn option(cursor: &mut Cursor<'_>, name: &str) -> bool {
    let mut ahead = *cursor;
    ahead.skip_blanks();
    let is_next = word(&mut ahead) == name;
    if is_next {
        ahead.skip_blanks();
        *cursor = ahead;
    }
    is_next
}

/// Everything up to white space or the closing parenthesis.
fn word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.take_while(|char| !is_blank(char) && !matches!(char, '(' | ')'))
}

/// The closing parenthesis. `options` might have come before it.
fn close(cursor: &mut Cursor<'_>, options: &[&str]) -> Result<(), ParseError> {
    cursor.skip_blanks();
    match cursor.eat(")") {
        true => Ok(()),
        false => {
            let expected = one_of(options.iter().copied().chain([")"]));
            Err(cursor.error(format!("expected {expected} in what stands in parentheses")))
        }
    }
}

fn nothing_more(block: &Block<'_>, mut cursor: Cursor<'_>) -> Result<(), ParseError> {
    cursor.expect_end("`)`")?;
    block.expect_one_line("a header that has no message")
}
