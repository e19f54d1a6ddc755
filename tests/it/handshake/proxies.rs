//! `trusted_proxies`: what a proxy says about clients counts, and what anyone else says does not.

use futures_util::StreamExt;
use hassock_tests::raw::upgrade_with;
use hassock_tests::{Raw, TestHost, app_with_database, guest, within};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const DESCRIBE: &str = "/probe?open=describe";

/// A header of the PROXY protocol, version 2, for a client of IPv4 or IPv6; with TLS it has a field that says so.
fn proxy_header(source: &str, is_secure: bool) -> Vec<u8> {
    let source: std::net::SocketAddr = source.parse().unwrap();
    let (family, address) = match source.ip() {
        std::net::IpAddr::V4(ip) => (0x11, ip.octets().to_vec()),
        std::net::IpAddr::V6(ip) => (0x21, ip.octets().to_vec()),
    };
    let ports = [source.port().to_be_bytes(), 443_u16.to_be_bytes()].concat();
    let mut rest = [address.clone(), address, ports].concat();
    if is_secure {
        rest.extend([0x20, 0, 5, 1, 0, 0, 0, 0]);
    }
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x21, family], &length, &rest].concat()
}

async fn host(config: &str) -> TestHost {
    let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    TestHost::start(&format!("{config}{probe}")).await
}

/// What the module sees of a client at a source address that sends these header fields.
async fn seen(host: &TestHost, source: &str, fields: &str) -> (String, bool) {
    let mut raw = Raw::connect_from(source, &host.address()).await;
    raw.send(upgrade_with(DESCRIBE, fields)).await;
    raw.accepted().await;
    described(&raw.text().await)
}

fn described(text: &str) -> (String, bool) {
    let seen: Value = serde_json::from_str(text).unwrap();
    (seen["remote"].as_str().unwrap().to_owned(), seen["secure"].as_bool().unwrap())
}

/// Only a trusted proxy may say who the client is.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_says_who_the_client_is() {
    let fields = "X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.8;proto=http\r\n";
    let host = host("trusted_proxies = [\"127.0.0.2\", \"127.1.0.0/16\"]\n").await;
    for proxy in ["127.0.0.2", "127.1.2.3"] {
        assert_eq!(seen(&host, proxy, fields).await, ("192.0.2.7".to_owned(), true), "{proxy}");
    }
    let (remote, is_secure) = seen(&host, "127.0.0.3", fields).await;
    assert!(remote.starts_with("127.0.0.3:") && !is_secure, "{remote}");
    let chain = "X-Forwarded-For: 2001:db8::1, 127.1.2.3\r\nX-Forwarded-Proto: http\r\n";
    assert_eq!(seen(&host, "127.0.0.2", chain).await, ("2001:db8::1".to_owned(), false));
    let (remote, _) = seen(&host, "127.0.0.2", "").await;
    assert!(remote.starts_with("127.0.0.2:"), "{remote}");
}

/// `forwarded_header`: the fields of the other kind do not count, because a proxy passes on what a client wrote.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_the_proxy_does_not_write_does_not_count() {
    let fields = "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=\"[2001:db8::7]:1234\";proto=https\r\n";
    let trusted = "trusted_proxies = [\"127.0.0.1\"]\n";
    let x_forwarded = host(trusted).await;
    assert_eq!(seen(&x_forwarded, "127.0.0.1", fields).await, ("192.0.2.7".to_owned(), false));
    let forwarded = host(&format!("{trusted}forwarded_header = \"forwarded\"\n")).await;
    assert_eq!(seen(&forwarded, "127.0.0.1", fields).await, ("[2001:db8::7]:1234".to_owned(), true));
}

/// `connections_per_address` counts clients: a proxy has as many connections as it has clients, and none of them has more
/// for writing header fields of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_for_each_address_counts_clients() {
    let host = host("trusted_proxies = [\"127.0.0.1\"]\n[limits]\nconnections_per_address = 2\n").await;
    let ask = async |source: &str, fields: &str| {
        let mut raw = Raw::connect_from(source, &host.address()).await;
        raw.send(upgrade_with("/probe", fields)).await;
        let answer = raw.answer().await;
        (raw, answer.status, answer.body)
    };
    let mut open = Vec::new();
    for number in 0..10 {
        for _ in 0..2 {
            let (raw, status, _) = ask("127.0.0.1", &format!("X-Forwarded-For: 192.0.2.{number}\r\n")).await;
            assert_eq!(status, 101, "192.0.2.{number}");
            open.push(raw);
        }
        let (_, status, body) = ask("127.0.0.1", &format!("X-Forwarded-For: 1.2.3.4, 192.0.2.{number}\r\n")).await;
        assert_eq!((status, body.as_str()), (429, "too many connections from your network address\n"));
    }
    // What the client writes before that, or what cannot be read, does not help.
    for fields in
        ["X-Forwarded-For: \u{e9}, 192.0.2.1\r\n", "X-Forwarded-For: \u{e9}\r\nX-Forwarded-For: 192.0.2.1\r\n"]
    {
        assert_eq!(ask("127.0.0.1", fields).await.1, 429, "{fields}");
    }
    // Those for which the proxy names nobody count together.
    for (fields, status) in [("", 101), ("X-Forwarded-For: unknown\r\n", 101), ("X-Forwarded-For: \u{e9}\r\n", 429)] {
        let (raw, answered, _) = ask("127.0.0.1", fields).await;
        assert_eq!(answered, status, "{fields}");
        open.push(raw);
    }
    // A client that is not behind the proxy has its own bound, whatever it writes.
    for number in 0..2 {
        let (raw, status, _) = ask("127.0.0.5", &format!("X-Forwarded-For: 203.0.113.{number}\r\n")).await;
        assert_eq!(status, 101);
        open.push(raw);
    }
    let mut third = Raw::connect_from("127.0.0.5", &host.address()).await;
    let _ = third.try_send(&upgrade_with("/probe", "X-Forwarded-For: 203.0.113.9\r\n")).await;
    assert_eq!(third.answer().await.status, 429);
    assert_eq!(host.host.connections(), 24);
}

