//! Where the listener listens, and clients that hold its connections and do nothing.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use hassock::StartError;
use hassock::admin::AdminError;
use hassock_tests::admin::answer;
use hassock_tests::{Raw, Site, raw};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

/// A path for a Unix socket, in a folder that outlives hosts, and the key that names it.
struct Place {
    _folder: TempDir,
    socket: PathBuf,
    listen: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("admin.sock");
        let listen = format!("listen = \"unix:{}\"", socket.display());
        Self { _folder: folder, socket, listen }
    }
}

/// The error of a host that cannot listen there.
async fn refused(listen: &str) -> String {
    let module = module_file(&marked("v1"));
    match TestHost::try_start(&format!("[admin]\n{listen}\n{}", app("marked", module.path()))).await {
        Err(StartError::Admin(error @ AdminError::Listen { .. })) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the host starts"),
    }
}

/// Port 0 is any free port of this machine, and not that of the clients: neither listener does the other's work.
#[tokio::test(flavor = "multi_thread")]
async fn port_0_is_any_free_port_of_this_machine() {
    let bench = Bench::start().await;
    let address = bench.host.host.admin_address().unwrap();
    let port: u16 = address.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
    assert!(port != 0 && port != bench.host.host.local_addr().unwrap().port(), "{address}");
    for line in ["GET /v1/apps", "GET /metrics", "GET /health"] {
        let mut public = Raw::connect(&bench.host.address()).await;
        public.send(bench.operator.head(line, "")).await;
        assert_eq!(public.answer().await.status, 404, "{line}");
    }
    let mut client = Raw::connect(address.trim_start_matches("http://")).await;
    client.send(raw::upgrade("/marked")).await;
    assert_eq!(client.answer().await.status, 401);
}

/// Only the host's user may use a Unix socket, and it is removed when the host ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_for_its_user_and_goes_with_the_host() {
    let place = Place::new();
    let bench = Bench::with(&place.listen, "").await;
    assert_eq!(bench.host.host.admin_address().unwrap(), format!("unix:{}", place.socket.display()));
    let metadata = fs::symlink_metadata(&place.socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(bench.operator.ask("GET /v1/apps").await.json()[0]["app"], "marked");
    assert_eq!(bench.host.drain().await, 0);
    assert!(fs::symlink_metadata(&place.socket).is_err(), "the socket is left behind");
}

/// The socket of a host that was killed is replaced. That of a host that runs is not, and that host is not disturbed.
#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_a_dead_host_is_replaced_and_that_of_a_live_one_is_not() {
    let place = Place::new();
    // Closing the listener leaves the file behind, as a killed host does.
    drop(UnixListener::bind(&place.socket).unwrap());
    let bench = Bench::with(&place.listen, "").await;
    let second = refused(&place.listen).await;
    let expected = format!("cannot listen on unix:{}: another host listens there", place.socket.display());
    assert!(second.starts_with(&expected) && second.ends_with("; change `admin.listen`"), "{second}");
    assert_eq!(bench.operator.ask("GET /v1/apps").await.status, 200, "the second did not disturb the first");
    bench.host.drain().await;
    let again = Bench::with(&place.listen, "").await;
    assert_eq!(again.operator.ask("GET /v1/apps").await.status, 200);
}

/// The same for the program: it starts after one that was killed, and a second one ends with 1.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_does_not_prevent_the_next_start() {
    let site = Site::new(&format!("[admin]\nlisten = \"unix:admin.sock\"\n{}", app("m", Path::new("m.wasm"))));
    site.put("m.wasm", marked("v1"));
    let killed = site.serve().await;
    killed.process.signal("KILL");
    assert_eq!(killed.process.ends().await.signal, Some(9));
    assert!(site.file("admin.sock").exists());
    let host = site.serve().await;
    let second = site.run("serve").await;
    assert_eq!((second.code, second.stdout.as_str()), (Some(1), ""), "{}", second.stderr);
    assert!(second.stderr.contains("another host listens there; change `admin.listen`"), "{}", second.stderr);
    assert_eq!(site.run("module list").await.code, Some(0));
    host.stop().await;
    assert!(!site.file("admin.sock").exists());
}

