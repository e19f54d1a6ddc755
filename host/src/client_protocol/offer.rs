//! What a client offers in its handshake: the protocol, and what it has from before.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{ClientToken, NAME, Position};

/// What a client knows from a connection before this one. It comes as another subprotocol, because a browser lets a page set
/// nothing else but the address, which is written to logs: `hassock.v1.` and base64url of JSON, without padding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ClientState {
    /// The position up to which the client has the messages of a topic.
    #[serde(default)]
    pub(crate) since: BTreeMap<String, Position>,
    /// The token of that connection. A text that is none is one that the host does not know.
    pub(crate) resume: Option<String>,
    /// How many messages the client has received on that connection.
    #[serde(default)]
    pub(crate) received: u64,
    /// A token, for the host alone.
    #[serde(default)]
    pub(crate) token: Option<ClientToken>,
}

/// The subprotocols that a client offers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Those for the module.
    pub(crate) subprotocols: Vec<String>,
    /// If the client speaks the protocol of the host.
    pub(crate) state: Option<ClientState>,
}

/// Tell the protocol of the host from the subprotocols for the module.
///
/// # Errors
/// If the client offers the protocol with a state that cannot be read. The text says what is wrong.
pub(crate) fn offered(mut subprotocols: Vec<String>) -> Result<Offer, String> {
    if !subprotocols.iter().any(|offered| offered == NAME) {
        return Ok(Offer { subprotocols, state: None });
    }
    let mut state = ClientState::default();
    for offered in &subprotocols {
        if let Some(encoded) = encoded_state(offered) {
            let json = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|error| unreadable(&error.to_string()))?;
            state = serde_json::from_slice(&json).map_err(|error| unreadable(&error.to_string()))?;
        }
    }
    subprotocols.retain(|offered| offered != NAME && encoded_state(offered).is_none());
    Ok(Offer { subprotocols, state: Some(state) })
}

fn encoded_state(offered: &str) -> Option<&str> {
    offered.strip_prefix(NAME)?.strip_prefix('.')
}

fn unreadable(error: &str) -> String {
    format!("the subprotocol `{NAME}.…` is `{NAME}.` and base64url of JSON, without padding: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(json: &str) -> Vec<String> {
        vec!["chat".to_owned(), NAME.to_owned(), format!("{NAME}.{}", BASE64_URL_SAFE_NO_PAD.encode(json))]
    }

    #[test]
    fn the_module_sees_its_own_subprotocols() {
        let raw = vec!["chat".to_owned(), "hassock.v10".to_owned()];
        assert_eq!(offered(raw.clone()), Ok(Offer { subprotocols: raw, state: None }));
        let offer = offered(state("{\"since\":{\"room:1\":\"a-7\"},\"later\":1}")).unwrap();
        assert_eq!(offer.subprotocols, ["chat"]);
        let since = BTreeMap::from([("room:1".to_owned(), Position { epoch: 10, offset: 7 })]);
        assert_eq!(offer.state, Some(ClientState { since, ..ClientState::default() }));
        let offer = offered(state("{\"resume\":\"17-ab\",\"received\":3}")).unwrap();
        let resume = Some("17-ab".to_owned());
        assert_eq!(offer.state, Some(ClientState { resume, received: 3, ..ClientState::default() }));
        let token = offered(state("{\"token\":\"a.b.c\"}")).unwrap().state.unwrap().token;
        assert_eq!(token.unwrap().expose(), "a.b.c");
    }

    #[test]
    fn a_state_that_cannot_be_read_is_an_error() {
        for json in ["", "[]1", "{\"since\":[]}", "{\"since\":{\"a\":\"b\"}}"] {
            let error = offered(state(json)).unwrap_err();
            assert!(error.contains("base64url of JSON"), "{error}");
        }
        assert!(offered(vec![NAME.to_owned(), format!("{NAME}.=")]).is_err());
    }
}
