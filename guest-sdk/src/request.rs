//! The request for a WebSocket.

use crate::bindings::hassock::host::types;

/// The HTTP request that asks for a WebSocket.
#[derive(Clone, Debug)]
pub struct Request(types::Request);

impl Request {
    /// The path, percent-encoded as it came, without the query: `/chat`.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What followed the `?`, percent-encoded as it came; `None` if there was no `?`.
    pub fn query(&self) -> Option<&str> {
        self.0.query.as_deref()
    }

    /// The first value of a parameter of the query, decoded: `%C3%A9` is `é`, `+` is a space, and a
    /// parameter without `=` is empty. Bytes that are not UTF-8 become `U+FFFD`.
    pub fn query_value(&self, name: &str) -> Option<String> {
        query_value(self.query()?, name)
    }

    /// The first header field of that name, in any case. A field that is not UTF-8 is not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All header fields as names, in lower case, and values, in the order in which they came.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a cookie, as it came: this is how a site's session reaches the module.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let fields = self.headers().filter(|(header, _)| *header == "cookie");
        let mut pairs = fields.flat_map(|(_, field)| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(cookie, _)| *cookie == name).map(|(_, value)| value)
    }

    /// The `Origin` header: the site whose page asks. Only browsers tell it, and they tell it truly.
    pub fn origin(&self) -> Option<&str> {
        self.header("origin")
    }

    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> &[String] {
        &self.0.subprotocols
    }

    /// Address and port of the peer of the TCP connection: `192.0.2.7:50412` or `[2001:db8::1]:50412`.
    pub fn remote_address(&self) -> &str {
        &self.0.remote_address
    }

    /// Whether the client reached the host through TLS.
    pub fn secure(&self) -> bool {
        self.0.secure
    }
}

impl From<types::Request> for Request {
    fn from(request: types::Request) -> Self {
        Self(request)
    }
}

fn query_value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(key, _)| decode(key) == name).map(|(_, value)| decode(value))
}

/// `application/x-www-form-urlencoded`, as browsers write queries. A `%` without two digits stands for itself.
fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, hex_pair(tail)) {
            (b'%', Some(escaped)) => escaped,
            (b'+', _) => (b' ', tail),
            _ => (first, tail),
        };
        decoded.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_pair(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], rest) = bytes.split_first_chunk()?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: Option<&str>, headers: &[(&str, &str)]) -> Request {
        Request(types::Request {
            path: "/chat".into(),
            query: query.map(Into::into),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            remote_address: "192.0.2.7:50412".into(),
            subprotocols: Vec::new(),
            secure: false,
        })
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
        assert_eq!(decode("a%ffb"), "a\u{fffd}b");
        assert_eq!(decode("é%"), "é%");
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
