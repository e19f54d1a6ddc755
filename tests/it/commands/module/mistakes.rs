//! Commands that fail: what they say, and which exit code they end with. 1: it may work another time; 78: the config
//! must be corrected; 2: it was mistyped.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use super::*;

const COMMANDS: [&str; 5] = ["list", "deploy chat chat.wasm", "promote chat", "rollback chat", "pin chat"];

/// Every command ends like this.
async fn all_end(site: &Site, code: i32, expected: &str) {
    for command in COMMANDS {
        ends(site, command, code, expected).await;
    }
}

async fn ends(site: &Site, command: &str, code: i32, expected: &str) {
    let finished = site.run(&format!("module {command}")).await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(code), ""), "{command}: {finished:?}");
    assert!(finished.stderr.contains(expected), "`{expected}` is not in {command}: {}", finished.stderr);
}

/// No host answers: before the first start, after the end, and at the socket of one that was killed.
#[tokio::test(flavor = "multi_thread")]
async fn no_host_is_running() {
    let site = site("");
    let never =
        "hassock.token: there is no such file; the host creates it when it starts: is it running with this config?";
    all_end(&site, 1, never).await;
    let host = site.serve().await;
    host.stop().await;
    let gone = format!("no host answers at unix:{}: is it running? (", site.file("admin.sock").display());
    all_end(&site, 1, &gone).await;
    let host = site.serve().await;
    host.process.signal("KILL");
    host.process.ends().await;
    all_end(&site, 1, &gone).await;
}

/// Another host's token is refused. The message names its file.
#[tokio::test(flavor = "multi_thread")]
async fn another_hosts_token_is_refused() {
    let site = site("");
    let host = site.serve().await;
    site.put("hassock.token", "0123456789abcdef");
    let refused = "does not accept the token in ./hassock.token; was it started with this config?";
    all_end(&site, 1, refused).await;
    assert!(lines(&host.stop().await, "deployed").is_empty());
}

/// A problem of the config is reported with its line, and no host is asked. Other tables are not read: a command needs
/// neither their databases nor their passwords.
#[tokio::test(flavor = "multi_thread")]
async fn a_problem_of_the_config_is_reported_with_its_line() {
    let site = site("");
    let database = "[databases.main]\nurl = \"mysql://u:${HASSOCK_NO_SUCH_VARIABLE}@h/d\"\n";
    for (config, expected) in [
        ("", "hassock.toml: admin: missing; a host accepts commands if its config has a table `[admin]`. Add it"),
        (
            "[admin]\nlisten = \"127.0.0.1:0\"",
            "hassock.toml:4: admin.listen: port 0 is any free port, which this command cannot know",
        ),
        ("[admin]\nlisten = \"192.0.2.1:80\"", "hassock.toml:4: admin.listen: `192.0.2.1:80` can be reached from"),
        ("[admin]\nlisten = \"here\"", "hassock.toml:4: admin.listen: `here` is not an address; write it as"),
        ("[admin]\nlisen = 1", "hassock.toml:4: admin.lisen: unknown key `lisen`, expected one of `listen`"),
        ("[admin]\ntoken_file = \"open\"", "hassock.toml:4: admin.token_file: ./open: has mode 0644"),
        ("[admin]\ntoken_file = \"short\"", "hassock.toml:4: admin.token_file: ./short: does not contain a token"),
        ("[admin", "hassock.toml:3: "),
    ] {
        site.configure(&format!("{config}\n{database}"));
        site.put("open", "0123456789abcdef");
        site.put("short", "0123456789");
        fs::set_permissions(site.file("open"), Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(site.file("short"), Permissions::from_mode(0o600)).unwrap();
        all_end(&site, 78, expected).await;
    }
    fs::remove_file(site.file("hassock.toml")).unwrap();
    all_end(&site, 78, "hassock.toml: cannot read the config: No such file or directory").await;
    ends(&site, "list --config no/such.toml", 78, "no/such.toml: cannot read the config: ").await;
}

/// Apps and files that do not exist, and mistyped arguments, are named, and nothing is deployed.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_or_is_mistyped_is_named() {
    let site = site("");
    let host = site.serve().await;
    site.put("new.wasm", marked("v2"));
    let unknown = "there is no app `chta`; the config has `chat`";
    for command in ["list chta", "deploy chta new.wasm", "promote chta", "rollback chta", "pin chta"] {
        ends(&site, command, 1, unknown).await;
    }
    // The command does not send a module for an app that does not exist.
    let unsent = site.run("module deploy chta new.wasm").await;
    assert!(!unsent.stderr.contains("Sending"), "{unsent:?}");
    let missing = "cannot read the module chat.wsam: No such file or directory";
    ends(&site, "deploy chat chat.wsam", 1, missing).await;
    ends(&site, "deploy chat .", 1, "cannot read the module .: Is a directory").await;
    for (command, expected) in [
        ("deploy chat new.wasm --cannary 10%", "unexpected argument '--cannary'"),
        ("deploy chat new.wasm --canary 10", "`10` is not a share; write it as \"10%\""),
        ("deploy chat new.wasm --canary 100%", "`100%` is not a share"),
        ("deploy chat new.wasm --canary", "a value is required for '--canary <SHARE>'"),
        ("deploy chat", "<FILE>"),
        ("pin chat --for ages", "invalid value 'ages' for '--for <TIME>'"),
        ("pin chat --for 10m --off", "cannot be used with '--off'"),
        ("promote", "<APP>"),
        ("rolback chat", "unrecognized subcommand 'rolback'"),
    ] {
        ends(&site, command, 2, expected).await;
    }
    // Only the host refuses these.
    ends(&site, "pin chat --for 0s", 1, "`for` must be longer than zero and at most a year").await;
    ends(&site, "pin chat --for 2years", 1, "`for` must be longer than zero and at most a year").await;
    let log = host.stop().await;
    assert!(!log.contains("deployed") && !log.contains(&version_of("v2")), "{log}");
}

