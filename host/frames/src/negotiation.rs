//! What a client and the host agree on in the handshake (RFC 7692, sections 5 and 7.1).

use std::borrow::Cow;

use crate::deflate::Window;

/// The name of the extension.
const NAME: &str = "permessage-deflate";

/// What a client and the host agreed on.
///
/// Neither keeps anything of a message for the next one (`server_no_context_takeover`, `client_no_context_takeover`): a
/// published message is then compressed once for all subscribers, and an idle connection needs no memory for compression.
/// The price is that short messages that resemble each other become less short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// How far back the host may refer.
    pub window: Window,
    /// The value of `Sec-WebSocket-Extensions` in the response.
    pub response: String,
}

/// Find the first offer of `permessage-deflate` that the host can accept. `offers` is what the request says in
/// `Sec-WebSocket-Extensions`, which may come in several fields.
///
/// None if there is none: the messages are then not compressed. This is also so if a field is malformed, because the host
/// would ignore it without compression.
pub fn negotiate<'a>(offers: impl IntoIterator<Item = &'a str>) -> Option<Agreement> {
    let fields: Option<Vec<_>> = offers.into_iter().map(extensions).collect();
    let offers = fields?.into_iter().flatten().filter(|extension| extension.name == NAME);
    offers.filter_map(|offer| Offer::read(&offer.parameters)).find_map(Offer::accept)
}

/// The parameters of an offer.
#[derive(Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// The value says how far back the client refers. Every message can be read without knowing it.
    client_max_window_bits: bool,
}

impl Offer {
    /// None if something is not known, is not valid, or is there twice: such an offer is declined.
    fn read(parameters: &[Parameter<'_>]) -> Option<Self> {
        let mut offer = Self::default();
        for Parameter { name, value } in parameters {
            let is_first = match (*name, value) {
                ("server_no_context_takeover", None) => !std::mem::replace(&mut offer.server_no_context_takeover, true),
                ("client_no_context_takeover", None) => !std::mem::replace(&mut offer.client_no_context_takeover, true),
                ("server_max_window_bits", Some(bits)) => {
                    offer.server_max_window_bits.replace(window_bits(bits)?).is_none()
                }
                ("client_max_window_bits", bits) => {
                    bits.as_deref().is_none_or(|bits| window_bits(bits).is_some())
                        && !std::mem::replace(&mut offer.client_max_window_bits, true)
                }
                _ => false,
            };
            if !is_first {
                return None;
            }
        }
        Some(offer)
    }

    /// None if the client can read less than the host can write.
    fn accept(self) -> Option<Agreement> {
        let window = match self.server_max_window_bits {
            None => Window::Full,
            Some(bits) => Window::within(bits)?,
        };
        let mut response = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
        if self.server_max_window_bits.is_some() {
            response += &format!("; server_max_window_bits={}", window.bits());
        }
        Some(Agreement { window, response })
    }
}

/// A number of 8 to 15, as RFC 7692 writes it: without a zero before it.
fn window_bits(value: &str) -> Option<u8> {
    value.parse().ok().filter(|bits: &u8| (8..=15).contains(bits) && bits.to_string() == value)
}

/// One of the extensions in a field.
struct Extension<'a> {
    name: &'a str,
    parameters: Vec<Parameter<'a>>,
}

struct Parameter<'a> {
    name: &'a str,
    value: Option<Cow<'a, str>>,
}

/// The extensions that a field lists (RFC 6455, section 9.1). None if it is malformed.
fn extensions(field: &str) -> Option<Vec<Extension<'_>>> {
    let mut rest = Rest(field);
    let mut extensions = Vec::new();
    loop {
        // RFC 9110, section 5.6.1: elements of a list may be empty.
        while rest.skip(',') {}
        if rest.is_empty() {
            return Some(extensions);
        }
        extensions.push(rest.extension()?);
        if !rest.is_empty() && !rest.skip(',') {
            return None;
        }
    }
}

