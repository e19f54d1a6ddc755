//! Where a request has its token.

use crate::client_protocol;
use crate::config::TokenPlace;

/// How a subprotocol begins that is a token: a browser lets a page set nothing else but the address.
const OFFERED: &str = "hassock.token.";

/// What a page offers beside its token, so that the host can choose something: a browser does not accept an answer that chooses
/// nothing, and the token itself does not belong into one.
pub(crate) const CHOICE: &str = "hassock.token";

/// What a request has beside its address and its header fields.
pub(crate) struct Presented<'a> {
    /// The query of the address.
    pub(crate) query: Option<&'a str>,
    /// The header fields, with names in lower case.
    pub(crate) headers: &'a [(String, String)],
    /// The subprotocols that are offered. A token among them is taken away.
    pub(crate) subprotocols: &'a mut Vec<String>,
    /// The token in the state of a client of `hassock.v1`.
    pub(crate) state: Option<String>,
}

/// The token of a request: that of the first place that has one. An empty one is none.
pub(crate) fn find(places: &[TokenPlace], mut presented: Presented<'_>) -> Option<String> {
    // The module is not to see it, whichever place counts.
    let offered = match places.contains(&TokenPlace::Subprotocol) {
        true => take_offered(presented.subprotocols),
        false => None,
    };
    let subprotocol = presented.state.take().or(offered);
    let of = |place: &TokenPlace| match place {
        TokenPlace::Header => fields(presented.headers, "authorization").find_map(bearer).map(str::to_owned),
        TokenPlace::Query(name) => parameter(presented.query.unwrap_or_default(), name),
        TokenPlace::Cookie(name) => cookie(presented.headers, name).map(str::to_owned),
        TokenPlace::Subprotocol => subprotocol.clone(),
    };
    places.iter().find_map(|place| of(place).filter(|token| !token.is_empty()))
}

/// Take tokens out of the header fields of a request: those among its subprotocols, and the state of a client of `hassock.v1`,
/// which may have one.
pub(crate) fn strip(headers: &mut [(String, String)]) {
    let is_secret = |offer: &str| {
        offer == CHOICE
            || offer.starts_with(OFFERED)
            || offer.strip_prefix(client_protocol::NAME).is_some_and(|rest| rest.starts_with('.'))
    };
    for (_, value) in headers.iter_mut().filter(|(name, _)| name == "sec-websocket-protocol") {
        let kept = value.split(',').map(str::trim).filter(|offer| !is_secret(offer));
        *value = kept.collect::<Vec<_>>().join(", ");
    }
}

fn take_offered(subprotocols: &mut Vec<String>) -> Option<String> {
    let token = subprotocols.iter().find_map(|offered| offered.strip_prefix(OFFERED)).map(str::to_owned);
    subprotocols.retain(|offered| offered != CHOICE && !offered.starts_with(OFFERED));
    token
}

fn fields<'a>(headers: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
}

/// RFC 6750, section 2.1. The name of the scheme may have capital letters.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn cookie<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let pairs = fields(headers, "cookie").flat_map(|field| field.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(cookie, _)| *cookie == name).map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in(
        places: &[&str],
        query: Option<&str>,
        headers: &[(&str, &str)],
        offers: &[&str],
    ) -> (Option<String>, Vec<String>) {
        let places: Vec<TokenPlace> = places.iter().map(|place| place.parse().unwrap()).collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut subprotocols = offers.iter().map(|offer| (*offer).to_owned()).collect();
        let presented = Presented { query, headers: &headers, subprotocols: &mut subprotocols, state: None };
        (find(&places, presented), subprotocols)
    }

    #[test]
    fn the_first_place_that_has_a_token_counts() {
        let places = ["header", "query:t", "cookie:c", "subprotocol"];
        let all = [("authorization", "bearer  a"), ("cookie", "x=1; c=\"c\"")];
        for (query, headers, offers, expected) in [
            (Some("t=b"), &all[..], &["hassock.token.d"][..], Some("a")),
            (Some("s=1&t=b%2e"), &all[1..], &["hassock.token.d"], Some("b.")),
            (None, &all[1..], &["hassock.token.d"], Some("c")),
            (None, &[], &["chat", "hassock.token.d"], Some("d")),
            (Some("T=b"), &[("authorization", "Basic a"), ("cookie", "cc=1")], &["chat"], None),
            (Some("t="), &[("authorization", "Bearer")], &[], None),
        ] {
            assert_eq!(
                find_in(&places, query, headers, offers).0.as_deref(),
                expected,
                "{query:?} {headers:?} {offers:?}"
            );
        }
    }

    #[test]
    fn a_token_among_the_subprotocols_is_taken_away() {
        let offers = ["chat", "hassock.token.a", "hassock.token.b"];
        let (token, left) = find_in(&["header", "subprotocol"], None, &[("authorization", "Bearer x")], &offers);
        assert_eq!((token.as_deref(), left), (Some("x"), vec!["chat".to_owned()]));
        let (token, left) = find_in(&["header"], None, &[], &offers);
        assert_eq!((token, left.len()), (None, 3), "it is not a place");
        let mut headers = [(
            "sec-websocket-protocol".to_owned(),
            "chat, hassock.token.a,other, hassock.v1, hassock.v1.e30".to_owned(),
        )];
        strip(&mut headers);
        assert_eq!(headers[0].1, "chat, other, hassock.v1");
    }
}
