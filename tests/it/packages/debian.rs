//! The Debian package on a machine of its own: the page of the book is played, the package is upgraded under load, and purged.

mod clients;
mod plain;
mod traces;

use std::fs;

use futures_util::future::join_all;
use hassock::module::version_id;
use hassock_tests::{Authority, Machine, TlsClient, eventually, example, guest};
use serde_json::Value;
use tempfile::TempDir;

use super::deb;
use super::page::Page;
use clients::{Ends, NAME, closed, described, open, try_open};
use traces::assert_no_trace;

/// Connections that are open while the package is upgraded.
const CONNECTIONS: usize = 200;

/// An app that writes down each `open` and `closed`, into the database of the page.
const PROBE: &str = "
[apps.probe]
path = \"/probe\"
module = \"/usr/local/lib/hassock/probe.wasm\"
databases = { main = \"read-write\" }

[apps.probe.settings]
events = true
";

/// What is copied to the machine.
async fn parcel() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(example("chat"), folder.path().join("chat.wasm")).unwrap();
    fs::copy(guest("probe"), folder.path().join("probe.wasm")).unwrap();
    for revision in ["1", "2"] {
        deb(folder.path(), revision).await;
    }
    folder
}

/// The page of the book, from a bare machine to a served app and back.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_leads_to_a_served_app_and_back() {
    let Some(machine) = Machine::here().await else {
        let parcel = parcel().await;
        return Machine::boot("packages::debian::the_page_leads_to_a_served_app_and_back", parcel.path()).await;
    };
    let (authority, mut page) = (Authority::new(), Page::read());
    prepare(&machine, &authority).await;
    let before = machine.changes();
    let clients = start(&machine, &authority, &mut page).await;
    change(&machine, &authority, &mut page, clients).await;
    upgrade(&machine, &authority, &mut page).await;
    page.play(&machine, "tls").await;
    chat(&authority).await;
    machine.run("systemctl enable nginx && systemctl stop hassock").await;
    ends_are_complete(&machine).await;
    page.play(&machine, "purge").await;
    assert!(page.is_played(), "a step of the page is not played");
    assert_no_trace(&before, &machine.changes());
    plain::installs_without_systemd(&machine).await;
    assert_no_trace(&before, &machine.changes());
}

/// From the package to two clients who talk through nginx.
async fn start(machine: &Machine, authority: &Authority, page: &mut Page) -> [TlsClient; 2] {
    page.play(machine, "install").await;
    is_installed(machine).await;
    page.play(machine, "app").await;
    certificate(machine, authority);
    page.play(machine, "nginx").await;
    let answers = page.play(machine, "start").await;
    assert!(answers.ends_with("ok\n426\n"), "{answers}");
    chat(authority).await
}

/// One more app, and a new version of the first one, without an end of its connections.
async fn change(machine: &Machine, authority: &Authority, page: &mut Page, mut clients: [TlsClient; 2]) {
    let config = machine.file("/etc/hassock/hassock.toml");
    fs::copy(machine.parcel("probe.wasm"), machine.file("/usr/local/lib/hassock/probe.wasm")).unwrap();
    fs::write(&config, fs::read_to_string(&config).unwrap() + PROBE).unwrap();
    page.play(machine, "change").await;
    eventually("the new app", || async { try_open(authority, "/probe").await.is_some() }).await;
    the_address_of_a_client_is_its_own(authority).await;
    let version = new_module(machine);
    assert!(page.play(machine, "deploy").await.contains("serving"));
    let list = "hassock module list chat --config /etc/hassock/hassock.toml";
    eventually("the new version", || async { machine.run(list).await.contains(&version) }).await;
    talk(&mut clients).await;
    let watched = page.play(machine, "watch").await;
    for expected in ["active (running)", "Reloaded hassock.service", "INFO deployed", "\nok\n"] {
        assert!(watched.contains(expected), "{watched}");
    }
    // The last one is missing if the unit takes too much away.
    let metrics = page.play(machine, "metrics").await;
    for expected in ["hassock_connections{", "process_start_time_seconds "] {
        assert!(metrics.contains(expected), "{metrics}");
    }
}

/// What a bare machine on the internet has: its name, files that were copied to it, and services that may be started.
async fn prepare(machine: &Machine, authority: &Authority) {
    for file in fs::read_dir(machine.parcel("")).unwrap().map(|file| file.unwrap()) {
        fs::copy(file.path(), machine.file("/root").join(file.file_name())).unwrap();
    }
    fs::write(machine.file("/root/authority.pem"), authority.pem()).unwrap();
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    fs::write(machine.file("/etc/hosts"), format!("{hosts}\n127.0.0.1 {NAME}\n")).unwrap();
    // With the first file, images for containers forbid packages to start services. Without the second one, the index of manual
    // pages is not built again each time, which takes half of the test.
    machine.run("rm -f /usr/sbin/policy-rc.d /var/lib/man-db/auto-update").await;
    // Here the package of nginx is installed already, and that starts it.
    machine.run("systemctl start nginx").await;
}

