use std::path::Path;

use super::Config;

fn problems(text: &str) -> String {
    match Config::parse(Path::new("hassock.toml"), text) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

const GOOD: &str = r#"
[databases.main]
url = "sqlite::memory:"
[apps.chat]
path = "/chat"
module = "chat.wasm"
databases = { main = "read-only" }
[apps.chat.settings]
greeting = "hello"
page_size = 10
[apps.chat.limits]
memory = "32MiB"
keepalive = "5s"
"#;

#[test]
fn a_good_config_keeps_its_values() {
    let config = Config::parse(Path::new("hassock.toml"), GOOD).unwrap();
    let chat = &config.apps["chat"];
    assert_eq!(chat.settings["page_size"].0, "10");
    assert_eq!(chat.limits.memory.bytes(), 32 << 20);
    assert_eq!(chat.limits.instances, 32);
    assert_eq!(config.all_listeners()[0].1.address.to_string(), "127.0.0.1:8080");
}

#[test]
fn all_problems_are_reported_at_once_with_line_key_and_remedy() {
    let text = r#"
listen = "nowhere"
lisen = "127.0.0.1:1"
[databases.main]
url = "postgres://x"
[apps.chat]
path = "chat"
module = "chat.wasm"
databases = { mian = "read-only", main = "rw" }
origins = ["example.org"]
[apps.chat.limits]
memory = "lots"
keepalive = "5 fortnights"
"#;
    let found = problems(text);
    for expected in [
        "hassock.toml:2: listen: ",
        "hassock.toml:3: lisen: unknown key `lisen`, expected one of `listen`",
        "hassock.toml:5: databases.main.url: must begin with one of `mysql://`",
        "hassock.toml:7: apps.chat.path: `chat` is not a path",
        "hassock.toml:9: apps.chat.databases.main: unknown value `rw`, expected `read-only` or `read-write`",
        "hassock.toml:10: apps.chat.origins: `example.org` is not an origin",
        "hassock.toml:12: apps.chat.limits.memory: `lots` is not a size",
        "hassock.toml:13: apps.chat.limits.keepalive: `5 fortnights` is not a time span",
    ] {
        assert!(found.contains(expected), "missing {expected:?} in:\n{found}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let found = problems("[apps.chat]\n[databases.main]\n");
    assert!(found.contains("hassock.toml:1: apps.chat.path: missing"), "{found}");
    assert!(found.contains("apps.chat.module: missing"), "{found}");
    assert!(found.contains("databases.main.url: missing"), "{found}");
    assert!(problems("").contains("the config has no app"));
}

#[test]
fn an_unknown_database_is_refused_with_the_known_ones() {
    let found = problems(&GOOD.replace("main = \"read-only\"", "mian = \"read-only\""));
    assert!(
        found.contains("hassock.toml:7: apps.chat.databases.mian: there is no such database; the config has `main`"),
        "{found}"
    );
}

#[test]
fn a_missing_variable_is_an_error_with_its_line() {
    let found = problems(&GOOD.replace("sqlite::memory:", "mysql://u:${HASSOCK_NO_SUCH_VARIABLE}@h/d"));
    assert!(
        found.contains(
            "hassock.toml:3: databases.main.url: the environment variable `HASSOCK_NO_SUCH_VARIABLE` is not set"
        ),
        "{found}"
    );
}

#[test]
fn a_variable_inside_a_url_is_encoded() {
    // PATH is set wherever cargo runs, and has slashes.
    let text = GOOD.replace("sqlite::memory:", "mysql://u:${PATH}@h/d").replace("hello", "$$ ${PATH}");
    let config = Config::parse(Path::new("hassock.toml"), &text).unwrap();
    assert!(config.databases["main"].url.expose().starts_with("mysql://u:%2F"));
    assert!(config.apps["chat"].settings["greeting"].0.starts_with("$ /"));
    assert!(!format!("{config:?}").contains("mysql://"), "a password must not be printed");
}

/// However a URL got into the file, no message about it shows the password.
#[test]
fn no_problem_shows_a_password() {
    let table = "[databases.main]\n";
    let rest = "[apps.chat]\npath = \"/chat\"\nmodule = \"chat.wasm\"\n";
    for wrong in [
        // In the place of the table.
        "[databases]\nmain = \"mysql://root:hunter2@h/d\"",
        "[databases]\nmain = \"root:hunter2\"",
        "[databases]\nmain = [[\"mysql://root:hunter2@h/d\"]]",
        "[databases]\nmain = [\"mysql://root:hunter2@h/d\", \"mysql://root:hunter2@h/d\"]",
        "databases = \"mysql://root:hunter2@h/d\"",
        "databases.main = 'hunter2'",
        // In the place of the name.
        "[databases.\"mysql://root:hunter2@h/d\"]",
        "[databases.\"mysql://root:hunter2@h/d\"]\nurl = \"sqlite::memory:\"\nmax_rows = 0",
        "[databases]\n\"mysql://root:hunter2@h/d\" = {}",
        "[databases.\"root:hunter2@h\"]\nurl = 1",
        // Under the right key, in another form.
        &format!("{table}url = [\"mysql://root:hunter2@h/d\"]"),
        &format!("{table}url = {{ mysql = \"mysql://root:hunter2@h/d\" }}"),
        &format!("{table}url = \"root:hunter2@h/d\""),
        &format!("{table}url = \"mysql://root:hunter2@${{HASSOCK_NO_SUCH_VARIABLE}}/d\""),
        // Under another key.
        &format!("{table}max_rows = \"mysql://root:hunter2@h/d\""),
        &format!("{table}idle_timeout = \"mysql://root:hunter2@h/d, expected b@h\""),
        &format!("{table}max_result_bytes = \"mysql://root:hunter2@h/d\""),
        &format!("{table}uri = \"mysql://root:hunter2@h/d\""),
        &format!("{table}\"mysql://root:hunter2@h/d\" = 1"),
        "listen = \"mysql://root:hunter2@h/d\"",
        "url = \"mysql://root:hunter2@h/d\"",
        "\"mysql://root:hunter2@h/d\" = 1",
        "[apps.other]\ndatabases = \"mysql://root:hunter2@h/d\"",
        "[apps.other]\ndatabases = { main = \"mysql://root:hunter2@h/d\" }",
        "[apps.other]\ndatabases = { \"mysql://root:hunter2@h/d\" = \"read-only\" }",
        // Wrong TOML.
        &format!("{table}url = mysql://root:hunter2@h/d"),
        &format!("{table}url = \"mysql://root:hunter2@h/d"),
        &format!("{table}url = 'mysql://root:hunter2@h/d"),
        &format!("{table}url = \"mysql://root:hunter2\\q@h/d\""),
        &format!("{table}url = \"mysql://root:\" \"hunter2@h/d\""),
        &format!("{table}url = \"mysql://root:hunter2@h/d\" hunter2"),
        &format!("{table}url \"mysql://root:hunter2@h/d\""),
        &format!("{table}mysql://root:hunter2@h/d"),
        &format!("{table}url = \"x\"\nurl = \"mysql://root:hunter2@h/d\""),
        "[databases.\"mysql://root:hunter2@h/d\"]\n[databases.\"mysql://root:hunter2@h/d\"]",
        "[databases.mysql://root:hunter2@h/d]",
    ] {
        let found = problems(&format!("{wrong}\n{rest}"));
        assert!(!found.is_empty(), "{wrong}");
        assert!(!found.contains("hunter2"), "{wrong}\n{found}");
    }
    for value in ["mysql://root:hunter2@h/d", "hunter2", "hunter2, expected `x` is not y", "hunter2, expected a@b"] {
        let found = problems(&format!("[databases]\nmain = \"{value}\"\n{rest}"));
        let expected = "hassock.toml:2: databases.main: invalid type: string …, expected a table with `url = …`\n";
        assert!(format!("{found}\n").starts_with(expected), "{found}");
    }
}

#[test]
fn two_apps_cannot_have_one_path() {
    let text = format!("{GOOD}\n[apps.other]\npath = \"/chat\"\nmodule = \"x.wasm\"\n");
    assert!(problems(&text).contains("`/chat` is already the path of the app `chat`"), "{}", problems(&text));
}

#[test]
fn an_address_may_be_a_port_or_have_a_name() {
    for (value, expected) in
        [("\"localhost:9000\"", "127.0.0.1:9000"), ("\":9000\"", "127.0.0.1:9000"), ("9000", "127.0.0.1:9000")]
    {
        let config = Config::parse(Path::new("hassock.toml"), &format!("listen = {value}\n{GOOD}")).unwrap();
        assert_eq!(config.all_listeners()[0].1.address.to_string(), expected);
    }
    let found = problems(&format!("listen = \"example.org:80\"\n{GOOD}"));
    assert!(found.starts_with("hassock.toml:1: listen: `example.org:80` is not an address; write it as"), "{found}");
}

#[test]
fn broken_toml_names_the_line() {
    let found = problems("listen = \n");
    assert!(found.starts_with("hassock.toml:1"), "{found}");
}

#[test]
fn more_instances_than_the_host_has_are_refused() {
    let text = GOOD.replace("memory = \"32MiB\"", "instances = 600");
    assert!(problems(&text).contains("limits.max_instances: the apps' `limits.instances` add up to 600"));
}

#[test]
fn spans_that_overflow_a_clock_are_refused() {
    let text = GOOD
        .replace("path = \"/chat\"", "path = \"/chat\"\npin_for = \"500years\"\nrollback = { watch_for = \"2years\" }");
    let found = problems(&text);
    for key in ["apps.chat.pin_for", "apps.chat.rollback.watch_for"] {
        assert!(found.contains(&format!("{key}: must be at most 365days")), "{key} in {found}");
    }
}

#[test]
fn a_host_has_no_scheme_and_no_port() {
    for (host, fits) in [
        ("chat.example.org", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("https://chat.example.org", false),
        ("chat.example.org:443", false),
        ("[::1]", false),
        ("", false),
    ] {
        let problems = problems(&format!("hosts = [\"{host}\"]\n{GOOD}"));
        assert_eq!(problems.is_empty(), fits, "{host}: {problems}");
    }
}

/// What one connection may need has to fit into what all share.
#[test]
fn bounds_of_a_connection_fit_into_the_memory_budget() {
    let with = |more: &str| problems(&format!("{GOOD}{more}"));
    assert_eq!(with("message_bytes = \"256MiB\"\n"), "");
    let found = with("message_bytes = \"257MiB\"\n[limits]\nmemory_budget = \"512MiB\"\n");
    assert!(found.contains("apps.chat.limits.message_bytes: is more than half of `limits.memory_budget`"), "{found}");
    let found = with("[limits]\nmemory_budget = \"15MiB\"\n");
    assert!(found.contains("limits.memory_budget: must be at least 16MiB"), "{found}");
}

#[test]
fn a_level_of_compression_that_does_not_exist_is_refused() {
    for level in [0, 10] {
        let found = problems(&format!("{GOOD}\n[apps.chat.compression]\nenabled = true\nlevel = {level}\n"));
        assert!(found.contains("apps.chat.compression.level: must be 1 to 9"), "{found}");
    }
    let text = format!("{GOOD}\n[apps.chat.compression]\nenabled = true\nlevel = 9\nmin_bytes = 0\n");
    assert!(Config::parse(Path::new("hassock.toml"), &text).unwrap().apps["chat"].compression.enabled);
}
