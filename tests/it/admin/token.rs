//! The token: created by the host, and refused as a problem of the config when its file cannot be used.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use hassock::StartError;
use hassock::admin::AdminError;
use hassock_tests::site::lines;
use hassock_tests::{Finished, Site};

use super::*;

/// A site with an admin listener, and an app that could be served.
fn site(admin: &str) -> Site {
    let site = Site::new(&format!("[admin]\nlisten = \"unix:admin.sock\"\n{admin}\n{}", app("m", Path::new("m.wasm"))));
    site.put("m.wasm", marked("v1"));
    site
}

/// Write the token's file with these permissions.
fn put(site: &Site, token: &str, mode: u32) {
    site.put("hassock.token", token);
    fs::set_permissions(site.file("hassock.token"), Permissions::from_mode(mode)).unwrap();
}

fn mode(site: &Site, file: &str) -> u32 {
    fs::metadata(site.file(file)).unwrap().permissions().mode() & 0o7777
}

/// A missing token is created: 32 random bytes, only for the owner. The log says so without showing it. It stays the
/// same from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_token_is_created_and_kept() {
    let site = site("");
    assert_eq!(site.run("check").await.code, Some(0));
    assert!(!site.file("hassock.token").exists(), "`check` created the token");
    let host = site.serve().await;
    let token = fs::read_to_string(site.file("hassock.token")).unwrap();
    assert!(token.trim().len() == 64 && token.trim().bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    assert_eq!(mode(&site, "hassock.token"), 0o600);
    let log = host.stop().await;
    assert_eq!(lines(&log, "created a new token for the admin listener").len(), 1, "{log}");
    assert!(!log.contains(token.trim()), "{log}");
    let host = site.serve().await;
    assert_eq!(fs::read_to_string(site.file("hassock.token")).unwrap(), token);
    let log = host.stop().await;
    assert!(!log.contains("created a new token") && !log.contains(token.trim()), "{log}");
    let other = self::site("");
    other.serve().await.stop().await;
    assert_ne!(fs::read_to_string(other.file("hassock.token")).unwrap(), token);
}

/// An operator may also write the token, and choose its file.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_write_the_token() {
    let site = site("token_file = \"secrets/operator\"");
    fs::create_dir(site.file("secrets")).unwrap();
    site.put("secrets/operator", "  a-secret-of-mine-that-is-long\r\n");
    fs::set_permissions(site.file("secrets/operator"), Permissions::from_mode(0o400)).unwrap();
    let host = site.serve().await;
    let operator = Operator::at(&format!("unix:{}", site.file("admin.sock").display()), &site.file("secrets/operator"));
    assert_eq!(operator.token, "a-secret-of-mine-that-is-long");
    assert_eq!(operator.ask("GET /v1/apps").await.status, 200);
    assert_eq!(site.run("module list").await.code, Some(0));
    host.stop().await;
}

/// `serve` refuses the token with 78 and the line of the config, and `check` says the same. Nothing listens, and the
/// token is not shown.
async fn is_refused(site: &Site, key: &str, words: &[&str]) {
    let (served, checked) = (site.run("serve").await, site.run("check").await);
    let listed = site.run("check --json").await;
    assert_eq!((served.code, checked.code, listed.code), (Some(78), Some(78), Some(78)), "{served:?}");
    assert_eq!((served.stdout.as_str(), checked.stderr.as_str()), ("", "1 problem\n"));
    let problem = checked.stdout.trim_end();
    assert!(served.stderr.lines().any(|line| line == problem), "`{problem}` is not in {}", served.stderr);
    assert!(problem.starts_with(&format!("hassock.toml:{key}: ")), "{problem}");
    let list: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((list.len(), &list[0]["key"]), (1, &json!("admin.token_file")));
    for word in words {
        assert!(problem.contains(word), "`{word}` is not in {problem}");
    }
    for Finished { stdout, stderr, .. } in [&served, &checked, &listed] {
        assert!(!stdout.contains("0123456789abc") && !stderr.contains("0123456789abc"), "the token is shown");
    }
    assert!(!site.file("admin.sock").exists());
}

/// A token file that others could read or change, that belongs to another user, or that has no token, is a problem of
/// the config.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_file_is_a_problem_of_the_config() {
    const GOOD: &str = "0123456789abcdef";
    let site = site("");
    // Line 3 is `[admin]`: there is no key `token_file` with a line of its own.
    let key = "3: admin.token_file";
    for (mode, shown) in [(0o640, "mode 0640"), (0o604, "mode 0604"), (0o620, "mode 0620")] {
        put(&site, GOOD, mode);
        is_refused(&site, key, &["hassock.token: has mode", shown, "`chmod 600` it"]).await;
    }
    for none in ["", "\n", "0123456789abcde", "0123456789abcdef 0", "0123456789abcdef\n0"] {
        put(&site, none, 0o600);
        is_refused(&site, key, &["hassock.token: does not contain a token", "16 to 4096 printable"]).await;
    }
    // Only root may change the owner of a file, and hosts of other users accept root's files.
    put(&site, GOOD, 0o600);
    if chown(site.file("hassock.token"), Some(1), None).is_ok() {
        is_refused(&site, key, &["hassock.token: belongs to the user 1", "`chown 0` it"]).await;
    }
    fs::remove_file(site.file("hassock.token")).unwrap();
    fs::create_dir(site.file("hassock.token")).unwrap();
    is_refused(&site, key, &["hassock.token: is not a regular file"]).await;
}

/// If the config has the key `token_file`, the problem is on its line. The file behind a link is checked, not the link.
#[tokio::test(flavor = "multi_thread")]
async fn the_problem_is_on_the_line_of_the_key() {
    let site = site("token_file = \"link\"");
    put(&site, "0123456789abcdef", 0o644);
    symlink("hassock.token", site.file("link")).unwrap();
    is_refused(&site, "5: admin.token_file", &["link: has mode 0644"]).await;
}

/// A token that cannot be created is a problem too, but only at the start: `check` creates nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_created_is_a_problem() {
    let module = module_file(&marked("v1"));
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"no/such/folder/token\"\n";
    let Err(refused) = TestHost::try_start(&format!("{admin}{}", app("m", module.path()))).await else {
        panic!("the host starts without a token");
    };
    let StartError::Admin(AdminError::Problem(problem)) = refused else { panic!("{refused}") };
    assert_eq!((problem.key.as_str(), problem.line), ("admin.token_file", Some(4)));
    assert!(problem.message.contains("no/such/folder/token: is missing and cannot be created"), "{problem}");
}
