//! `hassock dev`: the loop of a developer. Build, serve, change, and the open connection gets the new module.

mod public;

use std::fs;
use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use hassock_tests::{
    Authority, Client, Process, app, eventually, example, hassock, refused, target, within, workspace,
};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// An app's folder.
struct Project {
    folder: TempDir,
}

impl Project {
    /// A copy of the example `commands`, as a package of its own. It shares the examples' target folder, so that
    /// only the package itself has to be built.
    fn commands(name: &str) -> Self {
        example("commands");
        let examples = workspace().join("examples-wasm");
        let build =
            format!("cargo build --release --offline --target wasm32-wasip2 --target-dir '{}'", target().display());
        let this = Self::new(&build);
        let workspace_manifest = fs::read_to_string(examples.join("Cargo.toml")).unwrap();
        let profile = &workspace_manifest[workspace_manifest.find("[profile.release]").unwrap()..];
        let sdk = workspace().join("guest-sdk");
        this.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"{name}\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n\
                 [dependencies]\nhassock-sdk = {{ path = \"{}\" }}\n{profile}",
                sdk.display()
            ),
        );
        fs::copy(examples.join("Cargo.lock"), this.folder.path().join("Cargo.lock")).unwrap();
        fs::create_dir(this.folder.path().join("src")).unwrap();
        this.write("src/lib.rs", &fs::read_to_string(examples.join("commands/src/lib.rs")).unwrap());
        this
    }

    /// A folder with an app `app` that is built by a command.
    fn new(build: &str) -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        this.write("hassock.toml", &format!("{}build = \"{build}\"\n", app("app", Path::new("app.wasm"))));
        this
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Change the source by replacing a part of it.
    fn edit(&self, part: &str, new: &str) {
        let source = fs::read_to_string(self.folder.path().join("src/lib.rs")).unwrap();
        assert!(source.contains(part), "`{part}` is not in the source");
        self.write("src/lib.rs", &source.replace(part, new));
    }

    /// Copy a component to where the build command finds it, in one step as a build tool would.
    fn put(&self, module: &Path) {
        let (temporary, file) = (self.folder.path().join("source.tmp"), self.folder.path().join("source.bin"));
        fs::copy(module, &temporary).unwrap();
        fs::rename(temporary, file).unwrap();
    }

    fn dev(&self) -> Process {
        Process::hassock(Path::new("/"), ["dev", self.folder.path().to_str().unwrap(), "--listen", "127.0.0.1:0"])
    }
}

/// The address that it prints.
async fn address(dev: &Process) -> String {
    dev.line("Test page  http://").await.trim_end_matches('/').to_owned()
}

async fn answers(client: &mut Client, question: &str, answer: &str) {
    let client = tokio::sync::Mutex::new(client);
    eventually(&format!("the answer `{answer}`"), || async { client.lock().await.ask(question).await == answer }).await;
}

/// The whole loop: the addresses are printed, a change reaches the connection that is open, a change that does
/// not compile is shown and affects no connection, and correcting it brings the next version. Invariants 3 and 7.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_the_open_connection() {
    let project = Project::commands("dev-change");
    let dev = project.dev();
    let address = address(&dev).await;
    assert_eq!(dev.line("app ").await, format!("ws://{address}/app"));
    let mut client = Client::connect(&address, "/app").await;
    assert_eq!(client.ask("test").await, "This is a test!");

    project.edit("This is a test!", "This is another test!");
    answers(&mut client, "test", "This is another test!").await;
    dev.complains("the app `app` serves version").await;

    project.edit("message.as_text()", "mesage.as_text()");
    dev.complains("error[E0425]: cannot find value `mesage`").await;
    dev.complains("The old module goes on").await;
    assert_eq!(client.ask("test").await, "This is another test!");

    project.edit("mesage.as_text()", "message.as_text()");
    project.edit("another test", "a corrected test");
    answers(&mut client, "test", "This is a corrected test!").await;
    assert_eq!(client.ask("version").await, hassock::VERSION);

    dev.ctrl_c();
    assert_eq!(client.closed().await.code, 1001);
    drop(client);
    let finished = dev.ends().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

