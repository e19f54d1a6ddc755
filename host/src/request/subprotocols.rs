//! The subprotocols that a client offers (RFC 6455, section 4.1).

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_PROTOCOL;

/// What the fields `Sec-WebSocket-Protocol` of a request offer, in the client's order. A field that is not text offers
/// nothing, and neither does an empty element of a list (RFC 9110, section 5.6.1.2).
pub(crate) fn offered(headers: &HeaderMap) -> Vec<String> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let texts = lists.filter_map(|list| std::str::from_utf8(list.as_bytes()).ok());
    let items = texts.flat_map(|list| list.split(',')).map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn all_fields_are_one_list() {
        let mut headers = HeaderMap::new();
        assert!(offered(&headers).is_empty());
        for list in [" chat.v2 ,chat.v1", "", " , ,\t,", "other"] {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(list));
        }
        headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(offered(&headers), ["chat.v2", "chat.v1", "other"]);
    }
}
