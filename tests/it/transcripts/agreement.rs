//! These tests prove that transcripts in this process behave as with a real host, which writes the same bytes to the
//! same clients over real sockets.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use hassock::commands::test::{InProcess, Remote, in_process_only};
use hassock::testkit;
use hassock_tests::raw::Frame;
use hassock_tests::raw::opcode::{BINARY, FIN, PING, TEXT};
use hassock_tests::{TestHost, app, app_with_database, example, guest};
use hassock_transcript::format::{Transcript, parse};
use hassock_transcript::play::{Mode, play};
use tokio::runtime::Runtime;

use super::recorder::{Recorder, Tape, Tapped, frames};
use super::{EXAMPLES, Folder};

/// How long something may take over sockets. No step here waits for something that does not come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn read(file: &Path) -> Transcript {
    parse(&fs::read_to_string(file).unwrap()).unwrap_or_else(|error| panic!("{}", error.in_file(file)))
}

/// Whether a running host can play it.
pub(super) fn is_wireable(transcript: &Transcript) -> bool {
    transcript.steps.iter().all(|step| in_process_only(&step.action).is_none())
}

/// What the clients of a transcript get on a backend. It has to pass.
fn tapes<B: Tapped>(file: &Path, backend: B) -> Vec<Tape> {
    let mut recorder = Recorder::new(backend);
    let played = play(&read(file), file.parent().unwrap(), &mut recorder, Mode::Verify);
    if let Some(failure) = played.failure {
        panic!("{}:{}: {}\n{:?}", file.display(), failure.line, failure.reason, failure.log);
    }
    recorder.tapes()
}

/// The same in this process, with the apps of a config.
pub(super) fn inside(config: &Path, file: &Path) -> Vec<Tape> {
    let transcript = read(file);
    let mut builder = testkit::TestHost::builder().config(config);
    if let Some(seed) = transcript.seed {
        builder = builder.seed(seed);
    }
    if let Some(clock) = transcript.clock {
        builder = builder.now(clock);
    }
    tapes(file, InProcess::new(builder.build().unwrap()))
}

/// The same over sockets, with a host of its own.
fn over_the_wire(config: &Path, file: &Path) -> Vec<Tape> {
    let text = fs::read_to_string(config).unwrap();
    // The host of a test has another folder and listens on a port of its own.
    let folder = config.parent().unwrap().display();
    let lines = text.lines().filter(|line| !line.starts_with("listen")).map(|line| match line.split_once(" = \"") {
        Some(("module", file)) if !file.starts_with('/') => format!("module = \"{folder}/{file}\n"),
        Some(("url", _)) => "url = \"sqlite::memory:\"\n".to_owned(),
        _ => format!("{line}\n"),
    });
    let runtime = Runtime::new().unwrap();
    let host = runtime.block_on(TestHost::start(&lines.collect::<String>()));
    let url = format!("ws://{}", host.address()).parse().unwrap();
    let tapes = tapes(file, Remote::new(url, PATIENCE).unwrap());
    runtime.block_on(host.drain());
    tapes
}

/// Check that both ways are the same. Returns what the clients got.
#[track_caller]
fn agree(config: &Path, file: &Path) -> Vec<Tape> {
    let (inside, outside) = (inside(config, file), over_the_wire(config, file));
    let differences = differences(&inside, &outside);
    assert!(differences.is_empty(), "{}: {differences:#?}", file.display());
    inside
}

/// The bytes that differ: the client, and what it got inside and outside.
fn differences(inside: &[Tape], outside: &[Tape]) -> Vec<String> {
    let connections = |tapes: &[Tape]| tapes.iter().map(|tape| tape.client.clone()).collect::<Vec<_>>();
    assert_eq!(connections(inside), connections(outside));
    let parts = |tape: &Tape| {
        let first = frames(&tape.frames).into_iter().map(|frame| format!("{:.200}", format!("{frame:?}")));
        [format!("{:?}", tape.answer), tape.head.clone(), first.collect::<Vec<_>>().join("\n")]
    };
    let different = inside.iter().zip(outside).filter(|(inside, outside)| inside != outside);
    different
        .map(|(inside, outside)| {
            let (client, inside, outside) = (&inside.client, parts(inside), parts(outside));
            let parts = inside.into_iter().zip(outside).filter(|(inside, outside)| inside != outside);
            format!("{client}: {:?}", parts.collect::<Vec<_>>())
        })
        .collect()
}

fn the_example_agrees(name: &str) -> usize {
    let folder = Folder::example(name);
    let wireable = folder.transcripts().into_iter().filter(|file| is_wireable(&read(file)));
    let received = wireable.flat_map(|file| agree(&folder.path("hassock.toml"), &file));
    received.filter(|tape| !tape.frames.is_empty()).count()
}

#[test]
fn the_examples_are_the_same_both_ways() {
    for name in EXAMPLES {
        let connections = the_example_agrees(name);
        assert!(connections > 0, "no client got anything in the transcripts of {name} that can be played over sockets");
    }
}

/// A folder with the config of the probe at `/probe`, `more` added to its app.
fn probe(more: &str) -> Folder {
    let config = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    Folder::new().with("hassock.toml", format!("{config}{more}"))
}

/// Every length at which the head of a frame changes, or its payload no longer fits into a buffer.
const LENGTHS: [usize; 8] = [1, 125, 126, 4096, 65_535, 65_536, 100_001, 1 << 20];

