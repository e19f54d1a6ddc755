//! `set`: what a reload of the config does.

use hassock::testkit::TestHost;
use hassock_tests::{example, guest};
use serde_json::json;

use super::{app, ask, config, ok, probe};

#[test]
fn a_setting_changes_for_the_next_call() {
    let mut host = probe().setting("greeting", "hello").build().unwrap();
    let client = host.connect("/");
    let setting = json!({ "setting": "greeting" });
    assert_eq!(ok(&client, &setting), "hello");
    host.set("settings.greeting", "\"hi\"").unwrap();
    assert_eq!(ok(&client, &setting), "hi");
    host.set("settings.other", "5").unwrap();
    assert_eq!((ok(&client, &setting), ok(&client, &json!({ "setting": "other" }))), (json!("hi"), json!("5")));
    assert!(client.is_open());
}

#[test]
fn a_limit_changes_too() {
    let mut host = probe().build().unwrap();
    host.set("limits.message_bytes", "\"1KiB\"").unwrap();
    let client = host.connect("/");
    client.send_text("x".repeat(1025));
    assert_eq!(client.closed().0, 1009);
    host.set("apps.probe.limits.message_bytes", "\"2KiB\"").unwrap();
    let client = host.connect("/");
    client.send_text("x".repeat(1025));
    assert_eq!(super::text(&client).len(), 1025);
}

#[test]
fn what_is_wrong_is_said_and_changes_nothing() {
    let mut host = probe().setting("greeting", "hello").build().unwrap();
    let client = host.connect("/");
    let wrong = [
        ("nonsense", "5", "nonsense"),
        ("limits.nonsense", "5", "nonsense"),
        ("limits.instances", "\"many\"", "instances"),
        ("limits.instances", "0", "`apps.probe.limits.instances`: must be at least 1"),
        ("limits.call_timeout", "5", "call_timeout"),
        ("settings.greeting.more", "5", "`more` cannot be a key of a value that is not a table"),
        ("settings.greeting", "hello", "`hello` is not a value of TOML"),
        ("settings.greeting", "1\nother = 2", "is not a value of TOML"),
        ("settings.greeting", "", "is not a value of TOML"),
        ("path", "\"no slash\"", "path"),
        ("databases.other", "\"read-write\"", "other"),
        ("module", "\"nowhere.wasm\"", "nowhere.wasm"),
        ("apps.other.path", "\"/other\"", "there is no app `other`; there is `probe`"),
        ("", "5", ""),
    ];
    for (key, value, part) in wrong {
        let error = host.set(key, value).expect_err(key).to_string();
        assert!(error.contains(part), "{key} = {value}: {error}");
        assert!(!error.is_empty() && error.lines().count() == 1, "{key} = {value}: {error}");
    }
    assert_eq!(ok(&client, &json!({ "setting": "greeting" })), "hello");
    // Nothing of this is left for the next change.
    host.set("settings.greeting", "\"hi\"").unwrap();
    assert_eq!(ok(&client, &json!({ "setting": "greeting" })), "hi");
}

#[test]
fn a_value_that_the_module_refuses_is_its_error() {
    let mut host = TestHost::load(example("guestbook")).unwrap();
    let client = host.connect("/");
    host.set("settings.page_size", "2").unwrap();
    for number in 1..=3 {
        client.send_json(&json!({ "id": number, "add": { "name": "a", "text": "b" } }));
        client.expect_json(&json!({ "id": number, "added": number }));
    }
    client.send_json(&json!({ "id": 9, "list": { "page": 2 } }));
    let entry = json!({ "id": 1, "name": "a", "text": "b" });
    client.expect_json(&json!({ "id": 9, "entries": [entry], "page": 2, "pages": 2 }));
}

#[test]
fn a_builder_takes_the_same_keys() {
    let error = probe().set("limits.instances", "many").build().err().unwrap().to_string();
    assert!(error.contains("`many` is not a value of TOML"), "{error}");
    let error = probe().set("limits.instances", "0").build().err().unwrap().to_string();
    assert!(error.contains("must be at least 1"), "{error}");
    let modules = probe().modules().unwrap();
    assert_eq!(modules, [guest("probe")]);
}

/// A test never reaches a real database, whatever it sets. Limits can be set only before it begins; later the database
/// would be another one, and empty.
#[test]
fn databases_stay_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("real.db");
    let url = format!("\"sqlite://{}\"", file.display());
    let whole = format!("{{ url = {url}, max_rows = 1 }}");
    let mut host = probe().set("databases.main", &whole).build().unwrap();
    let error = host.set("databases.main.url", &url).unwrap_err().to_string();
    assert!(error.contains("in memory here"), "{error}");
    for (key, value) in [("databases.main.max_rows", "2"), ("databases.other.max_rows", "2"), ("databases.main", "{}")]
    {
        let error = host.set(key, value).unwrap_err().to_string();
        assert!(error.contains(&format!("`{key}`: databases are in memory here, and opened once")), "{error}");
    }
    host.set("databases.main.max_rows", "1").unwrap();
    let client = host.connect("/");
    let answer = ask(&client, &json!({ "query": { "sql": "SELECT 1 UNION SELECT 2" } }));
    assert_eq!(answer["sql"], "too-large", "{answer}");
    assert!(!file.exists());
}

#[test]
fn with_several_apps_the_key_names_one() {
    let grant = "databases.main = \"read-write\"\n";
    let text = format!(
        "{}{grant}{}{grant}[databases.main]\nurl = \"sqlite://x.db\"\n",
        app("a", &guest("probe")),
        app("b", &guest("probe"))
    );
    let (_folder, file) = config(&text);
    let mut host = TestHost::builder().config(file).build().unwrap();
    let error = host.set("settings.x", "1").unwrap_err().to_string();
    assert_eq!(error, "`settings.x`: say of which app, as `apps.a|b.settings.x`");
    host.set("apps.b.settings.x", "1").unwrap();
    let setting = json!({ "setting": "x" });
    assert_eq!(ask(&host.connect("/a"), &setting), json!({ "ok": null }));
    assert_eq!(ask(&host.connect("/b"), &setting), json!({ "ok": "1" }));
    let error = host.fail_instances(None).unwrap_err().to_string();
    assert_eq!(error, "say which app: there are `a`, `b`");
}

#[test]
fn the_examples_run_from_their_configs() {
    for name in ["chat", "guestbook"] {
        let folder = hassock_tests::workspace().join("examples-wasm").join(name);
        let builder = TestHost::builder().config(folder.join("hassock.toml"));
        let module = example(name);
        let host = builder.set("module", &format!("{:?}", module.to_str().unwrap())).build().unwrap();
        host.connect(format!("/{name}")).send_text("{}");
    }
}
