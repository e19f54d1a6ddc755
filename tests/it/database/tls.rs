//! Encrypted sessions with MariaDB.

use hassock_tests::{Certificates, MariaDb, TestHost, app_with_database, guest};
use serde_json::json;

/// A config with the `probe` module and a database.
fn config(url: &str) -> String {
    app_with_database("probe", &guest("probe"), url)
}

/// The cipher of the session of a host, empty without one.
async fn cipher(url: &str) -> String {
    let host = TestHost::start(&config(url)).await;
    let mut client = host.connect("/probe").await;
    let rows = client.query("SHOW STATUS LIKE 'Ssl_cipher'", json!([])).await;
    rows[0][1]["text"].as_str().unwrap_or_else(|| panic!("no cipher: {rows}")).to_owned()
}

/// Why a host does not start with a database at `url`. Its module is missing too, because compiling one would take longer.
async fn start_error(url: &str) -> String {
    let module = guest("probe").display().to_string();
    match TestHost::try_start(&config(url).replace(&module, "missing.wasm")).await {
        Ok(_) => panic!("the host starts"),
        Err(error) => error.to_string(),
    }
}

/// `ssl-mode`: the server has to have a certificate that the given authority has signed, for its name if that counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_encrypted_with_the_server_that_is_meant() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let server = MariaDb::start_with_tls(&certificates).await;
    let plain = server.database().await;
    let url = |mode: &str, trusted: &Certificates| {
        format!("{plain}?ssl-mode={mode}&ssl-ca={}", trusted.authority().display())
    };
    // The certificate is for `127.0.0.1`.
    let elsewhere = |url: String| url.replace("127.0.0.1", "localhost");
    for url in [
        url("VERIFY_IDENTITY", &certificates),
        url("VERIFY_CA", &certificates),
        elsewhere(url("VERIFY_CA", &certificates)),
        url("REQUIRED", &others),
    ] {
        assert_ne!(cipher(&url).await, "", "{url}");
    }
    assert_eq!(cipher(&format!("{plain}?ssl-mode=DISABLED")).await, "");
    for (url, hint) in [
        (url("VERIFY_IDENTITY", &others), "UnknownIssuer"),
        (url("VERIFY_CA", &others), "UnknownIssuer"),
        (elsewhere(url("VERIFY_IDENTITY", &certificates)), "not valid for name"),
    ] {
        let error = start_error(&url).await;
        for part in ["databases.main.url", "no TLS with ", "certificate", hint, "`ssl-ca`"] {
            assert!(error.contains(part), "{url}: {error}");
        }
    }
    // A server without TLS.
    let bare = MariaDb::shared().await.database().await;
    let error = start_error(&format!("{bare}?ssl-mode=VERIFY_CA&ssl-ca={}", certificates.authority().display())).await;
    assert!(error.contains("no TLS with ") && error.contains("does not support TLS"), "{error}");
}
