//! `--url`: against a running host, through real sockets.

use std::io::Read;
use std::net::TcpListener;
use std::thread;

use hassock_tests::{TestHost, app_with_database, example, guest};

use super::agreement::{is_wireable, read};
use super::{Folder, assert_said};

#[tokio::test(flavor = "multi_thread")]
async fn transcripts_pass_against_a_running_host() {
    let folder = Folder::example("chat");
    let mut played = 0;
    for file in folder.transcripts().into_iter().filter(|file| is_wireable(&read(file))) {
        let chat = app_with_database("chat", &example("chat"), "sqlite::memory:");
        let topics = "[apps.chat.topics.\"room:*\"]\nhistory = 200\npresence = true\n";
        let host = TestHost::start(&format!("{chat}{topics}")).await;
        let arguments = format!(". {} --url ws://{} --wait 30s", file.display(), host.address());
        let finished = folder.test(&arguments).await;
        assert_said(&finished, 0, &["1 passed, 0 failed in "]);
        // The cost is known only inside the process.
        assert!(!finished.stdout.contains("CALLS"), "{}", finished.stdout);
        played += 1;
    }
    assert!(played >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_come_is_waited_for_only_so_long() {
    let host = TestHost::start(&app_with_database("probe", &guest("probe"), "sqlite::memory:")).await;
    let folder = Folder::new().with("x.transcript", "connect a /probe\na > x\na < x\na < y\n");
    let arguments = format!(". x.transcript --url ws://{} --wait 100ms", host.address());
    assert_said(&folder.test(&arguments).await, 1, &["x.transcript:4: `a` got no message; its connection is open"]);
    folder.put("x.transcript", "connect a /probe\na > x\na nothing\n");
    assert_said(&folder.test(&arguments).await, 1, &["x.transcript:3: `a` got 1 message: x, but nothing was expected"]);
}

/// Time is real there: without a real `advance`, the timer would come after `--wait`. What applies only inside the
/// process is ignored.
#[tokio::test(flavor = "multi_thread")]
async fn time_really_passes_and_what_belongs_to_the_inside_is_passed_over() {
    let host = TestHost::start(&app_with_database("probe", &guest("probe"), "sqlite::memory:")).await;
    let folder = Folder::new().with(
        "x.transcript",
        "seed 7\nclock 2000-01-01T00:00:00Z\nconnect a /probe\n  @id: 900\n\
         a > {\"timer\": {\"name\": \"t\", \"after_ms\": 600, \"text\": \"rang\"}}\na skips\nadvance 2s\na < /rang/\n",
    );
    let arguments = format!(". x.transcript --url ws://{} --wait 200ms", host.address());
    assert_said(&folder.test(&arguments).await, 0, &["1 passed"]);
}

/// Reported at once, with the address, and not as an error of a module or transcript.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = Folder::new().with("x.transcript", "connect a /\n");
    let said = format!("no host answers at {address}: Connection refused");
    let finished = folder.test(&format!(". --url ws://{address} --wait 1h")).await;
    assert_said(&finished, 2, &[&said]);
    assert_eq!(finished.stdout, "");
}

/// The program ends even if the host is silent or its module never answers.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_hang() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let folder = Folder::new().with("x.transcript", "connect a /\n");
    let said = format!("x.transcript:1: the step cannot be played: the host at {address} has not answered for 100ms");
    assert_said(&folder.test(&format!(". --url ws://{address} --wait 100ms")).await, 1, &[&said]);

    let host = TestHost::start(&app_with_database("faults", &guest("faults"), "sqlite::memory:")).await;
    folder.put("x.transcript", "connect a /faults\nconnect b /faults\nb > sleep\na > hi\na < hi\nb < sleep\n");
    let arguments = format!(". --url ws://{} --wait 500ms", host.address());
    assert_said(&folder.test(&arguments).await, 1, &["x.transcript:6: `b` got no message; its connection is open\n"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_none() {
    let folder = Folder::new().with("x.transcript", "connect a /\n");
    for (arguments, said) in [
        ("--url http://127.0.0.1:1", "`http://127.0.0.1:1` does not begin with ws://"),
        ("--url wss://example.org", "needs TLS, which `hassock test` does not support"),
        ("--url ws://127.0.0.1:1 --bless", "cannot be used with"),
        ("--wait 5s", "--url"),
        ("--url ws://127.0.0.1:1 --wait soon", "invalid value 'soon'"),
    ] {
        assert_said(&folder.test(&format!(". {arguments}")).await, 2, &[said]);
    }
}

/// Each step that works only inside the process is refused by its name and line, and the steps before it are not sent.
#[tokio::test(flavor = "multi_thread")]
async fn steps_that_need_the_inside_are_refused_before_anything_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // All bytes that are ever sent, until a connection sends `the end`.
    let heard = thread::spawn(move || {
        let mut heard = String::new();
        while !heard.ends_with("the end") {
            listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
        }
        heard
    });
    let folder = Folder::new();
    for (step, name) in [
        ("sql main: SELECT 1", "sql"),
        ("swap x.wasm", "swap"),
        ("set limits.message_bytes = 5", "set"),
        ("fail sql main: timeout", "fail sql"),
        ("fail call: trap", "fail call"),
        ("fail instances", "fail instances"),
        ("fail outbox a", "fail outbox"),
        ("failed app-timer", "failed"),
        ("advance 61s", "advance by more than a minute"),
    ] {
        folder.put("x.transcript", format!("connect a /\na > x\n{step}\n"));
        let said =
            format!("x.transcript:3: `{name}` works only inside this process: play this transcript without --url");
        assert_said(&folder.test(&format!(". --url ws://{address}")).await, 2, &[&said]);
    }
    std::io::Write::write_all(&mut std::net::TcpStream::connect(address).unwrap(), b"the end").unwrap();
    assert_eq!(heard.join().unwrap(), "the end");
}
