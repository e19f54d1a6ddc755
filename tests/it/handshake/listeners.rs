//! `listen` and `[listeners.NAME]`: several, of TCP and Unix, and those that systemd has opened.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use futures_util::{SinkExt, StreamExt};
use hassock::StartError;
use hassock_tests::{Client, Process, TestHost, app, app_with_database, binary, cache, example, guest, within};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

async fn through(path: &str, target: &str) -> WebSocketStream<UnixStream> {
    let stream = UnixStream::connect(path).await.unwrap();
    within("the handshake", client_async(format!("ws://hassock.test{target}"), stream)).await.unwrap().0
}

/// A host may have several listeners. Its bounds are those of all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_has_several_listeners() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let listen = format!("listen = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"unix:{}\"]\n", path.display());
    let config = format!("{listen}{}", app_with_database("probe", &guest("probe"), "sqlite::memory:"));
    let host = TestHost::start_as_is(&config).await;
    let addresses: Vec<String> = host.host.listening().iter().map(|listening| listening.address.to_string()).collect();
    assert_eq!(addresses.len(), 3);
    assert_ne!(addresses[0], addresses[1]);
    for address in &addresses[..2] {
        assert_eq!(Client::connect(address, "/probe").await.ask("tcp").await, "tcp");
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
    let mut client = through(&path.display().to_string(), "/probe?open=describe").await;
    let seen = within("a message", client.next()).await.unwrap().unwrap();
    let seen: Value = serde_json::from_str(seen.to_text().unwrap()).unwrap();
    assert_eq!((&seen["remote"], &seen["secure"]), (&"unix".into(), &false.into()));
    client.send(Message::text("unix")).await.unwrap();
    assert_eq!(within("a message", client.next()).await.unwrap().unwrap().to_text().unwrap(), "unix");
    assert_eq!(host.drain().await, 0);
    assert!(!path.exists(), "the host removes its socket");
}

/// Each listener may be the one that the last free place goes to.
#[tokio::test(flavor = "multi_thread")]
async fn listeners_that_wait_take_no_place() {
    let listen = "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n[limits]\nmax_connections = 1\n";
    let host = TestHost::start_as_is(&format!("{listen}{}", app("echo", &example("echo")))).await;
    let addresses: Vec<String> = host.host.listening().iter().map(|listening| listening.address.to_string()).collect();
    for _ in 0..3 {
        for address in &addresses {
            let mut client = Client::connect(address, "/echo").await;
            assert_eq!(client.ask("the only one").await, "the only one");
            client.socket.close(None).await.unwrap();
            client.closed().await;
        }
    }
}

/// `connections_per_address`: through a Unix socket, each user of the machine has as many.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_machine_gets_so_many_connections() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock").display().to_string();
    let listen = format!("listen = \"unix:{path}\"\n[limits]\nconnections_per_address = 2\n");
    let _host = TestHost::start_as_is(&format!("{listen}{}", app("echo", &example("echo")))).await;
    let (_one, _two) = (through(&path, "/echo").await, through(&path, "/echo").await);
    let third = client_async("ws://hassock.test/echo", UnixStream::connect(&path).await.unwrap()).await;
    let Err(Error::Http(answer)) = third else { panic!("a third connection") };
    assert_eq!(answer.status(), 429);
}

/// The mode of a socket, and a place that is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_has_its_mode_and_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let listener = format!("[listeners.web]\naddress = \"unix:{}\"\nmode = \"0660\"\n", path.display());
    let config = format!("{listener}{}", app("echo", &example("echo")));
    let host = TestHost::start_as_is(&config).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let Err(error) = TestHost::try_start_as_is(&config).await else { panic!("two hosts on one socket") };
    assert!(matches!(error, StartError::Listen { .. }));
    let expected =
        format!("cannot listen on unix:{}: another host listens there; change `listeners.web.address`", path.display());
    assert_eq!(error.to_string(), expected);
    host.drain().await;
    fs::write(&path, "a file").unwrap();
    let Err(error) = TestHost::try_start_as_is(&config).await else { panic!("a file is in the way") };
    assert!(error.to_string().contains("there is a file that is not a socket"), "{error}");
}

/// What systemd does for a `.socket` unit, see sd_listen_fds(3): it passes open sockets with their names.
const ACTIVATE: &str = r#"
import os, socket, sys
web = socket.socket(); web.bind(("127.0.0.1", 0)); web.listen()
local = socket.socket(socket.AF_UNIX); local.bind(sys.argv[1]); local.listen()
print("port", web.getsockname()[1], flush=True)
saved = os.dup(web.fileno()), os.dup(local.fileno())
for place, socket in enumerate(saved): os.dup2(socket, 3 + place)
os.environ.update(LISTEN_FDS="2", LISTEN_FDNAMES=os.environ.get("NAMES", "web:local"), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"#;

/// A host with the sockets `web`, and `local` at `local.sock`.
fn activated(folder: &Path) -> Process {
    activated_as(folder, "web:local")
}

/// The same with other names.
fn activated_as(folder: &Path, names: &str) -> Process {
    let mut command = Command::new("python3");
    command.args(["-c", ACTIVATE, "local.sock"]).arg(binary()).arg("serve");
    command.current_dir(folder).env("CACHE_DIRECTORY", cache()).env("NAMES", names);
    Process::start(command)
}

/// Socket activation: the host serves on sockets that it was started with, and names those that it was not.
#[tokio::test(flavor = "multi_thread")]
async fn systemd_may_open_the_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("local.sock");
    let config = |listen: &str| format!("listen = {listen}\n{}", app("echo", &example("echo")));
    fs::write(folder.path().join("hassock.toml"), config("[\"systemd:local\", \"systemd:web\"]")).unwrap();
    let host = activated(folder.path());
    let port = host.line("port ").await;
    host.prints(&format!("Starting server on 127.0.0.1:{port}\n")).await;
    assert_eq!(Client::connect(&format!("127.0.0.1:{port}"), "/echo").await.ask("web").await, "web");
    let mut client = through(&path.display().to_string(), "/echo").await;
    client.send(Message::text("local")).await.unwrap();
    assert_eq!(within("a message", client.next()).await.unwrap().unwrap().to_text().unwrap(), "local");
    fs::write(folder.path().join("hassock.toml"), config("\"systemd:other\"")).unwrap();
    fs::remove_file(&path).unwrap();
    let host = activated(folder.path());
    host.complains("systemd has passed no socket of that name, but `web:local`").await;
    fs::remove_file(&path).unwrap();
    let host = activated_as(folder.path(), "other:other");
    host.complains("systemd has passed several sockets of the name `other`").await;
    let host = Process::hassock(folder.path(), ["serve"]);
    host.complains("systemd has passed no sockets; start the host through a `.socket` unit").await;
}
