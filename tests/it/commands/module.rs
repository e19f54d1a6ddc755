//! `hassock module` as an operator uses it: the real binary asks a running one. Outputs, exit codes, and the effects on
//! connections.

mod mistakes;

use std::path::Path;

use hassock::deploy::{AppReport, Outcome, PinOutcome, VersionStatus};
use hassock_tests::site::lines;
use hassock_tests::{Client, Finished, Process, Site, app, eventually, hassock, marked, version_of};

/// A site with the app `chat`, with `v1` in its file, and an admin listener on a Unix socket.
fn site(keys: &str) -> Site {
    let chat = app("chat", Path::new("chat.wasm"));
    let site = Site::new(&format!("[admin]\nlisten = \"unix:admin.sock\"\n{chat}{keys}\n"));
    site.put("chat.wasm", marked("v1"));
    site
}

/// What a command that succeeds prints.
async fn done(site: &Site, arguments: &str) -> String {
    let finished = site.run(arguments).await;
    assert_eq!(finished.code, Some(0), "{arguments}: {finished:?}");
    finished.stdout
}

/// The same for `deploy`, which says on standard error what it does meanwhile.
async fn deploy(site: &Site, mark: &str, options: &str) -> Finished {
    site.put("new.wasm", marked(mark));
    let finished = site.run(&format!("module deploy chat new.wasm{options}")).await;
    assert_eq!(finished.code, Some(0), "{mark}: {finished:?}");
    finished
}

async fn report(site: &Site) -> AppReport {
    let apps: Vec<AppReport> = serde_json::from_str(&done(site, "module list --json").await).unwrap();
    apps.into_iter().next().unwrap()
}

/// The cells of a line of a table.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

const COLUMNS: [&str; 8] = ["VERSION", "AGE", "STATE", "CONNECTIONS", "CALLS", "FAILURES", "MEAN", "P99"];

/// The help of each command says what it does to connections, and shows an example.
#[tokio::test(flavor = "multi_thread")]
async fn help_tells_what_each_command_does() {
    let folder = tempfile::tempdir().unwrap();
    let expected: [(&[&str], &[&str]); 6] = [
        (&["module", "--help"], &["list", "deploy", "promote", "rollback", "pin", "`[admin]`", "token", "Example:"]),
        (&["module", "list", "--help"], &["[APP]", "--json", "--config <FILE>", "`draining`", "`kept`"]),
        (
            &["module", "deploy", "--help"],
            &["<APP>", "<FILE>", "--canary <SHARE>", "the running version goes on", "10%"],
        ),
        (&["module", "promote", "--help"], &["<APP>", "canary", "--json"]),
        (&["module", "rollback", "--help"], &["<APP>", "Compiles nothing"]),
        (&["module", "pin", "--help"], &["--for <TIME>", "--off", "`pin_for`", "10m"]),
    ];
    for (arguments, words) in expected {
        let finished = hassock(folder.path(), arguments).await;
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        for word in words {
            assert!(finished.stdout.contains(word), "`{word}` is not in {arguments:?}:\n{}", finished.stdout);
        }
    }
}

/// A deploy: progress on standard error, the result and what a restart would do on standard output, and the open
/// connection gets it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_says_what_it_did() {
    let site = site("");
    let host = site.serve().await;
    let mut client = host.connect("/chat").await;
    let (v1, v2, v3) = (version_of("v1"), version_of("v2"), version_of("v3"));
    let deployed = deploy(&site, "v2", "").await;
    let note =
        "./chat.wasm contains another version. Copy this version there; otherwise, a restart serves the other one.\n";
    let expected = format!("chat serves {v2} now (before: {v1}); open connections stay\n{note}");
    assert_eq!(deployed.stdout, expected);
    let kibibytes = marked("v2").len() as f64 / 1024.0;
    let socket = site.file("admin.sock");
    let progress = format!(
        "Reading new.wasm …\nSending {kibibytes:.1} KiB to unix:{}; compiling and checking …\n",
        socket.display()
    );
    assert_eq!(deployed.stderr, progress);
    assert_eq!(client.ask("who").await, "v2 who");

    let json = deploy(&site, "v3", " --json").await;
    assert_eq!((json.stdout.lines().count(), json.stderr), (1, progress));
    let expected = Outcome {
        app: "chat".to_owned(),
        version: v3.clone(),
        previous: Some(v2),
        state: VersionStatus::Serving,
        canary_percent: None,
        notes: vec![note.trim_end().to_owned()],
    };
    assert_eq!(serde_json::from_str::<Outcome>(&json.stdout).unwrap(), expected);

    // The serving version is not deployed again.
    let again = deploy(&site, "v3", "").await.stdout;
    assert_eq!(again, format!("chat serves {v3} already\nThis version already serves; nothing has changed.\n"));
    assert_eq!(report(&site).await.counts.deploys, 2);
    // The version in the file needs no note.
    let back = deploy(&site, "v1", "").await.stdout;
    assert_eq!(back, format!("chat serves {v1} now (before: {v3}); open connections stay\n"));
    assert_eq!(client.ask("who").await, "v1 who");
    drop(client);
    assert_eq!(lines(&host.stop().await, "deployed").len(), 3);
}