/// A module that is larger than `module_bytes` is not sent. If the host's bound is lower than the config now says,
/// because it was started with another, the host refuses it, and its message arrives although the module was being
/// sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_too_large_is_not_sent() {
    let site = site("");
    let config = fs::read_to_string(site.file("hassock.toml")).unwrap();
    let bounded = |bytes: &str| config.replace("[admin]\n", &format!("[admin]\nmodule_bytes = \"{bytes}\"\n"));
    site.put("hassock.toml", bounded("1MiB"));
    let host = site.serve().await;
    let mut large = marked("v2");
    large.resize(8 << 20, 0);
    site.put("large.wasm", large);
    let here = "the module has 8.0 MiB, and the host accepts at most `admin.module_bytes` = 1.0 MiB";
    ends(&site, "deploy chat large.wasm", 1, here).await;
    site.put("hassock.toml", bounded("64MiB"));
    let there = "the module is larger than `admin.module_bytes` = 1.0 MiB\n";
    ends(&site, "deploy chat large.wasm", 1, there).await;
    host.stop().await;
}

/// Over TCP all is the same. The messages about another program's port and an unused one differ.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_works_like_a_unix_socket() {
    let site = site("");
    let config = fs::read_to_string(site.file("hassock.toml")).unwrap();
    // The port was free a moment ago. If another test has taken it since, try another port.
    let (host, port) = loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        site.put("hassock.toml", config.replace("unix:admin.sock", &format!("127.0.0.1:{port}")));
        let host = Process::hassock(site.folder(), ["serve"]);
        if host.line_if_any("Starting server on ").await.is_some() {
            break (host, port);
        }
    };
    let deployed = deploy(&site, "v2", "").await;
    assert!(deployed.stderr.contains(&format!(" to http://127.0.0.1:{port}; compiling")), "{}", deployed.stderr);
    assert_eq!(report(&site).await.versions.len(), 2);
    host.signal("TERM");
    assert_eq!(host.ends().await.code, Some(0));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    site.put("hassock.toml", config.replace("unix:admin.sock", &address.to_string()));
    // It closes the connection without an answer.
    let hang_up = std::thread::spawn(move || drop(other.accept()));
    let words = format!("the response of the host at http://{address} cannot be understood: ");
    ends(&site, "list", 1, &words).await;
    hang_up.join().unwrap();
    ends(&site, "list", 1, &format!("no host answers at http://{address}: is it running? (Connection refused")).await;
}