#[test]
fn messages_of_all_lengths_are_the_same_both_ways() {
    let folder = probe("\n[apps.probe.limits]\nmessage_bytes = \"2MiB\"\noutbox_bytes = \"8MiB\"\n");
    let mut transcript = "connect alice /probe\n".to_owned();
    for length in LENGTHS {
        let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
        folder.put(&format!("{length}.bin"), bytes);
        let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
        writeln!(transcript, "alice > file {length}.bin\nalice < file {length}.bin").unwrap();
        writeln!(transcript, "alice > {text}\nalice < {text}").unwrap();
    }
    transcript += "alice > text\nalice < text\nalice > hex\nalice < hex\n";
    folder.put("lengths.transcript", transcript);
    let tapes = agree(&folder.path("hassock.toml"), &folder.path("lengths.transcript"));
    let lengths: Vec<_> =
        frames(&tapes[0].frames).into_iter().map(|frame| (frame.first, frame.payload.len())).collect();
    let expected = LENGTHS.iter().chain([&0]).flat_map(|length| match length {
        0 => [(FIN | TEXT, 0), (FIN | BINARY, 0)],
        length => [(FIN | BINARY, *length), (FIN | TEXT, *length)],
    });
    assert_eq!(lengths, expected.collect::<Vec<_>>());
}

/// Handshakes, what is published, and all ways in which a connection ends.
const LIFE: &str = r#"
connect alice /probe?topic=news
  sec-websocket-protocol: v2, v1
  < sec-websocket-protocol: v2
connect bob /probe?topic=news&open=header
  < x-room: lobby
connect carol /probe?open=greet&topic=news
carol < welcome
connect eve /probe?open=refuse refused 403 not you
connect eve /elsewhere refused 404
connect eve /probe refused 403
  origin: https://elsewhere.example
connect eve /probe?open=strange-status refused 500

# To all, to all but one, many at once, and to one by its number.
alice > {"publish": {"topic": "news", "text": "to all"}}
alice < to all
alice < {"ok": 3}
bob < to all
carol < to all
bob > {"publish-except": {"topic": "news", "text": "to the others"}}
bob < {"ok": "${number}"}
alice < to the others
carol < to the others
alice > {"send-many": ["a", "b", "c"]}
alice < a
alice < b
alice < c
alice < {"ok": "${any}"}
alice > {"subscribers": "news"}
alice < {"ok": "${all=array}"}
alice > {"attachment": null}
alice < {"ok": {"opened": "${alice=number}"}}
bob > {"send-to": {"id": "${alice}", "text": "to you"}}
bob < {"ok": "${any}"}
alice < to you
bob > {"unsubscribe": "news"}
bob < {"ok": "${any}"}
alice > {"publish": {"topic": "news", "text": "again"}}
alice < again
alice < {"ok": 2}
carol < again
bob nothing

# Rows, and errors of the module that are no ends.
alice > {"query": {"sql": "SELECT 1 AS one, 'x' AS x"}}
alice < {"ok": "${any}"}
alice > {"query": {"sql": "SELECT nothing FROM nowhere"}}
alice skips

# A timer.
alice > {"timer": {"name": "t", "after_ms": 20, "text": "ring"}}
alice < {"ok": "${any}"}
advance 100ms
alice < {"fired": "t", "text": "ring"}

# The module closes, at once or later.
connect dave /probe?open=close
dave closed 3001 at once
bob > {"close": {"code": 3005, "reason": "go"}}
bob closed 3005 go
# The host closes, for an error and for a trap.
carol > {"fail": "on purpose"}
carol closed 1011
connect carol /probe?topic=news
carol > "trap"
carol closed 1011
# The client closes, in three ways.
connect frank /probe?topic=news
frank disconnects
connect frank /probe?topic=news
frank disconnects 4001 so long
connect frank /probe?topic=news
frank > x
frank < x
frank vanishes
alice nothing
alice disconnects 1001
"#;

#[test]
fn handshakes_topics_and_ends_are_the_same_both_ways() {
    let folder = probe("").with("life.transcript", LIFE);
    let tapes = agree(&folder.path("hassock.toml"), &folder.path("life.transcript"));
    assert_eq!(tapes.iter().filter(|tape| tape.answer.status == 101).count(), 8);
    let refused = |tape: &&Tape| tape.answer.status != 101;
    assert_eq!(tapes.iter().filter(refused).map(|tape| tape.answer.status).collect::<Vec<_>>(), [403, 404, 403, 500]);
}

/// A silent client is pinged. The number of pings depends on the time; their bytes do not.
#[test]
fn pings_are_the_same_both_ways() {
    let transcript = "connect alice /probe\nadvance 1500ms\nalice > x\nalice < x\n";
    let folder = probe("\n[apps.probe.limits]\nkeepalive = \"1s\"\n").with("ping.transcript", transcript);
    let tapes = agree(&folder.path("hassock.toml"), &folder.path("ping.transcript"));
    let expected = [Frame::new(PING, ""), Frame::new(TEXT, "x")];
    assert_eq!(frames(&tapes[0].frames), expected);
}

/// The tests above would notice a difference: here, another module answers over sockets.
#[test]
fn a_difference_is_noticed() {
    let folder = Folder::new().with("x.transcript", "connect alice /a\nalice > x\nalice skips\n");
    folder.put("a.toml", app("a", &example("echo")));
    folder.put("b.toml", app("a", &example("commands")));
    let file = folder.path("x.transcript");
    let (inside, outside) = (inside(&folder.path("a.toml"), &file), over_the_wire(&folder.path("b.toml"), &file));
    let differences = differences(&inside, &outside);
    let [difference] = &differences[..] else { panic!("{differences:?}") };
    // The heads are the same; the frames are not.
    let [one, other] = [Frame::new(TEXT, "x"), Frame::new(TEXT, "Command not found")].map(|frame| format!("{frame:?}"));
    assert_eq!(*difference, format!("alice: {:?}", [(one, other)]));
}
