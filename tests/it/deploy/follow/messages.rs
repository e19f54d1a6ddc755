//! Every message about a call names the version that served it: the client in the reason of its close, the operator in
//! each line of the log.

use hassock_tests::{Client, Process, refused};

use super::*;

/// A call that fails: the close reason and the line of the log name the version that served it, and so does what the
/// module itself logs about the end. Not the version that serves now: connections are pinned.
#[tokio::test(flavor = "multi_thread")]
async fn messages_about_a_call_name_the_version_that_served_it() {
    let site = site("");
    let config = fs::read_to_string(site.file("hassock.toml")).unwrap();
    site.put("hassock.toml", config.replace("path = \"/chat\"", "path = \"/chat\"\nswap = \"pin\""));
    let (one, two) = ("v1 third-traps", "v2 third-traps");
    site.put("chat.wasm", marked(one));
    let host = site.serve().await;
    let (mut old, mut older) = (host.connect("/chat").await, host.connect("/chat").await);
    site.put("chat.wasm", marked(two));
    eventually("the new version", || async { host.connect("/chat").await.ask("who").await == "v2 who" }).await;
    let mut new = host.connect("/chat").await;
    let ends = [(&mut old, one, "a message 3"), (&mut new, two, "a message 3"), (&mut older, one, "error")];
    for (client, mark, message) in ends {
        client.send(message).await;
        let closed = client.closed().await;
        let reason = format!("the application failed (version {})", version_of(mark));
        assert_eq!((closed.code, closed.reason), (1011, reason), "{message}");
    }
    let failed =
        [host.logs("the module trapped: ", 2).await, host.logs("the module returned an error: told to", 1).await];
    for (line, mark) in failed.concat().iter().zip([one, two, one]) {
        assert_eq!((&line["version"], &line["call"]), (&version_of(mark).into(), &"receive".into()), "{line}");
        assert_eq!((&line["level"], &line["app"]), (&"ERROR".into(), &"chat".into()), "{line}");
        assert!(line["connection"].is_u64(), "{line}");
        let frames = line["backtrace"].as_str();
        assert!(frames.is_none_or(|frames| frames.contains("handler@0.1.0#receive")), "{line}");
    }
    let log = host.stop().await;
    let mut ended = [0, 0];
    for line in lines(&log, "closed by v") {
        let is_old = line["message"] == "closed by v1";
        assert_eq!(line["version"], version_of(if is_old { one } else { two }), "{line}");
        ended[usize::from(is_old)] += 1;
    }
    assert!(ended[0] >= 2 && ended[1] >= 2, "{ended:?} in {log}");
}

/// A handshake that fails is answered with the version too.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_open_names_its_version() {
    let site = site("");
    site.put("chat.wasm", marked("v1 open-trap"));
    let host = site.serve().await;
    let (status, body) = refused(&host.address, "/chat", |_| {}).await;
    assert_eq!(status, 500);
    assert!(body.contains(&version_of("v1 open-trap")), "{body}");
    let line = host.logs("the module trapped: ", 1).await.remove(0);
    assert_eq!((&line["version"], &line["call"]), (&version_of("v1 open-trap").into(), &"open".into()));
    host.stop().await;
}

/// In a log for people, each line about a version has `version=…`: when it is compiled, deployed, served, and when it
/// fails.
#[tokio::test(flavor = "multi_thread")]
async fn lines_for_people_carry_the_version() {
    let site = site("");
    let config = fs::read_to_string(site.file("hassock.toml")).unwrap();
    // A cache of its own, so that the module is compiled.
    let text = config.lines().filter(|line| !line.starts_with("log = ")).collect::<Vec<_>>().join("\n");
    site.put("hassock.toml", format!("{text}\n[cache]\ndirectory = \"code\"\n"));
    let host = Process::hassock(site.folder(), ["serve"]);
    let address = host.line("Starting server on ").await;
    let mark = "v2 all-trap";
    site.put("chat.wasm", marked(mark));
    host.complains(" deployed ").await;
    let mut client = Client::connect(&address, "/chat").await;
    client.send("x").await;
    assert_eq!(client.closed().await.code, 1011);
    host.signal("TERM");
    let log = host.ends().await.stderr.replace('"', "");
    let (old, new) = (version_of("v1"), version_of(mark));
    for expected in [
        format!(" INFO compiled version={old} "),
        format!(" INFO compiled version={new} "),
        format!(" INFO deployed app=chat version={new} before={old} "),
        format!(" app=chat version={new} connection=1 call=receive "),
    ] {
        assert_eq!(log.matches(&expected).count(), 1, "{expected} in {log}");
    }
    assert!(log.lines().any(|line| line.contains("ERROR the module trapped: ") && line.contains(&new)), "{log}");
}