/// The note is right: a restart serves what the file holds, and `list` says so before.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_serves_what_the_file_holds() {
    let site = site("");
    let host = site.serve().await;
    deploy(&site, "v2", "").await;
    let list = done(&site, "module list").await;
    let note = format!("\n  the module's file holds {}: a restart would serve that\n", version_of("v1"));
    assert!(list.ends_with(&note), "{list}");
    host.stop().await;
    let host = site.serve().await;
    assert_eq!(host.connect("/chat").await.ask("who").await, "v1 who");
    assert!(!done(&site, "module list").await.contains("a restart would"));
    host.stop().await;
}

/// A refused deploy ends with 1 and says on standard error what the gate says, and that the running version goes on,
/// which is true. `list` shows the refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_deploy_says_why_and_that_the_old_one_goes_on() {
    let site = site("");
    let host = site.serve().await;
    let mut client = host.connect("/chat").await;
    site.put("text.wasm", "no module");
    site.put("sick.wasm", marked("v2 check-error"));
    let sick = format!("the self-test (`check`) of version {} failed: ", version_of("v2 check-error"));
    let told = "the module returned an error: the check says no";
    for (file, kind, message) in [
        (
            "text.wasm",
            "not-wasm",
            "the component that was sent is not WebAssembly: it does not begin with `\\0asm`".into(),
        ),
        ("sick.wasm", "check", sick + told),
    ] {
        for json in ["", " --json"] {
            let refused = site.run(&format!("module deploy chat {file}{json}")).await;
            assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
            assert!(refused.stderr.ends_with(&format!("\n{message}\nthe running version goes on\n")), "{refused:?}");
        }
        assert_eq!(client.ask("who").await, "v1 who");
        let list = done(&site, "module list").await;
        let (line, age) = (format!(" ago ({kind}): {message}\n"), "\n  refused ");
        assert!(list.contains(&line) && list.contains(age), "{list}");
    }
    assert_eq!(report(&site).await.versions.len(), 1);
    drop(client);
    let log = host.stop().await;
    assert_eq!(lines(&log, "a new version was refused, the running one goes on").len(), 4, "{log}");
}

