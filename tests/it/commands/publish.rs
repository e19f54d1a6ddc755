//! `hassock publish` as an operator uses it: the real binary asks a running one.

use hassock_tests::{Site, app_with_database, binary, cache, guest};
use serde_json::json;
use std::process::Stdio;
use tokio_tungstenite::tungstenite::Message;

use super::*;

/// A site with the app `chat`, and an admin listener on a Unix socket.
pub(super) fn site(admin: &str) -> Site {
    let chat = app_with_database("chat", &guest("probe"), "sqlite::memory:");
    Site::new(&format!("[admin]\nlisten = \"unix:admin.sock\"\n{admin}\n{chat}"))
}

/// Run the command with a standard input.
fn with_input(site: &Site, arguments: &str, input: &[u8]) -> Finished {
    site.put("input", input);
    let input = std::fs::File::open(site.file("input")).unwrap();
    let mut command = Command::new(binary());
    command.args(arguments.split(' ')).current_dir(site.folder()).env("CACHE_DIRECTORY", cache());
    let output = command.stdin(Stdio::from(input)).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished { code: output.status.code(), signal: None, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A message comes from a file or from standard input, as a text without its last line end, or as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_from_the_command_line_reaches_subscribers() {
    let site = site("");
    let host = site.serve().await;
    let mut client = host.connect("/chat?topic=a%2Fb").await;
    site.put("message.txt", "Zażółć\n\n");
    let finished = site.run("publish chat a/b message.txt").await;
    assert_eq!(
        (finished.code, finished.stdout.as_str()),
        (Some(0), "published to a/b: 1 connection reached\n"),
        "{finished:?}"
    );
    assert_eq!(client.text().await, "Zażółć\n");
    let finished = with_input(&site, "publish chat a/b", b"{\"say\":\"hi\"}\n");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(client.text().await, "{\"say\":\"hi\"}");
    let finished = with_input(&site, "publish chat a/b --binary --json", b"\xff\0\n");
    let published: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(
        (&published["app"], &published["topic"], &published["reached"]),
        (&json!("chat"), &json!("a/b"), &json!(1))
    );
    assert_eq!(client.message().await, Message::binary(b"\xff\0\n".to_vec()));
    let finished = with_input(&site, "publish chat nobody", b"");
    assert_eq!(finished.stdout, "published to nobody: 0 connections reached\n");
    host.stop().await;
}

/// What cannot be published is named, with an exit code that says whether another attempt can succeed.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_published_is_named() {
    let site = site("");
    let host = site.serve().await;
    site.put("binary", b"\xff");
    site.put("large", vec![b'x'; (1 << 20) + 1]);
    site.put("hi", "hi");
    let long = "x".repeat(257);
    for (arguments, code, expected) in [
        ("publish nobody news hi".to_owned(), 1, "there is no app `nobody`; the config has `chat`"),
        ("publish chat news no/file".to_owned(), 1, "cannot read the message from no/file: No such file"),
        (
            "publish chat news binary".to_owned(),
            1,
            "the message is not UTF-8; publish it as a binary message, with `binary`",
        ),
        ("publish chat news large".to_owned(), 1, "the message is larger than `limits.outbox_bytes` = 1"),
        (format!("publish chat {long} hi"), 1, "`topic` has 1 to 256 bytes, and not 257"),
        (format!("publish chat news hi --id {long}"), 1, "`id` has 1 to 128 bytes, and not 257"),
        ("publish chat news hi --config no.toml".to_owned(), 78, "no.toml: cannot read the config"),
        ("publish chat".to_owned(), 2, "<TOPIC>"),
    ] {
        let finished = site.run(&arguments).await;
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(code), ""), "{arguments}: {finished:?}");
        assert!(finished.stderr.contains(expected), "missing {expected:?} in {}", finished.stderr);
    }
    host.stop().await;
    let finished = site.run("publish chat news hi").await;
    assert!(finished.code == Some(1) && finished.stderr.contains("is it running?"), "{finished:?}");
}