/// The package is installed as Debian expects it, and waits for its first app.
async fn is_installed(machine: &Machine) {
    machine.run("systemd-analyze verify --man=no hassock.service").await;
    machine
        .run(
            "cd /usr/share/hassock && test -f nginx-site.conf -a -f grafana-dashboard.json -a -f prometheus-alerts.yml",
        )
        .await;
    let rights = machine.run("stat --format '%U:%G %a' /etc/hassock /etc/hassock/hassock.toml /var/lib/hassock").await;
    assert_eq!(rights, "root:hassock 750\nroot:hassock 640\nhassock:hassock 750\n");
    let state = machine.finished("systemctl is-active hassock; systemctl is-enabled hassock").await;
    assert_eq!(state.stdout.lines().next(), Some("inactive"), "{}", state.stdout);
    // A config without an app cannot be served, and systemd does not try again.
    let refused = machine.finished("systemctl start hassock").await;
    assert_ne!(refused.code, Some(0));
    let shown = machine.run("systemctl show hassock --property ExecMainStatus,NRestarts,ActiveState").await;
    for line in ["ExecMainStatus=78", "NRestarts=0", "ActiveState=failed"] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
}

/// What certbot would do.
fn certificate(machine: &Machine, authority: &Authority) {
    let folder = machine.file(&format!("/etc/letsencrypt/live/{NAME}"));
    fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = authority.issue(&folder, "new", &[NAME]);
    fs::rename(certificate, folder.join("fullchain.pem")).unwrap();
    fs::rename(key, folder.join("privkey.pem")).unwrap();
}

/// Two clients of the example, who talk.
async fn chat(authority: &Authority) -> [TlsClient; 2] {
    let alice = open(authority, "/chat?room=lobby&name=alice").await;
    let mut clients = [alice, open(authority, "/chat?room=lobby&name=bob").await];
    talk(&mut clients).await;
    clients
}

async fn talk([alice, bob]: &mut [TlsClient; 2]) {
    clients::send(bob, r#"{"say":"hi"}"#).await;
    clients::hears(alice, r#""say":"hi""#).await;
}

/// What a developer has built: the same module with another name of a section. Returns the name of its version.
fn new_module(machine: &Machine) -> String {
    let file = machine.file("/root/chat.wasm");
    // A custom section with the name `v2` and no content.
    let bytes = [fs::read(&file).unwrap(), [0, 3, 2].to_vec(), b"v2".to_vec()].concat();
    fs::write(&file, &bytes).unwrap();
    version_id(&bytes).to_string()
}

async fn the_address_of_a_client_is_its_own(authority: &Authority) {
    let described: Value = described(authority, "127.0.0.7", "203.0.113.9").await;
    assert_eq!((described["remote"].as_str(), described["secure"].as_bool()), (Some("127.0.0.7"), Some(true)));
}

async fn main_process(machine: &Machine) -> String {
    machine.run("systemctl show hassock --property MainPID --value").await.trim().to_owned()
}

/// All connections are closed by the old program, and can be opened again when the new one runs.
async fn upgrade(machine: &Machine, authority: &Authority, page: &mut Page) {
    let old = main_process(machine).await;
    let clients = join_all((0..CONNECTIONS).map(|_| open(authority, "/probe"))).await;
    let (_, ends) = tokio::join!(page.play(machine, "upgrade"), join_all(clients.into_iter().map(closed)));
    assert_eq!(ends, [1001; CONNECTIONS]);
    assert_eq!(machine.run("dpkg-query --show --showformat '${Version}' hassock").await, "0.1.0-2");
    let new = main_process(machine).await;
    assert!(old != new && new != "0", "{old} and {new}");
    let mut again = join_all((0..CONNECTIONS).map(|_| open(authority, "/probe"))).await;
    for client in &mut again {
        clients::send(client, "after the upgrade").await;
        clients::hears(client, "after the upgrade").await;
    }
    let config = fs::read_to_string(machine.file("/etc/hassock/hassock.toml")).unwrap();
    assert!(config.ends_with(PROBE), "the upgrade has changed the config");
}

/// Every `open` has one `closed`, also of the connections that the old program has closed. Invariant 2.
async fn ends_are_complete(machine: &Machine) {
    let ends = Ends::read(&machine.file("/var/lib/hassock/chat.db")).await;
    assert!(ends.opened() >= 2 * CONNECTIONS, "{} were opened", ends.opened());
    ends.are_complete();
    let rights = machine.run("stat --format '%U %a' /var/lib/hassock /var/lib/hassock/token").await;
    assert_eq!(rights, "hassock 750\nhassock 600\n");
}