/// The table shows each state that a version can have, the newest first, with the reason of a rollback below its line.
/// So does the JSON, which is the host's own answer.
#[tokio::test(flavor = "multi_thread")]
async fn the_table_shows_the_state_of_each_version() {
    let site = site("swap = \"pin\"");
    let host = site.serve().await;
    let mut old = host.connect("/chat").await;
    assert_eq!(old.ask("who").await, "v1 who");
    deploy(&site, "v2", "").await;
    deploy(&site, "v3", "").await;
    let mut new = host.connect("/chat").await;
    assert_eq!(new.ask("who").await, "v3 who");
    deploy(&site, "v4", "").await;
    done(&site, "module rollback chat").await;
    deploy(&site, "v5", " --canary 10%").await;

    let list = done(&site, "module list").await;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!((lines[0], cells(lines[1])), ("chat  /chat  swap pin", COLUMNS.to_vec()));
    // Version, state, connections, calls.
    let mut expected = vec![
        (version_of("v5"), "canary 10%", "0", "0"),
        (version_of("v4"), "rolled back", "0", "0"),
        (version_of("v3"), "serving", "1", "2"),
        (version_of("v2"), "kept", "0", "0"),
        (version_of("v1"), "draining", "1", "2"),
    ];
    let rows = lines[2..].iter().map(|line| cells(line)).filter(|cells| cells.len() == COLUMNS.len());
    let found: Vec<_> = rows.map(|row| (row[0].to_owned(), row[2], row[3], row[4])).collect();
    assert_eq!(found, expected, "{list}");
    assert_eq!(lines[4], "    because an operator took it back");
    assert!(lines[3].contains(&version_of("v4")), "{list}");
    // Numbers end below the ends of their names, and times have units.
    for (name, row) in [("CONNECTIONS", lines[5]), ("P99", lines[5])] {
        let end = lines[1].find(name).unwrap() + name.len();
        let cell: String = row.chars().take(end).collect();
        assert!(cell.len() == cell.trim_end().len() && row.chars().nth(end).is_none_or(|next| next == ' '), "{list}");
    }
    let times = &cells(lines[5])[6..];
    assert!(times.iter().all(|time| [" ns", " µs", " ms", " s"].iter().any(|unit| time.ends_with(unit))), "{list}");
    assert_eq!(cells(lines[2])[6..], ["-", "-"], "there are no times without calls");

    let json = report(&site).await;
    let states: Vec<_> = json.versions.iter().map(|version| (version.version.clone(), version.state)).collect();
    let states_expected = [
        VersionStatus::Canary,
        VersionStatus::RolledBack,
        VersionStatus::Serving,
        VersionStatus::Kept,
        VersionStatus::Draining,
    ];
    assert_eq!(states, expected.drain(..).map(|row| row.0).zip(states_expected).collect::<Vec<_>>());
    assert_eq!(json.versions[0].canary_percent, Some(10.0));
    assert_eq!(json.versions[1].reason.as_deref(), Some("an operator took it back"));
    assert_eq!((json.path.as_str(), json.swap.as_str(), json.file_version), ("/chat", "pin", version_of("v1")));
    drop((old, new));
    host.stop().await;
}

/// A version that the host takes back by itself is in the list with the reason, and in the log as an error.
#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_rollback_is_shown_with_its_reason() {
    let site = site("rollback.min_calls = 1");
    let host = site.serve().await;
    deploy(&site, "bad all-trap", "").await;
    let mut client = host.connect("/chat").await;
    client.send("x").await;
    assert_eq!(client.closed().await.code, 1011);
    let loud = host.logs("ROLLED BACK: ", 1).await;
    assert_eq!((&loud[0]["level"], &loud[0]["version"]), (&"ERROR".into(), &version_of("bad all-trap").into()));
    assert_eq!(loud[0]["serving"], version_of("v1"));
    let report = report(&site).await;
    let bad = report.versions.iter().find(|version| version.state == VersionStatus::RolledBack).unwrap();
    let reason = bad.reason.clone().unwrap();
    assert!(loud[0]["message"].as_str().unwrap().contains(&reason), "{reason} is not in {loud:?}");
    let list = done(&site, "module list chat").await;
    assert!(list.contains(&format!("\n    because {reason}\n")), "{list}");
    assert_eq!((report.counts.automatic_rollbacks, report.counts.operator_rollbacks), (1, 0));
    host.stop().await;
}

/// A canary is promoted or taken back. Each command prints a sentence, and the deploy names the next commands.
#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_promoted_or_taken_back() {
    let site = site("");
    let host = site.serve().await;
    let mut client = host.connect("/chat").await;
    let (v1, v2) = (version_of("v1"), version_of("v2"));
    let note =
        "./chat.wasm contains another version. Copy this version there; otherwise, a restart serves the other one.\n";
    let canary = format!(
        "chat serves {v2} to 2.5% of connections now (the others: {v1}); `hassock module promote chat` gives it to \
         all, `hassock module rollback chat` takes it back\n"
    );
    assert_eq!(deploy(&site, "v2", " --canary 2.5%").await.stdout, canary);
    assert_eq!(
        done(&site, "module rollback chat").await,
        format!("chat serves {v1}; {v2} was taken back; open connections stay\n")
    );
    assert_eq!(deploy(&site, "v2", " --canary=2.5%").await.stdout, canary);
    assert_eq!(
        done(&site, "module promote chat").await,
        format!("chat serves {v2} now (before: {v1}); open connections stay\n{note}")
    );
    assert_eq!(client.ask("who").await, "v2 who");
    let back: Outcome = serde_json::from_str(&done(&site, "module rollback chat --json").await).unwrap();
    assert_eq!((back.version, back.previous, back.state), (v1, Some(v2), VersionStatus::Serving));
    assert_eq!(client.ask("who").await, "v1 who");
    for (command, words) in [
        ("promote", "`chat` has no canary; deploy one with `hassock module deploy chat FILE --canary 10%`\n"),
        (
            "rollback",
            "`chat` has no version to go back to: none that served before is still kept, was not taken back, and has its grants\n",
        ),
    ] {
        let refused = site.run(&format!("module {command} chat")).await;
        assert_eq!((refused.code, refused.stdout.as_str(), refused.stderr.as_str()), (Some(1), "", words));
    }
    drop(client);
    host.stop().await;
}

