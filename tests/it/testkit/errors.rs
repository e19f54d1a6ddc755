//! The errors of a test that cannot begin.

use hassock::testkit::TestHost;
use hassock_tests::{guest, marked, module_file};

use super::{app, config, probe};

#[test]
fn no_module_no_host() {
    let error = |bytes: &[u8]| TestHost::load(module_file(bytes).path()).err().unwrap().to_string();
    let missing = TestHost::load("/nowhere/x.wasm").err().unwrap().to_string();
    assert!(missing.contains("cannot read the module /nowhere/x.wasm"), "{missing}");
    assert!(error(b"no module").contains("is not WebAssembly"));
    assert!(error(b"").contains("is not WebAssembly"));
    assert!(error(b"\0asm\x01\0\0\0").contains("build it for the target `wasm32-wasip2`"));
    assert!(error(b"\0asm\x0d\0\x01\0").contains("does not export `hassock:host/handler"));
    let probe = std::fs::read(guest("probe")).unwrap();
    assert!(error(&probe[..probe.len() / 2]).contains("does not compile"));
    assert!(error(&marked("bad check-error")).contains("the check says no"));
    assert!(error(&marked("bad check-trap")).contains("the module trapped"));
    assert!(error(&marked("bad check-sleep")).contains("`call_timeout` = 30s"));
    let folder = TestHost::load("/").err().unwrap().to_string();
    assert!(!folder.is_empty());
}

#[test]
fn errors_are_shown_as_they_are() {
    let error = TestHost::load("/nowhere/x.wasm").err().unwrap();
    assert_eq!(format!("{error:?}"), error.to_string(), "`unwrap` shows it");
}

#[test]
fn a_missing_grant_is_named() {
    let (_folder, file) = config(&app("probe", &guest("probe")));
    let error = TestHost::builder().config(&file).build().err().unwrap().to_string();
    assert!(error.contains("hassock:host/sql") && error.contains("databases"), "{error}");
    TestHost::builder().config(&file).database("main").build().unwrap();
}

#[test]
fn mistakes_of_a_config_have_their_lines() {
    let text = "listen = \"127.0.0.1:8080\"\n[apps.a]\npath = \"no-slash\"\nmodule = \"a.wasm\"\n[apps.a.limits]\ninstances = 0\n";
    let (_folder, file) = config(text);
    let error = TestHost::builder().config(&file).build().err().unwrap().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "all at once: {error}");
    assert!(lines[0].contains("hassock.toml:3: apps.a.path: "), "{error}");
    assert!(lines[1].contains("hassock.toml:6: apps.a.limits.instances: "), "{error}");
    let (_folder, file) = config("[apps.a]\npath = \"/a\"\nmodul = \"a.wasm\"\n");
    let error = TestHost::builder().config(&file).build().err().unwrap().to_string();
    assert!(error.contains("hassock.toml:3") && error.contains("modul"), "{error}");
    let (_folder, file) = config("[apps.a\n");
    let error = TestHost::builder().config(&file).build().err().unwrap().to_string();
    assert!(error.contains("hassock.toml:1"), "{error}");
    let error = TestHost::builder().config("/nowhere/hassock.toml").build().err().unwrap().to_string();
    assert!(error.contains("/nowhere/hassock.toml: cannot read the config"), "{error}");
}

#[test]
fn what_belongs_to_a_machine_is_left_out() {
    let text = "listen = \"256.0.0.1:8080\"\n";
    let (_folder, file) = config(text);
    assert!(TestHost::builder().config(&file).build().is_err(), "but a mistake is an error");
    let text = format!(
        "listen = \"127.0.0.1:1\"\ntest_page = true\nwatch = true\n[admin]\nlisten = \"127.0.0.1:2\"\n[log]\nlevel = \"error\"\n\
         {}databases.main = \"read-write\"\n[databases.main]\nurl = \"mysql://root:${{NOT_SET}}@db.example/x\"\nmax_connections = 3\n",
        app("probe", &guest("probe"))
    );
    let (_folder, file) = config(&text);
    let host = TestHost::builder().config(&file).build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE t (n INTEGER)").unwrap();
    host.connect("/probe").expect_nothing();
}

#[test]
fn the_name_of_a_module_may_be_anything() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ünïcode.wasm", "with space.wasm", ".hidden.wasm", "a.b.c.wasm", "UPPER_case-1.wasm", "no-ending"] {
        let file = folder.path().join(name);
        std::fs::copy(guest("marked"), &file).unwrap();
        let client = TestHost::load(&file).unwrap_or_else(|error| panic!("{name}: {error}")).connect("/");
        client.send_text("who");
        client.expect_text("plain who");
    }
}

#[tokio::test]
async fn in_a_runtime_there_is_no_host() {
    let error = TestHost::load(guest("probe")).err().unwrap().to_string();
    assert!(error.contains("a plain `#[test]`, not in a `#[tokio::test]`"), "{error}");
}

#[test]
fn an_unknown_app_is_named() {
    let host = probe().build().unwrap();
    let error = host.fail_instances(Some("other")).unwrap_err().to_string();
    assert_eq!(error, "there is no app `other`; there is `probe`");
}