/// A developer waits for the compiler each time, and an operator once.
#[tokio::test(flavor = "multi_thread")]
async fn dev_compiles_quickly_and_serve_optimises() {
    let project = Project::new("cp source.bin app.wasm");
    let config = app("app", Path::new("app.wasm")) + "build = \"cp source.bin app.wasm\"\n";
    project.write("hassock.toml", &format!("listen = \"127.0.0.1:0\"\n{config}[cache]\ndirectory = \"cache\"\n"));
    project.put(&example("echo"));
    let dev = project.dev();
    let address = address(&dev).await;
    assert_eq!(Client::connect(&address, "/app").await.ask("hello").await, "hello");
    dev.complains("compiler=\"winch\"").await;
    dev.ctrl_c();
    let finished = dev.ends().await;
    assert_eq!(finished.stderr.matches("compiler=").count(), 1, "{}", finished.stderr);
    // The same bytes are compiled once.
    let again = project.dev();
    self::address(&again).await;
    again.ctrl_c();
    let finished = again.ends().await;
    assert_eq!(finished.stderr.matches("compiler=").count(), 0, "{}", finished.stderr);
    let serve = Process::hassock(project.folder.path(), ["serve"]);
    serve.line("Starting server on ").await;
    serve.complains("compiler=\"cranelift\"").await;
}

/// If the first build fails, `hassock dev` waits until the source is corrected, and then serves it.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_does_not_build_at_first_is_served_when_corrected() {
    let project = Project::commands("dev-corrected");
    project.edit("struct Commands;", "struct Commands");
    let dev = project.dev();
    dev.complains("error: expected").await;
    dev.complains("Waiting for a change in").await;
    assert_eq!(dev.stdout(), "");
    project.edit("struct Commands", "struct Commands;");
    let address = address(&dev).await;
    assert_eq!(Client::connect(&address, "/app").await.ask("test").await, "This is a test!");
}

/// Ctrl-C ends the waiting for a first build that works.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_first_build_can_be_ended() {
    let project = Project::new("false");
    let dev = project.dev();
    dev.complains("Waiting for a change in").await;
    dev.ctrl_c();
    assert_eq!(dev.ends().await.code, Some(0));
}

/// A build without end: no program ever writes to that pipe.
const ENDLESS: &str = "mkfifo pipe.tmp; echo building; read line <pipe.tmp";

/// Ctrl-C also ends a build that runs after one that failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_first_build_can_be_ended() {
    let project = Project::new("sh build.sh");
    project.write("build.sh", "exit 1");
    let dev = project.dev();
    dev.complains("Waiting for a change in").await;
    project.write("build.sh", ENDLESS);
    dev.complains("building\n").await;
    dev.ctrl_c();
    assert_eq!(dev.ends().await.code, Some(0));
}

/// The same once an app is served: the clients get their 1001 although a build is going on.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_of_a_served_app_can_be_ended() {
    let (_project, dev, mut client) = building().await;
    dev.ctrl_c();
    assert_eq!(client.closed().await.code, 1001);
    drop(client);
    assert_eq!(dev.ends().await.code, Some(0));
}

/// A signal that only the host gets, not the build as from a terminal, ends the build too: no process is left that
/// still writes to the module or to the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_does_not_outlive_the_host() {
    let (_project, dev, client) = building().await;
    drop(client);
    dev.signal("TERM");
    // This waits for the end of its outputs too, which the build has inherited.
    assert_eq!(dev.ends().await.code, Some(0));
}

/// An app that is served while its next build never ends, and a client.
async fn building() -> (Project, Process, Client) {
    let project = Project::new("sh build.sh");
    project.write("build.sh", &format!("cp '{}' app.wasm", example("echo").display()));
    let dev = project.dev();
    let mut client = Client::connect(&address(&dev).await, "/app").await;
    project.write("build.sh", ENDLESS);
    dev.complains("building\n").await;
    assert_eq!(client.ask("meanwhile").await, "meanwhile");
    (project, dev, client)
}

/// A module that builds but cannot serve does not end the host: the old one goes on, and the next is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_cannot_serve_leaves_the_old_one() {
    let project = Project::new("cp source.bin app.wasm");
    project.put(&example("commands"));
    let dev = project.dev();
    let mut client = Client::connect(&address(&dev).await, "/app").await;
    assert_eq!(client.ask("test").await, "This is a test!");
    // It needs a database, which is not granted.
    project.put(&example("chat"));
    dev.complains("The old module goes on").await;
    assert_eq!(client.ask("test").await, "This is a test!");
    project.write("source.bin", "no module at all");
    dev.complains_times("The old module goes on", 2).await;
    assert_eq!(client.ask("test").await, "This is a test!");
    project.put(&example("echo"));
    answers(&mut client, "test", "test").await;
}

