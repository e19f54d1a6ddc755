//! What stands in parentheses.

use serde_json::Value as Json;

use super::super::header::{Header, Heard, Publish, Reconnect, Recovery, Said, Start};
use super::super::names::is_blank;
use super::text::{expected, payload};

/// A message with its header, as it stands behind `<` and a blank.
#[must_use]
pub fn heard(heard: &Heard) -> String {
    let body = heard.body.as_ref().map(expected).unwrap_or_default();
    format!("({}){body}", header(&heard.header))
}

/// What stands behind `>` and a blank.
pub(super) fn said(said: &Said) -> String {
    match said {
        Said::Subscribe { topic, start } => {
            let start = match start {
                Start::Now => String::new(),
                Start::Since(position) => format!(" since {position}"),
                Start::Last(count) => format!(" last {count}"),
            };
            format!("(subscribe {}{start})", word(topic))
        }
        Said::Unsubscribe { topic } => format!("(unsubscribe {})", word(topic)),
        Said::Request(question) => format!("(request){}", payload(question)),
    }
}

/// A whole step.
pub(super) fn publish(publish: &Publish) -> String {
    let Publish { app, topic, id, position, payload: message } = publish;
    let app = app.as_ref().map(|app| format!("{app} ")).unwrap_or_default();
    format!("publish {app}({}{}{}){}", word(topic), at(position.as_deref()), named(id.as_deref()), payload(message))
}

/// A topic or an id, plain if it is read as itself.
pub(super) fn word(text: &str) -> String {
    let is_plain = !text.is_empty()
        && !text.starts_with('"')
        && !Header::WORDS.contains(&text)
        && !text
            .chars()
            .any(|char| char.is_control() || char.is_whitespace() || is_blank(char) || matches!(char, '(' | ')'));
    if is_plain { text.to_owned() } else { Json::from(text).to_string() }
}

fn header(header: &Header) -> String {
    match header {
        Header::Published { topic, position, id } => {
            format!("{}{}{}", word(topic), at(position.as_deref()), named(id.as_deref()))
        }
        Header::Subscribed { topic, position, recovery } => {
            let recovery = match recovery {
                Recovery::New => String::new(),
                Recovery::Recovered => " recovered".to_owned(),
                Recovery::Gap(gap) => format!(" gap {gap}"),
            };
            format!("subscribed {}{}{recovery}", word(topic), at(position.as_deref()))
        }
        Header::Unsubscribed { topic } => format!("unsubscribed {}", word(topic)),
        Header::Gap { topic, gap } => format!("gap {} {gap}", word(topic)),
        Header::Position { topic, position } => format!("position {}{}", word(topic), at(position.as_deref())),
        Header::Presence { topic } => format!("presence {}", word(topic)),
        Header::Reply => "reply".to_owned(),
        Header::Error { code } => format!("error {code}"),
        Header::Closing(Reconnect::Never) => "closing".to_owned(),
        Header::Closing(Reconnect::After(None)) => "closing reconnect".to_owned(),
        Header::Closing(Reconnect::After(Some(time))) => {
            format!("closing reconnect after {}", humantime::format_duration(*time))
        }
    }
}

fn at(position: Option<&str>) -> String {
    position.map(|position| format!(" at {position}")).unwrap_or_default()
}

fn named(id: Option<&str>) -> String {
    id.map(|id| format!(" id {}", word(id))).unwrap_or_default()
}
