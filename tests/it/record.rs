//! `hassock record` as an operator uses it: a real host, real clients, and the text of the transcript.

mod api;
mod ends;
mod redaction;
mod replay;

use std::fs;
use std::path::Path;

use futures_util::SinkExt;
use hassock::module::version_id;
use hassock_tests::raw::close;
use hassock_tests::{
    Client, Closed, Deflating, Finished, Process, Site, app_with_database, eventually, example, guest, hassock,
    refused, within,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// The file that is written.
const FILE: &str = "talk.transcript";

/// A site with an app with this module, a database in memory, and an admin listener on a Unix socket.
fn site(name: &str, module: &Path, keys: &str) -> Site {
    let admin = "[admin]\nlisten = \"unix:admin.sock\"\n";
    Site::new(&format!("{admin}{}{keys}\n", app_with_database(name, module, "sqlite::memory:")))
}

fn probe(keys: &str) -> Site {
    site("probe", &guest("probe"), keys)
}

/// Start `hassock record`, and wait until it records.
async fn record(site: &Site, app: &str, options: &str) -> Process {
    let line = format!("record {app} {FILE}{options}");
    let process = Process::hassock(site.folder(), line.split(' '));
    process.complains(&format!("recording {app}: 0 of ")).await;
    process
}

/// Wait until it ends, which has to succeed.
async fn recorded(process: Process) -> Finished {
    let finished = process.ends().await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished
}

/// The transcript without its head, and without the pauses, which depend on the machine.
fn steps(site: &Site, app: &str, module: &Path) -> String {
    let text = fs::read_to_string(site.file(FILE)).unwrap();
    let version = version_id(&fs::read(module).unwrap());
    let (head, rest) = text.split_once('\n').unwrap();
    let begun = head.strip_prefix(&format!("# recorded from {app} (version {version}) at ")).unwrap();
    let rest = rest.strip_prefix(&format!("clock {begun}\n")).unwrap();
    assert!(begun.starts_with("20") && begun.ends_with('Z'), "{begun}");
    rest.lines().filter(|line| !line.starts_with("advance ")).map(|line| format!("{line}\n")).collect()
}

/// The same with two neighbours in this order. Either may be first in the recording.
fn ordered(steps: &str, first: &str, second: &str) -> String {
    steps.replace(&format!("{second}\n{first}\n"), &format!("{first}\n{second}\n"))
}

/// Two people talk, and a third is refused; the transcript has everything, in an order that is possible.
#[tokio::test(flavor = "multi_thread")]
async fn a_talk_of_two_becomes_a_transcript() {
    let site = site("chat", &example("chat"), "");
    let host = site.serve().await;
    let early = host.connect("/chat?name=early&room=elsewhere").await;
    let process = record(&site, "chat", " --connections 2").await;
    let mut alice = host.connect("/chat?name=alice&room=r").await;
    let (status, body) = refused(&host.address, "/chat?name=alice&room=r", |_| {}).await;
    assert_eq!((status, body.as_str()), (409, "alice is taken"));
    let mut bob = host.connect("/chat?name=bob&room=r").await;
    assert_eq!(alice.json().await, json!({ "joined": "bob" }));
    alice.send("{ \"say\": \"a ${b}\" }").await;
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.json().await, json!({ "from": "alice", "say": "a ${b}" }));
    }
    bob.socket.send(Message::binary(vec![0, 255])).await.unwrap();
    let complaint = bob.text().await;
    bob.close().await;
    assert_eq!(alice.json().await, json!({ "left": "bob" }));
    drop(alice);
    let finished = recorded(process).await;
    assert_eq!(finished.stdout, format!("recorded 2 connections, 1 refused, 7 messages to {FILE}\n"));
    let progress: Vec<&str> = finished.stderr.lines().collect();
    assert_eq!(progress[0], "recording chat: 0 of 2 connections, 0 messages; Ctrl-C ends");
    assert!(progress[2].starts_with("recording chat: 2 of 2 connections, "), "{progress:?}");
    assert_eq!(progress.len(), 3);

    let said = |client: &str| format!("{client} < {{\"from\":\"alice\",\"say\":\"a $${{b}}\"}}");
    let (to_alice, to_bob) = (said("c1"), said("c3"));
    let expected = format!(
        "connect c1 /chat?name=alice&room=r\n  @id: 2\n\
         connect c2 /chat?name=alice&room=r refused 409 alice is taken\n\
         connect c3 /chat?name=bob&room=r\n  @id: 4\n\
         c1 < {{\"joined\":\"bob\"}}\n\
         c1 > {{ \"say\": \"a $${{b}}\" }}\n\
         {to_alice}\n\
         {to_bob}\n\
         c3 > hex 00ff\n\
         c3 < {complaint}\n\
         c3 skips\nc3 disconnects\n\
         c1 < {{\"left\":\"bob\"}}\n\
         c1 skips\nc1 vanishes\n"
    );
    assert_eq!(ordered(&steps(&site, "chat", &example("chat")), &to_alice, &to_bob), expected);
    drop(early);
    host.stop().await;
}

