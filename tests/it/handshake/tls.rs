//! `[listeners.NAME.tls.NAME]`: TLS, and certificates that are renewed while the host serves.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::{SinkExt, StreamExt};
use hassock_tests::{Authority, Raw, TestHost, TlsClient, app, app_with_database, eventually, example, guest, within};
use rustls::version::{TLS12, TLS13};
use serde_json::Value;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;

/// A host with TLS on its only listener, and its certificates.
struct Encrypted {
    host: TestHost,
    authority: Authority,
    folder: TempDir,
}

impl Encrypted {
    /// Certificates for these names; the first one is that for clients without a name.
    async fn start(certificates: &[(&str, &[&str])], apps: &str) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let mut config = "[listeners.public]\naddress = \"127.0.0.1:0\"\n".to_owned();
        for (name, names) in certificates {
            let (certificate, key) = authority.issue(folder.path(), name, names);
            config += &format!(
                "[listeners.public.tls.{name}]\ncertificate = \"{}\"\nkey = \"{}\"\n",
                certificate.display(),
                key.display()
            );
        }
        let host = TestHost::start_as_is(&format!("{config}{apps}")).await;
        Self { host, authority, folder }
    }

    async fn open(&self, name: &str, path: &str) -> TlsClient {
        self.authority.open(&self.host.address(), name, path).await
    }

    /// The certificate that a client gets which asks for a name.
    async fn certificate(&self, name: &str) -> Vec<u8> {
        let stream = self.authority.stream(&self.host.address(), name, rustls::ALL_VERSIONS).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

async fn ask(client: &mut TlsClient, text: &str) -> String {
    client.send(Message::text(text)).await.unwrap();
    within("an answer", client.next()).await.unwrap().unwrap().into_text().unwrap().to_string()
}

/// Both versions of TLS work, in both directions, also for messages that need many records, and the module knows.
#[tokio::test(flavor = "multi_thread")]
async fn clients_may_use_tls() {
    let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    let place = Encrypted::start(&[("one", &["hassock.test"])], &probe).await;
    let address = place.host.address();
    for version in [&TLS12, &TLS13] {
        let stream = place.authority.stream(&address, "hassock.test", &[version]).await.unwrap();
        let used = stream.get_ref().1;
        assert_eq!(used.protocol_version(), Some(version.version));
        let suite = format!("{:?}", used.negotiated_cipher_suite().unwrap().suite());
        assert!(suite.contains("GCM") || suite.contains("CHACHA20"), "{suite}");
    }
    let mut client = place.open("hassock.test", "/probe?open=describe").await;
    let seen: Value = serde_json::from_str(&ask(&mut client, "first").await).unwrap();
    assert_eq!(seen["secure"], true);
    assert_eq!(within("an answer", client.next()).await.unwrap().unwrap().into_text().unwrap(), "first");
    let long = "x".repeat(900_000);
    assert_eq!(ask(&mut client, &long).await, long);
    client.close(None).await.unwrap();
    assert_eq!(place.host.drain().await, 0);
}

/// What is not TLS, or does not finish its handshake, is cut off in time and harms nobody.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_tls_is_cut_off() {
    let echo = format!("{}[limits]\nhandshake_timeout = \"300ms\"\n", app("echo", &example("echo")));
    let place = Encrypted::start(&[("one", &["hassock.test"])], &echo).await;
    let address = place.host.address();
    let mut plain = Raw::connect(&address).await;
    plain.send("GET /echo HTTP/1.1\r\nHost: hassock.test\r\n\r\n").await;
    plain.end().await;
    let mut silent = Raw::connect(&address).await;
    silent.end().await;
    let wrong_name = place.authority.stream(&address, "other.test", rustls::ALL_VERSIONS).await;
    assert!(wrong_name.unwrap_err().to_string().contains("certificate"), "a client checks the name");
    let stranger = Authority::new().stream(&address, "hassock.test", rustls::ALL_VERSIONS).await;
    assert!(stranger.unwrap_err().to_string().contains("certificate"), "it does not know the authority");
    assert_eq!(ask(&mut place.open("hassock.test", "/echo").await, "still there").await, "still there");
}