/// The PROXY protocol, version 2, with both families. A connection without a header, or from another address, is closed.
#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_protocol_names_the_client() {
    let listener =
        "trusted_proxies = [\"127.0.0.1\"]\n[listeners.proxied]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n";
    let limits = "[limits]\nconnections_per_address = 2\nhandshake_timeout = \"500ms\"\n";
    let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    let host = TestHost::start_as_is(&format!("{listener}{limits}{probe}")).await;
    let connect = async |source: &str, bytes: &[u8]| {
        let mut raw = Raw::connect_from(source, &host.address()).await;
        let _ = raw.try_send(bytes).await;
        raw
    };
    let request = upgrade_with(DESCRIBE, "X-Forwarded-For: 9.9.9.9\r\n");
    let mut open = Vec::new();
    for (source, is_secure) in [("192.0.2.7:50412", false), ("[2001:db8::7]:50412", true)] {
        for _ in 0..2 {
            let header = proxy_header(source, is_secure);
            let mut raw = connect("127.0.0.1", &[header, request.clone().into_bytes()].concat()).await;
            raw.accepted().await;
            assert_eq!(described(&raw.text().await), (source.to_owned(), is_secure));
            open.push(raw);
        }
        let mut third = connect("127.0.0.1", &proxy_header(source, is_secure)).await;
        assert_eq!(third.answer().await.status, 429, "{source}");
    }
    // A client without an address cannot name another one.
    let unknown = [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x21, 0, 0, 0], request.as_bytes()].concat();
    for _ in 0..2 {
        let mut raw = connect("127.0.0.1", &unknown).await;
        raw.accepted().await;
        assert!(described(&raw.text().await).0.starts_with("127.0.0.1:"));
        open.push(raw);
    }
    assert_eq!(connect("127.0.0.1", &unknown).await.answer().await.status, 429);
    for (source, bytes) in [
        ("127.0.0.2", [proxy_header("192.0.2.8:1", false), request.clone().into_bytes()].concat()),
        ("127.0.0.1", request.clone().into_bytes()),
        ("127.0.0.1", b"PROXY TCP4 192.0.2.8 192.0.2.9 1 2\r\n".to_vec()),
        ("127.0.0.1", proxy_header("192.0.2.8:1", false)[..20].to_vec()),
        ("127.0.0.1", Vec::new()),
    ] {
        assert_eq!(connect(source, &bytes).await.end().await, []);
    }
}

/// Programs that can connect to a Unix socket may be proxies too.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_may_use_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let listen = format!("listen = \"unix:{}\"\ntrusted_proxies = [\"unix\"]\n", path.display());
    let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    let _host = TestHost::start_as_is(&format!("{listen}{probe}")).await;
    let mut request = format!("ws://hassock.test{DESCRIBE}").into_client_request().unwrap();
    request.headers_mut().insert("x-forwarded-for", "192.0.2.7".parse().unwrap());
    request.headers_mut().insert("x-forwarded-proto", "https".parse().unwrap());
    let stream = UnixStream::connect(&path).await.unwrap();
    let (mut client, _) = within("the handshake", client_async(request, stream)).await.unwrap();
    let text = within("a message", client.next()).await.unwrap().unwrap();
    assert_eq!(described(text.to_text().unwrap()), ("192.0.2.7".to_owned(), true));
}

/// Reading the config again may trust other proxies, for new connections.
#[tokio::test(flavor = "multi_thread")]
async fn the_trusted_proxies_can_change() {
    let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    let host = TestHost::start(&probe).await;
    let fields = "X-Forwarded-For: 192.0.2.7\r\n";
    assert!(seen(&host, "127.0.0.1", fields).await.0.starts_with("127.0.0.1:"));
    let report = host.reload(&format!("trusted_proxies = [\"127.0.0.1\"]\n{probe}")).await.unwrap();
    assert!(report.changes.contains(&"other proxies are trusted".to_owned()), "{report:?}");
    assert_eq!(seen(&host, "127.0.0.1", fields).await.0, "192.0.2.7");
}