/// The transcript has the beginning and the end of each connection, by either side, and the key order of JSON.
#[tokio::test(flavor = "multi_thread")]
async fn beginnings_and_ends_are_as_they_were() {
    let site = probe("origins = [\"https://example.org\"]\n");
    let host = site.serve().await;
    let process = record(&site, "probe", " --connections 4 --json").await;
    let change = |request: &mut Request| {
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "v2, v1".parse().unwrap());
        headers.insert("user-agent", "test/1".parse().unwrap());
        headers.insert("origin", "https://example.org".parse().unwrap());
    };
    let mut first = Client::with(&host.address, "/probe?open=header", change).await.unwrap();
    for text in ["plain", "[{\"z\":1,\"a\":2}]", "two\nlines"] {
        assert_eq!(first.ask(text).await, text);
    }
    first.socket.send(Message::binary(vec![7])).await.unwrap();
    assert_eq!(first.message().await, Message::binary(vec![7]));
    first.send(json!({ "close": { "code": 3000, "reason": "enough" } }).to_string()).await;
    assert_eq!(first.closed().await, Closed { code: 3000, reason: "enough".to_owned() });

    let (status, _) = refused(&host.address, "/probe?open=refuse", |_| {}).await;
    assert_eq!(status, 403);
    let evil = |request: &mut Request| {
        request.headers_mut().insert("origin", "https://example.net".parse().unwrap());
    };
    let (status, _) = refused(&host.address, "/probe", evil).await;
    assert_eq!(status, 403);

    let mut second = host.connect("/probe?open=greet").await;
    assert_eq!(second.text().await, "welcome");
    second.send(json!({ "fail": "on purpose" }).to_string()).await;
    let failed = second.closed().await;
    assert_eq!(failed.code, 1011);

    let mut third = host.connect("/probe").await;
    let frame = CloseFrame { code: 4001.into(), reason: "bye".into() };
    third.socket.close(Some(frame)).await.unwrap();
    third.closed().await;

    let mut fourth = host.connect("/probe?open=close").await;
    assert_eq!(fourth.closed().await, Closed { code: 3001, reason: "at once".to_owned() });
    drop((first, second, third, fourth));
    // A fifth is not recorded.
    drop(host.connect("/probe").await);

    let report: Value = serde_json::from_str(&recorded(process).await.stdout).unwrap();
    let version = version_id(&fs::read(guest("probe")).unwrap());
    let expected = json!({ "app": "probe", "version": &*version, "file": FILE, "connections": 4, "refused": 2,
                           "messages": 11, "ended": "complete" });
    assert_eq!(report, expected);
    let expected = "connect c1 /probe?open=header\n  origin: https://example.org\n  user-agent: test/1\n  \
         sec-websocket-protocol: v2, v1\n  @id: 1\n  < x-room: lobby\n  < sec-websocket-protocol: v2\n\
         c1 > plain\n\
         c1 < plain\n\
         c1 > [{\"z\":1,\"a\":2}]\n\
         c1 < [{\"z\":1,\"a\":2}]\n\
         c1 > two\n  lines\n\
         c1 < two\n  lines\n\
         c1 > hex 07\n\
         c1 < hex 07\n\
         c1 > {\"close\":{\"code\":3000,\"reason\":\"enough\"}}\n\
         c1 closed 3000 enough\n\
         connect c2 /probe?open=refuse refused 403 not you\n\
         connect c3 /probe refused 403 pages of https://example.net may not connect here; the app's key `origins` does not \
         allow them\n  origin: https://example.net\n\
         connect c4 /probe?open=greet\n  @id: 3\n\
         c4 < welcome\n\
         c4 > {\"fail\":\"on purpose\"}\n\
         c4 closed 1011 /the application failed/\n\
         connect c5 /probe\n  @id: 4\n\
         connect c6 /probe?open=close\n  @id: 5\n\
         c6 closed 3001 at once\n";
    // The host may notice this end only after the next client has connected.
    let end = "c5 skips\nc5 disconnects 4001 bye\n";
    let (before, after) =
        steps(&site, "probe", &guest("probe")).split_once(end).map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(before.clone() + &after, expected);
    assert!(before.contains("connect c5 "), "{before}");
    host.stop().await;
}