/// Ten versions one after the other, with messages under way all the time: each is answered exactly once, in order, by
/// one version or the other. Invariants 1 and 7.
#[tokio::test(flavor = "multi_thread")]
async fn swaps_lose_and_reorder_nothing() {
    let project = Project::new("cp source.bin app.wasm");
    project.put(&example("echo"));
    let dev = project.dev();
    let mut client = Client::connect(&address(&dev).await, "/app").await;
    let modules = [example("commands"), example("echo")];
    for (version, module) in modules.iter().cycle().take(10).enumerate() {
        project.put(module);
        let echoes = module.ends_with("echo.wasm");
        let mut number = 0;
        // Send windows of messages until the new version answers all of one.
        let mut switched = false;
        while !switched {
            let window = number..number + 50;
            for number in window.clone() {
                client.send(format!("{version}:{number}")).await;
            }
            let mut by_new = 0;
            for number in window.clone() {
                let answer = client.text().await;
                let of_echo = answer == format!("{version}:{number}");
                assert!(of_echo || answer == "Command not found", "{answer} instead of {version}:{number}");
                assert!(by_new == 0 || of_echo == echoes, "{version}:{number} was answered by the old version");
                by_new += usize::from(of_echo == echoes);
            }
            switched = by_new == window.len();
            number = window.end;
        }
    }
    let versions = dev.stderr().matches("the app `app` serves version").count();
    assert!(versions >= 9, "{}", dev.stderr());
}

/// The test page is served at the address that is printed, whatever the config says, and knows the app.
#[tokio::test(flavor = "multi_thread")]
async fn the_printed_address_has_the_test_page() {
    let project = Project::new("cp source.bin app.wasm");
    project.put(&example("echo"));
    let config = fs::read_to_string(project.folder.path().join("hassock.toml")).unwrap();
    project.write("hassock.toml", &format!("test_page = false\n{config}"));
    let dev = project.dev();
    let address = address(&dev).await;
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.unwrap();
    let mut page = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut page).await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("text/html"), "{page}");
    assert!(page.contains("{\"app\":\"app\",\"path\":\"/app\"}"), "the app is not in the page");
}

/// Each listener is printed as a client reaches it: with TLS or without, or at its path.
#[tokio::test(flavor = "multi_thread")]
async fn each_listener_is_printed_as_it_is_reached() {
    let project = Project::new("cp source.bin app.wasm");
    project.put(&example("echo"));
    let config = fs::read_to_string(project.folder.path().join("hassock.toml")).unwrap();
    let authority = Authority::new();
    let (certificate, key) = authority.issue(project.folder.path(), "site", &["localhost"]);
    let listeners = format!(
        "[listeners.secure]\naddress = \"127.0.0.1:0\"\n\
         tls.site = {{ certificate = \"{}\", key = \"{}\" }}\n[listeners.local]\naddress = \"unix:dev.sock\"\n",
        certificate.display(),
        key.display()
    );
    project.write("hassock.toml", &format!("listen = \"127.0.0.1:0\"\n{config}{listeners}"));
    let dev = Process::hassock(project.folder.path(), ["dev"]);
    let secure = dev.line("app        wss://").await;
    let address = secure.strip_suffix("/app").unwrap_or_else(|| panic!("{secure}"));
    let mut client = authority.open(address, "localhost", "/app").await;
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(within("an answer", client.next()).await.unwrap().unwrap(), Message::text("hello"));
    let plain = dev.line("app        ws://").await;
    assert!(plain.ends_with("/app"), "{plain}");
    let socket = dev.line("Listening on unix:").await;
    assert!(socket.ends_with("dev.sock"), "{socket}");
}

/// A config with a problem is refused: the problem is shown, and the exit code is 78.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_is_wrong_is_shown() {
    let project = Project::new("true");
    project.write("hassock.toml", "[apps.app]\nmodule = \"app.wasm\"\n");
    let finished = project.dev().ends().await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(78), ""));
    assert!(finished.stderr.contains("hassock.toml:1: apps.app.path: missing"), "{}", finished.stderr);
}

/// In the folder of an app, no argument is needed. `hassock dev` says what it does while it does it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_the_current_one_is_served() {
    let project = Project::new("cp source.bin app.wasm");
    project.put(&example("echo"));
    let dev = Process::hassock(project.folder.path(), ["dev", "--listen", "localhost:0"]);
    let address = address(&dev).await;
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert_eq!(Client::connect(&address, "/app").await.ask("hello").await, "hello");
    let said = dev.stderr();
    for line in ["Building app: cp source.bin app.wasm …\n", "Built ./app.wasm in ", "Loading the modules; "] {
        assert!(said.contains(line), "`{line}` is not in {said}");
    }
}