/// SNI (RFC 6066, section 3): each name gets its certificate, any other name the first one.
#[tokio::test(flavor = "multi_thread")]
async fn each_name_has_its_certificate() {
    let names: [(&str, &[&str]); 3] =
        [("a", &["a.test"]), ("b", &["b.test", "also-b.test"]), ("c", &["*.wild.test", "a.test"])];
    let place = Encrypted::start(&names, &app("echo", &example("echo"))).await;
    let (a, b, c) =
        (place.certificate("a.test").await, place.certificate("b.test").await, place.certificate("x.wild.test").await);
    assert!(a != b && b != c && a != c);
    assert_eq!(place.certificate("also-b.test").await, b);
    assert_eq!(place.certificate("B.Test").await, b);
    let other = place.authority.stream(&place.host.address(), "other.test", rustls::ALL_VERSIONS).await;
    assert!(other.unwrap_err().to_string().contains("certificate"), "it gets one that is not for it");
}

/// A hundred renewals while clients come and talk: no connection is lost, and new ones get the new certificate.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_without_losing_a_connection() {
    let place = Arc::new(Encrypted::start(&[("one", &["hassock.test"])], &app("echo", &example("echo"))).await);
    let first = place.certificate("hassock.test").await;
    let (is_over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut talkers = Vec::new();
    for number in 0..20 {
        let (place, is_over, rounds) = (Arc::clone(&place), Arc::clone(&is_over), Arc::clone(&rounds));
        talkers.push(tokio::spawn(async move {
            let mut lasting = place.open("hassock.test", "/echo").await;
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(ask(&mut lasting, "lasting").await, "lasting");
                let mut short = place.open("hassock.test", "/echo").await;
                let text = number.to_string();
                assert_eq!(ask(&mut short, &text).await, text);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
            assert_eq!(ask(&mut lasting, "at the end").await, "at the end");
        }));
    }
    for _ in 0..100 {
        place.authority.issue(place.folder.path(), "one", &["hassock.test"]);
        assert!(place.host.host.renew_certificates().is_empty());
        let before = rounds.load(Ordering::Relaxed);
        eventually("clients came meanwhile", || async { rounds.load(Ordering::Relaxed) > before }).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for talker in talkers {
        talker.await.unwrap();
    }
    assert_ne!(place.certificate("hassock.test").await, first);
}

/// The host notices new files by itself. A file that cannot be used changes nothing, and the next one that can does.
#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_are_noticed_and_bad_ones_are_not_used() {
    let place = Encrypted::start(&[("one", &["hassock.test"])], &app("echo", &example("echo"))).await;
    let (certificate, key) = (place.folder.path().join("one.crt"), place.folder.path().join("one.key"));
    let first = place.certificate("hassock.test").await;
    for broken in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&certificate, broken).unwrap();
        let error = place.host.host.renew_certificates().pop().unwrap().to_string();
        assert!(error.contains("one.crt"), "{error}");
        assert_eq!(place.certificate("hassock.test").await, first);
    }
    // A key of another certificate.
    let other = Authority::new().issue(&tempfile::tempdir().unwrap().keep(), "x", &["hassock.test"]).1;
    place.authority.issue(place.folder.path(), "one", &["hassock.test"]);
    fs::copy(other, key).unwrap();
    let error = place.host.host.renew_certificates().pop().unwrap().to_string();
    assert!(error.contains("cannot be used together"), "{error}");
    assert_eq!(place.certificate("hassock.test").await, first);
    place.authority.issue(place.folder.path(), "one", &["hassock.test"]);
    eventually("the new certificate", || async { place.certificate("hassock.test").await != first }).await;
}

/// `check` and `serve` say which file of which certificate cannot be used.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_a_problem_of_the_config() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = Authority::new().issue(folder.path(), "one", &["hassock.test"]);
    let start = async |certificate: &std::path::Path, key: &std::path::Path| {
        let files = format!("certificate = \"{}\"\nkey = \"{}\"\n", certificate.display(), key.display());
        let listener = format!("[listeners.public]\naddress = 0\n[listeners.public.tls.one]\n{files}");
        let started = TestHost::try_start_as_is(&format!("{listener}{}", app("echo", &example("echo")))).await;
        started.err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(start(&certificate, &key).await, "");
    let missing = folder.path().join("missing.pem");
    for (certificate, key, expected) in [
        (&missing, &key, "listeners.public.tls.one: cannot read "),
        (&certificate, &missing, "missing.pem: No such file"),
        (&key, &key, "one.key holds no certificate in PEM"),
        (&certificate, &certificate, "one.crt holds no private key in PEM"),
    ] {
        let problem = start(certificate, key).await;
        assert!(problem.contains(expected), "{problem}");
    }
}
