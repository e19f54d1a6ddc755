//! The request for a WebSocket.

use serde::Deserialize;

use crate::{Context, Result};

/// The HTTP request that asks for a WebSocket.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) remote_address: String,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) secure: bool,
    pub(crate) claims: Option<String>,
}

impl Request {
    /// The path, percent-encoded as received, without the query: `/chat`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The part after the `?`, percent-encoded as received; `None` if there was no `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The first value of a parameter of the query, decoded: `%C3%A9` is `é`, `+` is a space, and a
    /// parameter without `=` is empty. Bytes that are not UTF-8 become `U+FFFD`.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.query()?.as_bytes());
        pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The value of the first header field with that name, ignoring case. Fields that are not UTF-8 are left out.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The names, in lower case, and values of all header fields, in the order in which they arrived.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a cookie, as received: this is how a site's session reaches the module.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let fields = self.headers().filter(|(header, _)| *header == "cookie");
        let mut pairs = fields.flat_map(|(_, field)| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(cookie, _)| *cookie == name).map(|(_, value)| value)
    }

    /// The `Origin` header: the site of the page that asks. Browsers always send the true one; other clients can send
    /// anything.
    pub fn origin(&self) -> Option<&str> {
        self.header("origin")
    }

    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// The address and port of the client: `192.0.2.7:50412` or `[2001:db8::1]:50412`. Behind a proxy that the host trusts, what the
    /// proxy says, which is often without a port: `192.0.2.7`. `unix` for a program that uses a Unix socket.
    pub fn remote_address(&self) -> &str {
        &self.remote_address
    }

    /// Whether the client used TLS, to the host itself or to a proxy that the host trusts.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// What the client's token says, as the application's own type; `None` if it has shown none. The host has verified the token
    /// as the app's config demands (`[apps.NAME.auth]`), so the claims can be trusted.
    ///
    /// ```no_run
    /// # use hassock_sdk::prelude::*;
    /// #[derive(serde::Deserialize)]
    /// struct Claims {
    ///     sub: String,
    ///     #[serde(default)]
    ///     admin: bool,
    /// }
    ///
    /// # #[derive(Default)]
    /// # struct Chat;
    /// # impl Handler for Chat {
    /// # type Message<'a> = MessageRef<'a>;
    /// fn on_open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
    ///     let Some(claims) = request.claims::<Claims>()? else {
    ///         // A browser hides the status of a handshake from its page, but not the code of a close.
    ///         connection.close(4401, "log in first")?;
    ///         return Ok(Acceptance::new());
    ///     };
    ///     // …
    /// #    let _ = (claims.sub, claims.admin);
    ///     Ok(Acceptance::new())
    /// }
    /// #     fn on_message(&self, _: Connection, _: MessageRef<'_>) -> Result<()> { Ok(()) }
    /// # }
    /// ```
    ///
    /// # Errors
    /// `serde_json::Error` if the claims are not of that type.
    pub fn claims<'a, T: Deserialize<'a>>(&'a self) -> Result<Option<T>> {
        let claims = self.claims.as_deref().map(serde_json::from_str).transpose();
        claims.context("the claims of the token are not as expected")
    }

    /// The same as text: the JSON object that the token has.
    pub fn claims_text(&self) -> Option<&str> {
        self.claims.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: Option<&str>, headers: &[(&str, &str)]) -> Request {
        Request {
            path: "/chat".into(),
            query: query.map(Into::into),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            remote_address: "192.0.2.7:50412".into(),
            subprotocols: Vec::new(),
            secure: false,
            claims: None,
        }
    }

    #[test]
    fn queries_are_decoded() {
        let request = request(Some("room=caf%C3%A9+1&na%6De=a%2Bb&flag&bad=100%&x=%zz%4&room=second"), &[]);
        let value = |name| request.query_value(name);
        assert_eq!(value("room").as_deref(), Some("café 1"));
        assert_eq!(value("name").as_deref(), Some("a+b"));
        assert_eq!(value("flag").as_deref(), Some(""));
        assert_eq!(value("bad").as_deref(), Some("100%"));
        assert_eq!(value("x").as_deref(), Some("%zz%4"));
        assert_eq!(value("none"), None);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let request = request(Some("a=a%ffb&b=é%"), &[]);
        assert_eq!(request.query_value("a").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(request.query_value("b").as_deref(), Some("é%"));
    }

    #[test]
    fn claims_are_read_as_a_type() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Claims<'a> {
            sub: &'a str,
        }
        let mut request = request(None, &[]);
        assert_eq!(request.claims::<Claims<'_>>().unwrap(), None);
        request.claims = Some("{\"sub\":\"u7\",\"exp\":1}".to_owned());
        assert_eq!(request.claims::<Claims<'_>>().unwrap(), Some(Claims { sub: "u7" }));
        assert_eq!(request.claims_text(), Some("{\"sub\":\"u7\",\"exp\":1}"));
        let error = request.claims::<Vec<u8>>().unwrap_err();
        assert!(error.is::<serde_json::Error>(), "{error:?}");
    }

    #[test]
    fn no_query_has_no_values() {
        assert_eq!(request(None, &[]).query_value("room"), None);
        assert_eq!(request(Some(""), &[]).query_value("room"), None);
    }

    #[test]
    fn headers_and_cookies_are_found() {
        let request =
            request(None, &[("origin", "https://a.example"), ("cookie", "a=1; session=x=y"), ("cookie", "b=2")]);
        assert_eq!(request.header("Origin"), Some("https://a.example"));
        assert_eq!(request.origin(), Some("https://a.example"));
        assert_eq!(request.cookie("session"), Some("x=y"));
        assert_eq!(request.cookie("b"), Some("2"));
        assert_eq!(request.cookie("c"), None);
    }
}