/// The port is taken before the build begins: clients wait meanwhile, and a second host on the port learns at once that
/// it is taken, and how to choose another.
#[tokio::test(flavor = "multi_thread")]
async fn the_port_is_taken_before_the_build() {
    let (first, second) = (Project::new("sh build.sh"), Project::new("echo built >&2; false"));
    first.write("build.sh", ENDLESS);
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dev = Process::hassock(first.folder.path(), ["dev", "--listen", &address.to_string()]);
    dev.complains("building\n").await;
    tokio::net::TcpStream::connect(address).await.unwrap();
    let refused = hassock(second.folder.path(), ["dev", "--listen", &address.to_string()]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{}", refused.stderr);
    for words in [format!("cannot listen on {address}: "), "`--listen localhost:9000`".to_owned()] {
        assert!(refused.stderr.contains(&words), "`{words}` is not in {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("built"), "{}", refused.stderr);
    dev.ctrl_c();
    assert_eq!(dev.ends().await.code, Some(0));
}

/// While an app is developed, its front end has a server of its own on another port. Other origins are refused, with
/// the line for the config that would allow them.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_this_machine_may_connect_and_others_may_not() {
    let project = Project::new("cp source.bin app.wasm");
    project.put(&example("echo"));
    let dev = project.dev();
    let address = address(&dev).await;
    for origin in ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:8000"] {
        let from = |request: &mut Request| {
            request.headers_mut().insert("origin", HeaderValue::from_str(origin).unwrap());
        };
        assert_eq!(Client::with(&address, "/app", from).await.unwrap().ask("hello").await, "hello", "{origin}");
    }
    let evil = |request: &mut Request| {
        request.headers_mut().insert("origin", HeaderValue::from_static("http://evil.test"));
    };
    assert_eq!(refused(&address, "/app", evil).await.0, 403);
    dev.complains("to allow them, write under [apps.app]: origins = [\"http://evil.test\"]").await;
}

/// A build writes into its folder: temporary folders, `target`, a lock file, what `.gitignore` names. None of it is a
/// reason to build again.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_writes_does_not_cause_another() {
    let project = Project::new("sh build.sh");
    project.write(".gitignore", "/generated\n");
    project.write(
        "build.sh",
        &format!(
            "mkdir -p targetcFPbMn target generated; date +%N | tee targetcFPbMn/x target/x generated/x Cargo.lock; \
             sleep 1; rm -r targetcFPbMn; cp '{}' app.wasm",
            example("echo").display()
        ),
    );
    let dev = project.dev();
    let mut client = Client::connect(&address(&dev).await, "/app").await;
    assert_eq!(client.ask("hello").await, "hello");
    project.write("README.md", "changed");
    dev.complains("README.md changed\n").await;
    dev.complains("Nothing has changed for the apps").await;
    project.write("README.md", "changed again");
    dev.complains_times("Nothing has changed for the apps", 2).await;
    let said = dev.stderr();
    assert_eq!((said.matches("Building app").count(), said.matches(" changed\n").count()), (3, 2), "{said}");
}

/// The host applies the config that it built: one that changes during a build is read for the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_changes_during_a_build_is_applied_after_the_next() {
    let project = Project::new("sh build.sh");
    let copy = |module: &str| format!("cp '{}' app.wasm", example(module).display());
    project.write("build.sh", &copy("echo"));
    let dev = project.dev();
    let address = address(&dev).await;
    let edit =
        "if grep -q /app hassock.toml; then sed 's#/app#/other#' hassock.toml >new.tmp; mv new.tmp hassock.toml; fi";
    project.write("build.sh", &format!("{edit}; {}", copy("commands")));
    dev.complains("Now the app `app` is at /other now, not at /app").await;
    let said = dev.stderr();
    let (first, second) = (said.find("serves version").unwrap(), said.find("is at /other").unwrap());
    assert!(first < second && said[first..second].contains("hassock.toml changed"), "{said}");
    assert_eq!(Client::connect(&address, "/other").await.ask("test").await, "This is a test!");
}

/// A config is corrected while nothing is served yet: the next build takes its command from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_corrected_config_counts_before_the_first_build_succeeds() {
    let project = Project::new("false");
    project.put(&example("echo"));
    let dev = project.dev();
    dev.complains("Waiting for a change in").await;
    let config = fs::read_to_string(project.folder.path().join("hassock.toml")).unwrap();
    project.write("hassock.toml", &config.replace("\"false\"", "\"cp source.bin app.wasm\""));
    assert_eq!(Client::connect(&address(&dev).await, "/app").await.ask("hello").await, "hello");
}
