//! The same test gives the same bytes, every time and everywhere.

use std::thread;

use hassock::testkit::{Connect, TestHost};
use serde_json::{Value as Json, json};

use super::time_passes;
use super::{ok, probe};

/// All that a test can see.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    bytes: Vec<Vec<u8>>,
    random: Vec<Json>,
    now: Json,
}

/// A test in which a bit of everything happens.
fn play(seed: u64) -> Seen {
    let host = probe().seed(seed).setting("events", "yes").build().unwrap();
    let alice = host.connect(Connect::to("/?open=describe&topic=t").subprotocol("v1"));
    let bob = host.connect("/?open=greet&topic=t");
    assert_eq!((alice.messages().len(), bob.messages().len()), (1, 1));
    let random = vec![ok(&alice, &json!("random")), ok(&bob, &json!("random"))];
    ok(&alice, &json!({ "timer": { "name": "a", "after_ms": 1500, "text": "x" } }));
    bob.send_json(&json!({ "publish": { "topic": "t", "text": "all" } }));
    alice.expect_text("all");
    bob.expect_text("all");
    bob.expect_json(&json!({ "ok": 2 }));
    ok(&bob, &json!({ "query": { "sql": "SELECT kind, detail FROM event" } }));
    time_passes(&host);
    bob.disconnect(None).unwrap();
    host.fail_instances(None).unwrap();
    alice.expect_json(&json!({ "fired": "a", "text": "x" }));
    let now = ok(&alice, &json!("now"));
    Seen { bytes: vec![alice.received_bytes(), bob.received_bytes()], random, now }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (one, two) = (play(7), play(7));
    assert_eq!(one, two);
    assert!(one.bytes.iter().all(|bytes| bytes.starts_with(b"HTTP/1.1 101 ")), "the answer is part of the bytes");
    let other = play(8);
    assert_ne!(one.random, other.random);
    assert_eq!(one.now, other.now);
}

/// Two instances with the same numbers would make the same ids.
#[test]
fn each_instance_has_its_own_numbers() {
    let host = probe().build().unwrap();
    let client = host.connect("/");
    let mut numbers = Vec::new();
    for _ in 0..4 {
        numbers.push(ok(&client, &json!("random")).as_u64().unwrap());
        host.fail_instances(None).unwrap();
        assert_eq!(ok(&client, &json!("calls")), 1, "another instance");
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 4);
}

#[test]
fn hosts_on_many_threads_do_not_notice_each_other() {
    let expected = play(3);
    let threads: Vec<_> = (0..20).map(|_| thread::spawn(|| play(3))).collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), expected);
    }
}

#[test]
fn two_hosts_on_one_thread_do_not_notice_each_other() {
    let start = || probe().build().unwrap();
    let (one, two): (TestHost, TestHost) = (start(), start());
    let (here, there) = (one.connect("/"), two.connect("/?topic=t"));
    ok(&here, &json!({ "subscribe": "other" }));
    assert_eq!(ok(&here, &json!({ "publish": { "topic": "t", "text": "here" } })), 0);
    there.expect_nothing();
    time_passes(&one);
    assert_eq!(ok(&there, &json!("now")), 1_735_689_600);
    one.database("main").unwrap().run("CREATE TABLE only_here (n INTEGER)").unwrap();
    assert!(two.database("main").unwrap().run("SELECT * FROM only_here").is_err());
    drop((here, one));
    there.send_text("still here");
    there.expect_text("still here");
}