/// Before a timer fires, the transcript advances by as much time as had passed, for both kinds of timers.
#[tokio::test(flavor = "multi_thread")]
async fn time_has_passed_when_a_timer_fires() {
    let site = probe("");
    let host = site.serve().await;
    let process = record(&site, "probe", "").await;
    let mut client = host.connect("/probe?topic=timers").await;
    for (command, after_ms) in [("timer", 250), ("app-timer", 30)] {
        client.probe(json!({ command: { "name": command, "after_ms": after_ms, "text": "" } })).await;
        assert_eq!(client.json().await, json!({ "fired": command, "text": "" }));
    }
    client.close().await;
    recorded(process).await;
    let text = fs::read_to_string(site.file(FILE)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let place = |line: &str| lines.iter().position(|found| *found == line).unwrap();
    for (command, after_ms) in [("timer", 250), ("app-timer", 30)] {
        let set =
            place(&format!("c1 > {{\"{command}\":{{\"name\":\"{command}\",\"after_ms\":{after_ms},\"text\":\"\"}}}}"));
        let fired = place(&format!("c1 < {{\"fired\":\"{command}\",\"text\":\"\"}}"));
        let spans = lines[set..fired].iter().filter_map(|line| line.strip_prefix("advance "));
        let passed: u64 = spans.map(millis).sum();
        assert!(passed >= after_ms, "{passed} ms of {after_ms}:\n{text}");
    }
}

/// A transcript says what was sent, and not how.
#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_are_recorded_as_others() {
    let site = probe("[apps.probe.compression]\nenabled = true\nmin_bytes = 10\n");
    let host = site.serve().await;
    let process = record(&site, "probe", "").await;
    let mut client = Deflating::open(&host.address, "/probe").await;
    let long = "again and ".repeat(20) + "again";
    assert_eq!(client.ask(&long).await, long);
    client.raw.send(close(1000, "")).await;
    assert_eq!(client.raw.closed().await.0, 1000);
    recorded(process).await;
    let expected = format!("connect c1 /probe\n  @id: 1\nc1 > {long}\nc1 < {long}\nc1 skips\nc1 disconnects 1000\n");
    assert_eq!(steps(&site, "probe", &guest("probe")), expected);
    host.stop().await;
}

/// The span of an `advance` in milliseconds.
fn millis(span: &str) -> u64 {
    let millis = |part: &str| {
        let (count, unit) = part.split_at(part.find(|c: char| !c.is_ascii_digit()).unwrap());
        let factor = [("ms", 1), ("s", 1_000), ("m", 60_000)].into_iter().find(|(known, _)| *known == unit);
        count.parse::<u64>().unwrap() * factor.unwrap().1
    };
    span.split(' ').map(millis).sum()
}

/// The help explains the command.
#[tokio::test(flavor = "multi_thread")]
async fn help_tells_what_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let help = within("the help", hassock(folder.path(), ["record", "--help"])).await;
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for word in ["<APP>", "<FILE>", "--connections <N>", "--force", "--json", "Ctrl-C", "apps.APP.record", "Examples:"]
    {
        assert!(help.stdout.contains(word), "`{word}` is not in\n{}", help.stdout);
    }
}
