//! Transcripts that cannot be played: each mistake is reported with its place, before anything else.

use std::path::Path;
use std::process::Command;

use hassock_tests::{app_with_database, binary};

use super::{Folder, assert_said};

async fn says(folder: &Folder, arguments: &str, code: i32, said: &[&str]) {
    assert_said(&folder.test(arguments).await, code, said);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_transcript_is_told_with_line_and_column() {
    let folder = Folder::guest("probe");
    let cases = [
        ("conect a /", "x.transcript:1:1: `conect` begins no step; did you mean `connect`?"),
        ("connect a /\na says hi", "x.transcript:2:3: expected `>`, `<`, `nothing`, `skips`"),
        ("connect a /\n\n# x\na > hex 0g", "x.transcript:4:10: expected a hexadecimal digit, not `g`"),
        ("connect a /\nb > hi", "x.transcript:2:1: `b` has not connected; `connect b /PATH` comes first"),
        ("connect a /\na < {\"a\": ", "x.transcript:2:10: not JSON: EOF while parsing a value"),
        ("connect a /\na < {\"a\": \"${nmber}\"}", "x.transcript:2:11: no earlier step has captured `nmber`"),
        ("connect a /\na < /(/", "x.transcript:2:5: "),
        ("advance soon", "x.transcript:1:9: "),
        ("  connect a /", "x.transcript:1:1: an indented line belongs to the step before it"),
    ];
    for (text, said) in cases {
        folder.put("x.transcript", text);
        says(&folder, "probe.wasm x.transcript", 2, &[said, "ERROR x.transcript\n", "0 passed, 1 could not be played"])
            .await;
    }
    folder.put("x.transcript", [0xff, 0xfe]);
    says(&folder, "probe.wasm x.transcript", 2, &["x.transcript: cannot be read: "]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_that_are_not_there() {
    let folder = Folder::guest("probe").with("x.transcript", "connect a /\n");
    std::fs::create_dir(folder.path("empty")).unwrap();
    let config = "./nowhere: there is no such folder or module; name an app's folder or a component (*.wasm)";
    says(&folder, "./nowhere", 2, &[config]).await;
    says(&folder, "./nowhere x.transcript", 2, &[config]).await;
    says(&folder, "empty x.transcript", 2, &["empty/hassock.toml: cannot read the config: "]).await;
    says(&folder, "empty", 2, &["there is no transcript in empty; write one, such as hello.transcript"]).await;
    says(&folder, "probe.wasm none.transcript", 2, &["none.transcript: cannot be read: No such file"]).await;
    for no_module in ["none.wasm", "x.transcript"] {
        says(&folder, no_module, 2, &[&format!("{no_module}: there is no such folder or module")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transcript_names_and_is_not_there() {
    let folder = Folder::guest("probe")
        .with("bad.sql", "CREATE TABLE t (n); -- one\nINSERT INTO t VALUES (1);\nINSRT INTO t VALUES (2);\n")
        .with("open.sql", "BEGIN;\nCREATE TABLE t (n);\n");
    let cases = [
        ("a > file none.bin", "x.transcript:2: none.bin cannot be read: No such file"),
        ("a > x\na < file none.bin", "x.transcript:3: none.bin cannot be read: No such file"),
        ("swap none.wasm", "x.transcript:2: the step cannot be played: cannot read the module none.wasm: No such file"),
        ("swap other: none.wasm", "there is no app `other`; there is `probe`"),
        ("swap x.transcript", "x.transcript:2: the step cannot be played: "),
        ("fail call other: trap", "there is no app `other`; there is `probe`"),
        ("sql main: SELECT * FROM nowhere", "x.transcript:2: the step cannot be played: the statement fails: "),
        ("sql main: file none.sql", "x.transcript:2: none.sql cannot be read: No such file"),
        (
            "sql main: file bad.sql",
            "the step cannot be played: bad.sql: statement 3: the statement is wrong: near \"INSRT\": syntax error",
        ),
        ("sql main: file open.sql", "open.sql: a transaction is left open; end it with COMMIT"),
        ("sql main: file probe.wasm", "the step cannot be played: probe.wasm: invalid utf-8 sequence"),
        (
            "set settings.x = unquoted",
            "`unquoted` is not a value of TOML; texts stand in quotation marks: \"unquoted\"",
        ),
        ("set databases.main.url = \"mysql://h/d\"", "`databases.main.url`: databases are in memory here"),
        ("set apps.other.settings.x = 5", "there is no app `other`; there is `probe`"),
        ("set databases.other = \"read-only\"", "`apps.probe.databases.other`: there is no such database"),
        ("set limits.mesage_bytes = 5", "`apps.probe.limits.mesage_bytes`"),
    ];
    for (step, said) in cases {
        folder.put("x.transcript", format!("connect a /\n{step}\n"));
        says(&folder, "probe.wasm x.transcript", 1, &[said]).await;
    }
}

/// If a step is removed, its fault must not stay behind unnoticed, nor a call unfinished.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_transcript_leaves_open_fails_it() {
    let folder = Folder::guest("probe");
    for (steps, said) in [
        ("a > x\na < x\nfail call: trap", "x.transcript:4: at the end no call of `probe` has met its `fail call`"),
        (
            "fail sql main: timeout\na > x\na < x",
            "x.transcript:4: at the end no statement of a module in `main` has met",
        ),
        (
            "fail sql main: timeout\nfail sql main: timeout\na > {\"query\": {\"sql\": \"SELECT 1\"}}\na skips",
            "has met its `fail sql main`",
        ),
    ] {
        folder.put("x.transcript", format!("connect a /\n{steps}\n"));
        says(&folder, "probe.wasm x.transcript", 1, &[said]).await;
    }
    let folder = Folder::guest("faults").with("x.transcript", "connect a /\na > sleep\n");
    let waits = "x.transcript:2: at the end a call of the module waits for time to pass, which `advance` lets it";
    says(&folder, "faults.wasm x.transcript", 1, &[waits]).await;
    folder.put("x.transcript", "# nothing yet\n");
    says(&folder, "faults.wasm x.transcript", 2, &["x.transcript: has no step; begin with `connect NAME /PATH`"]).await;
}

/// The reader of the output may end early.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_changes_nothing() {
    let folder = Folder::guest("probe").with("x.transcript", "connect a /probe\n");
    let config = app_with_database("probe", Path::new("probe.wasm"), "sqlite::memory:");
    folder.put("hassock.toml", config);
    for command in ["test . --no-build", "check", "build --help", "new fresh"] {
        let line = format!("{} {command} | true; exit ${{PIPESTATUS[0]}}", binary().display());
        let shell = Command::new("bash").args(["-c", &line]).current_dir(folder.path("")).output().unwrap();
        let said = String::from_utf8_lossy(&shell.stderr).into_owned();
        assert!(shell.status.success() && !said.contains("panicked"), "{command}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_are_none_or_do_not_build() {
    let folder = Folder::guest("probe").with("x.transcript", "connect a /probe\n").with("none.wasm", "hello");
    let none =
        [&*folder.path("none.wasm").display().to_string(), "none.wasm is not WebAssembly"].join(": apps.none.module: ");
    assert!(none.starts_with('/'));
    says(&folder, "none.wasm x.transcript", 2, &["none.wasm is not WebAssembly: it does not begin with"]).await;
    let config =
        |build: &str| format!("\n\n[apps.probe]\npath = \"/probe\"\nmodule = \"none.wasm\"\nbuild = \"{build}\"\n");
    folder.put("hassock.toml", config("false"));
    says(&folder, ". x.transcript", 2, &["`false` failed (exit status: 1); see above"]).await;
    // The build does not run, so the module is wrong, at its line of the config.
    says(&folder, "--no-build . x.transcript", 2, &["./hassock.toml:5: apps.probe.module: ", "is not WebAssembly"])
        .await;
    folder.put(
        "hassock.toml",
        config("cp probe.wasm none.wasm")
            .replace("[apps.probe]", "[apps.probe]\ndatabases = { main = \"read-write\" }"),
    );
    let database = "\n[databases.main]\nurl = \"sqlite::memory:\"\n";
    folder.put("hassock.toml", folder.text("hassock.toml") + database);
    says(&folder, ". x.transcript", 0, &["1 passed"]).await;
}

/// The lines are those of the written file, not of what the testkit makes of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_config_is_told_with_line_and_key() {
    let folder = Folder::guest("probe").with("x.transcript", "connect a /probe\n");
    let config = "# A comment.\nlisten = \"127.0.0.1:8080\"\n\n[databases.main]\nurl = \"sqlite::memory:\"\n\n\
        [apps.probe]\nmodule = \"probe.wasm\"\n\npath = \"/probe\"\n";
    for (more, said) in [
        (
            "databases = { main = \"read-writ\" }",
            "./hassock.toml:11: apps.probe.databases.main: unknown value `read-writ`",
        ),
        ("databse = 5", "./hassock.toml:11: apps.probe.databse: unknown key `databse`"),
        ("databases = { other = \"read-write\" }", "./hassock.toml:11: apps.probe.databases.other: "),
        ("limits = { memory = \"1 byte\" }", "./hassock.toml:11: apps.probe.limits.memory"),
        // A missing grant.
        ("", "./hassock.toml:8: apps.probe.module: the module imports `hassock:host/sql@0.1.0`, which is not granted"),
        ("= 5", "./hassock.toml:11: "),
    ] {
        folder.put("hassock.toml", format!("{config}{more}\n"));
        says(&folder, "--no-build . x.transcript", 2, &[said]).await;
    }
}

/// The addresses of databases do not matter: they are in memory here, whatever the config says. Neither do the secrets of tokens.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_elsewhere_is_not_asked() {
    let config = "[databases.main]\nurl = \"mysql://u:${HASSOCK_NO_SUCH_VARIABLE}@192.0.2.1/d\"\n[apps.probe]\n\
        path = \"/probe\"\nmodule = \"probe.wasm\"\ndatabases = { main = \"read-write\" }\n\
        [api.tokens.shop]\ntoken = \"${HASSOCK_NO_SUCH_VARIABLE}\"\napps = \"*\"\nscopes = [\"publish\"]\n";
    let transcript = "sql main: CREATE TABLE t (n BIGINT)\nconnect a /probe\n\
        a > {\"execute\": {\"sql\": \"INSERT INTO t VALUES (5)\"}}\na < {\"ok\": {\"affected\": 1, \"id\": \"${any}\"}}\n\
        sql main: SELECT n FROM t\n  | n |\n  | 5 |\n";
    let folder = Folder::guest("probe").with("hassock.toml", config).with("x.transcript", transcript);
    says(&folder, "--no-build .", 0, &["1 passed"]).await;
    says(&folder, "--no-build ./hassock.toml x.transcript", 0, &["1 passed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_several_apps_steps_name_theirs() {
    let config =
        "[apps.one]\npath = \"/one\"\nmodule = \"echo.wasm\"\n[apps.two]\npath = \"/two\"\nmodule = \"echo.wasm\"\n";
    let folder = Folder::example("echo").with("hassock.toml", config);
    for (step, code, said) in [
        ("fail call: trap", 1, "x.transcript:3: the step cannot be played: say which app: there are `one`, `two`"),
        ("swap echo.wasm", 1, "x.transcript:3: the step cannot be played: say which app: there are `one`, `two`"),
        ("fail instances", 1, "say which app: there are `one`, `two`"),
        ("set limits.message_bytes = 10", 1, "say of which app, as `apps.one|two.limits.message_bytes`"),
        ("fail call two: trap\na > x\na < x\nb > x\nb closed 1011", 0, "1 passed"),
        ("swap two: echo.wasm\nfail instances two\na > x\na < x\nb > x\nb < x", 0, "1 passed"),
        (
            "set apps.two.limits.message_bytes = 10\nconnect b /two\nb > long enough to be closed\nb closed 1009",
            0,
            "1 passed",
        ),
    ] {
        folder.put("x.transcript", format!("connect a /one\nconnect b /two\n{step}\n"));
        says(&folder, "--no-build . x.transcript", code, &[said]).await;
    }
}

/// A module without a config has every path and the databases that the transcript names.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_alone_has_every_path_and_database() {
    let transcript = "connect a /any/path?open=describe\na < {\"path\": \"/any/path\", \"query\": \"open=describe\", \
        \"header\": null, \"subprotocols\": [], \"remote\": \"${string}\", \"secure\": false, \"traceparent\": null}\n\
        sql other: SELECT 1\na > {\"open\": \"other\"}\na < {\"ok\": \"open\"}\na > {\"open\": \"third\"}\na skips\n";
    let folder = Folder::guest("probe").with("x.transcript", transcript);
    // Transcripts beside the module are found; a named file may be anywhere.
    says(&folder, "probe.wasm", 0, &["1 passed"]).await;
    let path = folder.path("x.transcript");
    says(&folder, &format!("./probe.wasm {}", path.display()), 0, &["1 passed"]).await;
}