/// A file that is not a socket is never removed: neither when the host starts, nor when it stops and finds another
/// file, or another host's socket, in the place of its own.
#[tokio::test(flavor = "multi_thread")]
async fn another_file_is_never_removed() {
    let place = Place::new();
    fs::write(&place.socket, "precious").unwrap();
    let words = refused(&place.listen).await;
    assert!(words.contains("there is a file that is not a socket; remove it"), "{words}");
    assert_eq!(fs::read_to_string(&place.socket).unwrap(), "precious");
    fs::remove_file(&place.socket).unwrap();

    let bench = Bench::with(&place.listen, "").await;
    fs::remove_file(&place.socket).unwrap();
    fs::write(&place.socket, "somebody else's").unwrap();
    bench.host.drain().await;
    assert_eq!(fs::read_to_string(&place.socket).unwrap(), "somebody else's");
    fs::remove_file(&place.socket).unwrap();

    let bench = Bench::with(&place.listen, "").await;
    fs::remove_file(&place.socket).unwrap();
    let other = UnixListener::bind(&place.socket).unwrap();
    bench.host.drain().await;
    assert!(fs::symlink_metadata(&place.socket).is_ok(), "it belongs to the other host");
    drop(other);
}

/// An address that is in use, or a folder that does not exist, is named, with the key to change.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_used_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let expected = format!("cannot listen on http://{address}: another program listens there; change `admin.listen`");
    assert_eq!(refused(&format!("listen = \"{address}\"")).await, expected);
    let nowhere = refused("listen = \"unix:/no/such/folder/admin.sock\"").await;
    let expected = "cannot listen on unix:/no/such/folder/admin.sock: No such file or directory";
    assert!(nowhere.starts_with(expected) && nowhere.ends_with("; change `admin.listen`"), "{nowhere}");
}

/// An address that other machines could reach is a problem of the config, before anything listens. Loopback, also of
/// IPv6, is not.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_could_reach_is_a_problem_of_the_config() {
    let module = module_file(&marked("v1"));
    for address in ["0.0.0.0:9090", "192.0.2.1:9090", "[::]:9090", "[2001:db8::1]:9090"] {
        let config = format!("[admin]\nlisten = \"{address}\"\n{}", app("marked", module.path()));
        let Err(StartError::Problems(problems)) = TestHost::try_start(&config).await else { panic!("{address}") };
        let [problem] = problems.0.as_slice() else { panic!("{problems}") };
        assert_eq!((problem.key.as_str(), problem.line), ("admin.listen", Some(3)));
        let words = format!("`{address}` can be reached from other machines");
        assert!(problem.message.contains(&words) && problem.message.contains("ssh -L 9090:"), "{problem}");
    }
    let bench = Bench::with("listen = \"[::1]:0\"", "").await;
    assert_eq!(bench.operator.ask("GET /v1/apps").await.status, 200);
}

/// Without the table `[admin]` there is no admin listener.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_table_there_is_no_listener() {
    let module = module_file(&marked("v1"));
    let host = TestHost::start(&app("marked", module.path())).await;
    assert_eq!(host.host.admin_address(), None);
    assert!(!host.file("hassock.token").exists());
}

/// `max_connections` and `request_timeout`: a client that sends half a request is cut off, and the next gets its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_does_not_keep_its_place() {
    let bench = Bench::with("max_connections = 1\nrequest_timeout = \"20ms\"", "").await;
    for beginning in ["", "GET /hea", "GET /health HTTP/1.1\r\nhost: x\r\n"] {
        let mut silent = bench.operator.connect().await;
        silent.write_all(beginning.as_bytes()).await.unwrap();
        // The silent client has the only place, because connections are accepted in order.
        assert_eq!(bench.operator.ask("GET /health").await.status, 200, "{beginning}");
        // The client is cut off, with an error or without, but its request is not answered.
        assert!(answer(silent).await.is_none_or(|answer| answer.status == 408), "{beginning}");
    }
}

/// The same for a client that does not read a long answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_does_not_keep_its_place() {
    // Each line of the metrics contains the name: more than the buffers of a socket hold.
    let name = "x".repeat(1 << 19);
    let module = module_file(&marked("v1"));
    let admin = "[admin]\nlisten = \"unix:admin.sock\"\nmax_connections = 1\nrequest_timeout = \"200ms\"\n";
    let app = format!("[apps.{name}]\npath = \"/x\"\nmodule = \"{}\"\n", module.path().display());
    let host = TestHost::start(&format!("{admin}{app}")).await;
    let operator = Operator::of(&host);
    let mut lazy = operator.connect().await;
    lazy.write_all(operator.head("GET /metrics", "").as_bytes()).await.unwrap();
    assert_eq!(operator.ask("GET /health").await.status, 200);
    let rest = answer(lazy).await.unwrap();
    let length: usize = rest.header("content-length").unwrap().parse().unwrap();
    assert!(rest.body.len() < length, "it was all sent before the place was free");
}

/// One request per connection, so that the limits of a connection also limit a request.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_for_one_request() {
    let bench = Bench::start().await;
    let request = bench.operator.head("GET /health", "connection: keep-alive\r\n");
    let answer = bench.operator.raw([request.as_str(), request.as_str()].concat()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    assert_eq!(answer.header("connection").as_deref(), Some("close"));
}