/// What is left of a field. Spaces and tabs may be between its parts.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn is_empty(&mut self) -> bool {
        self.0 = self.0.trim_start_matches([' ', '\t']);
        self.0.is_empty()
    }

    /// Whether a separator comes next, which is then left behind.
    fn skip(&mut self, separator: char) -> bool {
        let rest = self.0.trim_start_matches([' ', '\t']).strip_prefix(separator);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn extension(&mut self) -> Option<Extension<'a>> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.skip(';') {
            let name = self.token()?;
            let value = if self.skip('=') { Some(self.value()?) } else { None };
            parameters.push(Parameter { name, value });
        }
        Some(Extension { name, parameters })
    }

    fn token(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches([' ', '\t']);
        let end = rest.find(|character| !is_of_token(character)).unwrap_or(rest.len());
        let (token, rest) = rest.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A token, perhaps between quotation marks.
    fn value(&mut self) -> Option<Cow<'a, str>> {
        if !self.skip('"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut value = String::new();
        let mut characters = self.0.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(characters.next()?),
                character => value.push(character),
            }
        }
        self.0 = characters.as_str();
        (!value.is_empty() && value.chars().all(is_of_token)).then_some(Cow::Owned(value))
    }
}

/// RFC 9110, section 5.6.2.
fn is_of_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn response(offers: &[&str]) -> Option<String> {
        negotiate(offers.iter().copied()).map(|agreement| agreement.response)
    }

    #[test]
    fn what_browsers_and_libraries_offer_is_accepted() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=15",
            "permessage-deflate; client_max_window_bits=\"8\"",
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits",
            "permessage-bzip2; x=\"a\\b\", permessage-deflate",
            ", permessage-deflate ,",
            "\tpermessage-deflate\t;\tclient_max_window_bits\t=\t9\t",
        ] {
            assert_eq!(response(&[offer]).as_deref(), Some(PLAIN), "{offer}");
        }
        assert_eq!(response(&["other", "permessage-deflate"]).as_deref(), Some(PLAIN), "two fields");
    }

    #[test]
    fn a_client_that_asks_for_a_smaller_window_gets_one() {
        for (asked, window, bits) in
            [(9, Window::Small, 9), (10, Window::Small, 9), (14, Window::Small, 9), (15, Window::Full, 15)]
        {
            let agreement =
                negotiate([format!("permessage-deflate; server_max_window_bits={asked}").as_str()]).unwrap();
            assert_eq!(agreement.window, window);
            assert_eq!(agreement.response, format!("{PLAIN}; server_max_window_bits={bits}"));
        }
    }

    #[test]
    fn an_offer_that_is_not_valid_is_declined() {
        for parameters in [
            "unknown",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=10",
            "server_max_window_bits=10; server_max_window_bits=10",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=+9",
            "server_max_window_bits=-9",
            "server_max_window_bits=999",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=a",
            // No implementation of zlib writes for such a window.
            "server_max_window_bits=8",
        ] {
            let offer = format!("permessage-deflate; {parameters}");
            assert_eq!(response(&[&offer]), None, "{offer}");
            let two = format!("{offer}, permessage-deflate; server_max_window_bits=15, permessage-deflate");
            assert_eq!(response(&[&two]), Some(format!("{PLAIN}; server_max_window_bits=15")), "the next one: {two}");
        }
    }

    #[test]
    fn a_field_that_is_malformed_or_offers_something_else_is_no_offer() {
        for field in [
            "",
            "Permessage-Deflate",
            "permessage-deflate2",
            "permessage-deflate;",
            "permessage-deflate; ;",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; server_max_window_bits=\"9",
            "permessage-deflate; server_max_window_bits=\"\"",
            "permessage-deflate; server_max_window_bits=\"9\" 9",
            "permessage-deflate; client_max_window_bits=\" 9\"",
            "permessage-deflate x",
            "other; x=\"a,b\", permessage-deflate",
            "permessage-deflate, =",
            "permessage-deflate, \"permessage-deflate\"",
        ] {
            assert_eq!(response(&[field]), None, "{field:?}");
        }
        assert_eq!(response(&[]), None);
        assert_eq!(response(&["permessage-deflate", "="]), None, "one of the fields is malformed");
    }
}
