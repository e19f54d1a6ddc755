//! What a config says and does not say: `hassock config`, and the warnings of `check`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hassock_tests::{app, example, hassock};
use serde_json::Value;
use tempfile::TempDir;

fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hassock.toml");
    fs::write(&file, format!("{config}{}", app("echo", &example("echo")))).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    folder
}

/// The keys of the warnings that `check` gives, with their texts.
async fn warnings(folder: &Path) -> Vec<(String, String)> {
    let finished = hassock(folder, ["check", "--json"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let list: Vec<Value> = serde_json::from_str(&finished.stdout).unwrap();
    let lines = hassock(folder, ["check"]).await;
    assert_eq!((lines.code, lines.stdout.as_str()), (Some(0), "no problems\n"));
    assert_eq!(lines.stderr.lines().filter(|line| line.starts_with("warning: hassock.toml")).count(), list.len());
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    list.iter().map(|entry| (text(entry, "key"), text(entry, "message"))).collect()
}

/// Every key is there with its value, and with the line or as a default. No secret is.
#[tokio::test(flavor = "multi_thread")]
async fn the_config_in_effect_is_printed() {
    let folder = folder("listen = 8123\n[databases.main]\nurl = \"sqlite://user:hunter2@file.db\"\n");
    let finished = hassock(folder.path(), ["config"]).await;
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
    let find = |key: &str| finished.stdout.lines().find(|line| line.split(' ').next() == Some(key)).unwrap_or_default();
    for (key, rest) in [
        ("listen", "8123  (line 1)"),
        ("databases.main.url", "\"sqlite://…@file.db\"  (line 3)"),
        ("limits.drain_window", "\"2s\"  (default)"),
        ("apps.echo.path", "\"/echo\"  (line 5)"),
        ("apps.echo.limits.cpu_time", "\"1s\"  (default)"),
        ("hosts", "–  (default)"),
    ] {
        assert!(find(key).ends_with(&format!(" {rest}")), "{key}: {}", finished.stdout);
    }
    let json = hassock(folder.path(), ["config", "--json"]).await;
    let list: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(list.len(), finished.stdout.lines().count());
    assert!(!format!("{}{}", json.stdout, finished.stdout).contains("hunter2"));
    fs::write(folder.path().join("hassock.toml"), "listen = \"nowhere\"\n").unwrap();
    let wrong = hassock(folder.path(), ["config"]).await;
    assert!(wrong.code == Some(78) && wrong.stderr.contains("hassock.toml:1: listen: "), "{wrong:?}");
}

/// What can be served and will hurt is a warning with its key and what to do, and only that.
#[tokio::test(flavor = "multi_thread")]
async fn what_will_hurt_is_a_warning() {
    let good = "hosts = [\"chat.example.org\"]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    assert_eq!(warnings(folder(good).path()).await, []);
    let admin = "[admin]\nlisten = \"unix:admin.sock\"\n";
    assert_eq!(warnings(folder(&format!("{good}{admin}")).path()).await, []);
    let password = "[databases.main]\nurl = \"sqlite://user:hunter2@file.db\"\n";
    let token = "[api.tokens.a]\ntoken = \"0123456789abcdef\"\napps = \"*\"\nscopes = [\"send\"]\n";
    for (config, key, words) in [
        ("trusted_proxies = [\"127.0.0.1\"]\n".to_owned(), "hosts", "`hosts = [\"chat.example.org\"]`"),
        ("hosts = [\"chat.example.org\"]\n".to_owned(), "trusted_proxies", "a proxy is probably in front"),
        (format!("{good}[admin]\nlisten = \"127.0.0.1:0\"\n"), "admin.listen", "`listen = \"unix:admin.sock\"`"),
        (format!("listen = \"0.0.0.0:0\"\n{good}"), "listen", "without TLS"),
        (format!("{good}[limits]\nmax_connections = 1000000000\n"), "limits.max_connections", "`LimitNOFILE`"),
        (format!("{good}{password}"), "databases.main.url", "`chmod o-r`"),
        (format!("{good}{token}"), "api.tokens.a.token", "`chmod o-r`"),
        (format!("{good}[api]\nlisten = \"0.0.0.0:0\"\n"), "api.listen", "the tokens can be read on the way"),
    ] {
        let found = warnings(folder(&config).path()).await;
        let [(found, message)] = found.as_slice() else { panic!("{config}: {found:?}") };
        assert!(found == key && message.contains(words), "{config}: {found}: {message}");
    }
    let private = folder(&format!("{good}{password}"));
    fs::set_permissions(private.path().join("hassock.toml"), Permissions::from_mode(0o640)).unwrap();
    assert_eq!(warnings(private.path()).await, []);
}