/// A pin prints a sentence, and holds: open connections stay, and move when it is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_keeps_connections_until_it_is_switched_off() {
    let site = site("");
    let host = site.serve().await;
    let mut client = host.connect("/chat").await;
    assert_eq!(
        done(&site, "module pin chat --for 90m").await,
        "chat: open connections stay on their version for 1h 30m after a deploy\n"
    );
    deploy(&site, "v2", "").await;
    assert_eq!(client.ask("who").await, "v1 who");
    let pinned: PinOutcome = serde_json::from_str(&done(&site, "module pin chat --json").await).unwrap();
    let expected = PinOutcome { app: "chat".to_owned(), swap: "pin".to_owned(), pin_for_seconds: Some(3600) };
    assert_eq!(pinned, expected);
    assert_eq!(
        done(&site, "module pin chat --off").await,
        "chat: a deploy moves open connections to the new version\n"
    );
    assert_eq!(client.ask("who").await, "v2 who");
    drop(client);
    host.stop().await;
}

/// All of it from another folder, as with a service: paths are relative to the config, but that of the module is
/// relative to the current folder. A name that needs quotes works too.
#[tokio::test(flavor = "multi_thread")]
async fn it_works_from_another_folder_and_with_any_name() {
    let odd = "a/b c?";
    let admin = "[admin]\nlisten = \"unix:run/admin.sock\"\ntoken_file = \"run/token\"\n";
    let site = Site::new(&format!("{admin}[apps.\"{odd}\"]\npath = \"/odd\"\nmodule = \"odd.wasm\"\n"));
    std::fs::create_dir(site.file("run")).unwrap();
    site.put("odd.wasm", marked("v1"));
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("new.wasm"), marked("v2")).unwrap();
    let config = site.file("hassock.toml");
    let config = config.to_str().unwrap();
    let host = Process::hassock(elsewhere.path(), ["serve", "--config", config]);
    let address = host.line("Starting server on ").await;
    let run = |arguments: &[&str]| {
        Process::hassock(elsewhere.path(), [&["module"], arguments, &["--config", config]].concat()).ends()
    };
    let deployed = run(&["deploy", odd, "new.wasm"]).await;
    assert_eq!(deployed.code, Some(0), "{deployed:?}");
    let file = site.file("odd.wasm");
    let note = format!("{} contains another version", file.display());
    assert!(deployed.stdout.contains(&format!("{odd} serves {} now", version_of("v2"))), "{deployed:?}");
    assert!(deployed.stdout.contains(&note), "{deployed:?}");
    assert_eq!(Client::connect(&address, "/odd").await.ask("who").await, "v2 who");
    assert!(run(&["list", odd]).await.stdout.starts_with(&format!("{odd}  /odd  swap live\n")));
    assert_eq!(run(&["rollback", odd]).await.code, Some(0));
    host.signal("TERM");
    assert_eq!(host.ends().await.code, Some(0));
}

/// `list` has all apps, one below the other; `list APP` has one.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_all_apps_or_one() {
    let site = site(&app("news", Path::new("chat.wasm")));
    let host = site.serve().await;
    let list = done(&site, "module list").await;
    let heads: Vec<&str> = list.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).collect();
    assert_eq!(heads, ["chat  /chat  swap live", "news  /news  swap live"]);
    assert_eq!(list.matches("\n\n").count(), 1);
    let one = done(&site, "module list news").await;
    assert!(one.starts_with("news  /news") && !one.contains("chat"), "{one}");
    let json: Vec<AppReport> = serde_json::from_str(&done(&site, "module list news --json").await).unwrap();
    assert_eq!(json.iter().map(|report| report.app.as_str()).collect::<Vec<_>>(), ["news"]);
    // A deploy of one app does not change the other.
    deploy(&site, "v2", "").await;
    eventually("the other app", || async { host.connect("/news").await.ask("who").await == "v1 who" }).await;
    host.stop().await;
}
