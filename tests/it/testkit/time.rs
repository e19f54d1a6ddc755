//! Time passes exactly as a test says, and never because the machine is slow.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use hassock::testkit::{TestHost, Value};
use hassock_tests::{example, guest, marked, module_file};
use serde_json::json;

use super::{faults, ok, probe, text, timer};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

#[test]
fn timers_fire_at_their_times_and_in_their_order() {
    let host = probe().build().unwrap();
    let client = host.connect("/");
    for (name, after) in [("late", 2501), ("soon", 1000), ("middle", 2500), ("now", 0)] {
        ok(&client, &timer(name, Duration::from_millis(after)));
    }
    let fired = |name: &str| json!({ "fired": name, "text": "" });
    client.expect_nothing();
    host.advance(Duration::from_millis(1));
    client.expect_json(&fired("now"));
    host.advance(Duration::from_millis(998));
    client.expect_nothing();
    host.advance(Duration::from_millis(1));
    client.expect_json(&fired("soon"));
    client.expect_nothing();
    host.advance(DAY);
    client.expect_json(&fired("middle"));
    client.expect_json(&fired("late"));
    client.expect_nothing();
    ok(&client, &timer("never", SECOND));
    assert_eq!(ok(&client, &json!({ "cancel-timer": "never" })), true);
    host.advance(DAY);
    client.expect_nothing();
}

#[test]
fn timers_that_repeat_fire_exactly_as_often_as_their_time_passes() {
    let host = probe().build().unwrap();
    let client = host.connect("/");
    ok(&client, &json!({ "timer": { "name": "t", "after_ms": 500, "every_ms": 2000, "text": "" } }));
    let fired = json!({ "fired": "t", "text": "" });
    host.advance(SECOND * 5);
    (0..3).for_each(|_| client.expect_json(&fired));
    client.expect_nothing();
    host.advance(SECOND);
    client.expect_nothing();
    host.advance(SECOND / 2);
    client.expect_json(&fired);
    assert_eq!(ok(&client, &json!({ "cancel-timer": "t" })), true);
    host.advance(DAY);
    client.expect_nothing();
}

#[test]
fn timers_of_several_owners_fire_in_one_order() {
    let host = probe().setting("events", "yes").build().unwrap();
    let clients = [host.connect("/"), host.connect("/?topic=timers")];
    for number in 0..10 {
        let client = &clients[number % 2];
        ok(client, &timer(&format!("t{}", 9 - number), SECOND * u32::try_from(10 - number).unwrap()));
    }
    ok(&clients[0], &json!({ "app-timer": { "name": "app", "after_ms": 5500, "text": "" } }));
    host.advance(DAY);
    let fired = host.database("main").unwrap().run("SELECT detail FROM event WHERE kind = 'timer' ORDER BY rowid");
    let names: Vec<_> = fired.unwrap().rows.into_iter().flatten().collect();
    let expected = ["t0", "t1", "t2", "t3", "t4", "app", "t5", "t6", "t7", "t8", "t9"];
    assert_eq!(names, expected.map(|name| Value::Text(name.to_owned())));
}

/// Ends the busy threads, also when the test fails.
struct Rest<'a>(&'a AtomicBool);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// More calls than there are instances, all at the same moment, and each waits for the database: their order must not
/// depend on how fast other threads are.
#[test]
fn calls_of_the_same_moment_go_in_the_same_order_every_time() {
    let busy = AtomicBool::new(true);
    let order = || {
        let host = probe().setting("events", "yes").build().unwrap();
        let clients: Vec<_> = (0..40).map(|_| host.connect("/")).collect();
        for client in &clients {
            ok(client, &timer("t", SECOND));
        }
        host.advance(SECOND);
        let database = host.database("main").unwrap();
        let fired = database.run("SELECT connection FROM event WHERE kind = 'timer' ORDER BY rowid");
        fired.unwrap().rows
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while busy.load(Ordering::Relaxed) {
                    spin_loop()
                }
            });
        }
        let _rest = Rest(&busy);
        let orders: Vec<_> = (0..6).map(|_| order()).collect();
        assert_eq!(orders[0].len(), 40);
        assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
    });
}

/// A timer that sets itself again fires exactly at each of its times, although they are all in one `advance`.
#[test]
fn a_month_of_hours_passes_in_no_time() {
    let began = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let host = probe().now(began).build().unwrap();
    let client = host.connect("/");
    ok(&client, &timer("every 3600", Duration::from_hours(1)));
    host.advance(DAY * 30);
    for hour in 1..=720 {
        client.expect_json(&json!({ "at": 1_000_000_000 + 3600 * hour }));
    }
    client.expect_nothing();
    assert!(client.is_open(), "its pings were answered");
    assert_eq!(host.now(), began + DAY * 30);
}

/// The test ends although the module never stops.
#[test]
fn a_timer_that_is_always_due_does_not_stop_time() {
    let host = probe().build().unwrap();
    let client = host.connect("/");
    ok(&client, &timer("every 0", SECOND));
    host.advance(SECOND * 10);
    assert!(client.messages().len() > 1000);
    client.send_text("still here");
    assert!(client.messages().contains(&"still here".into()));
}

#[test]
fn the_module_has_the_time_of_the_test() {
    let began = UNIX_EPOCH + Duration::from_secs(86_400 * 365);
    let host = probe().now(began).build().unwrap();
    let client = host.connect("/");
    assert_eq!(ok(&client, &json!("now")), 86_400 * 365);
    host.advance(SECOND * 90);
    assert_eq!(ok(&client, &json!("now")), 86_400 * 365 + 90);
    for _ in 0..1000 {
        host.advance(Duration::from_millis(1));
    }
    assert_eq!(host.now(), began + SECOND * 91);
    host.advance(Duration::ZERO);
    assert_eq!(host.now(), began + SECOND * 91);
    host.advance(Duration::from_nanos(1));
    assert_eq!(host.now(), began + SECOND * 91 + Duration::from_millis(1), "a part of a millisecond counts as one");
    let other = probe().build().unwrap();
    assert_eq!(other.now(), UNIX_EPOCH + Duration::from_secs(1_735_689_600), "2025, unless the test sets another time");
}

/// The chat's key is the time of a line: two lines must not have the same time.
#[test]
fn each_reading_is_later_than_the_one_before() {
    let host = TestHost::load(example("chat")).unwrap();
    let alice = host.connect("/?name=alice");
    for _ in 0..100 {
        alice.send_json(&json!({ "say": "again" }));
        alice.expect_json(&json!({ "from": "alice", "say": "again" }));
    }
    let sent = host.database("main").unwrap().run("SELECT sent FROM message ORDER BY rowid").unwrap().rows;
    let times: Vec<i64> =
        sent.into_iter().flatten().map(|time| if let Value::S64(time) = time { time } else { 0 }).collect();
    assert_eq!(times.len(), 100);
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
    let (first, last) = (times[0] - 1_735_689_600_000_000_000, times[99] - 1_735_689_600_000_000_000);
    assert!(0 <= first && last < 1_000_000, "within a millisecond of the time of the test: {first} to {last}");
}

#[test]
fn a_module_that_sleeps_waits_for_time_to_pass() {
    let module = module_file(&marked("v1"));
    let host = TestHost::load(module.path()).unwrap();
    let client = host.connect("/");
    client.send_text("nap");
    client.expect_text("v1 naps");
    host.advance(Duration::from_millis(298));
    client.expect_nothing();
    // Each reading of the clock takes a moment, and timers count milliseconds.
    host.advance(Duration::from_millis(3));
    client.expect_text("v1 woke with v1");
    client.expect_nothing();
}

#[test]
fn a_call_that_sleeps_for_too_long_is_ended_on_time() {
    let host = faults();
    let client = host.connect("/");
    client.send_text("sleep");
    host.advance(Duration::from_millis(29_999));
    client.expect_nothing();
    host.advance(Duration::from_millis(1));
    let (code, reason) = client.closed();
    assert_eq!(code, 1011);
    assert!(reason.starts_with("the application took too long"), "{reason}");
    let client = host.connect("/");
    client.send_text("fresh");
    client.expect_text("fresh");
}

#[test]
fn a_wait_for_an_instance_is_as_long_as_the_config_says() {
    let builder = TestHost::builder().module(guest("faults")).set("limits.instances", "1");
    let host = builder.build().unwrap();
    let (first, second) = (host.connect("/"), host.connect("/"));
    first.send_text("sleep");
    second.send_text("waits");
    host.advance(Duration::from_millis(4_999));
    second.expect_nothing();
    host.advance(Duration::from_millis(1));
    let (code, reason) = second.closed();
    assert_eq!(code, 1013);
    assert!(reason.starts_with("the application is busy"), "{reason}");
}

/// A query that takes some hundred milliseconds of real time.
const SLOW: &str = "SELECT count(*) AS n FROM number a, number b, number c WHERE a.i + b.i + c.i > 0";

fn with_numbers(host: &TestHost) {
    let make = "CREATE TABLE number AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) \
                SELECT i FROM n";
    host.database("main").unwrap().run(make).unwrap();
}

/// No limit in virtual time is reached because SQLite is slow in real time, not even the smallest.
#[test]
fn no_time_passes_while_a_statement_runs() {
    let host = probe().set("limits.call_timeout", "\"10ms\"").build().unwrap();
    with_numbers(&host);
    let client = host.connect("/");
    ok(&client, &timer("soon", Duration::from_millis(1)));
    let (began, real) = (host.now(), Instant::now());
    let answer = ok(&client, &json!({ "query": { "sql": SLOW } }));
    assert_eq!(answer, json!([[{ "s64": 150 * 150 * 150 }]]));
    assert!(real.elapsed() > Duration::from_millis(10), "the query was too fast for this test");
    host.database("main").unwrap().run(SLOW).unwrap();
    assert_eq!(host.now(), began);
    client.expect_nothing();
}

/// The same within an `advance`, where time jumps as soon as this thread is idle.
#[test]
fn no_time_passes_while_a_statement_runs_in_an_advance() {
    let builder = probe().setting("events", "yes").set("limits.call_timeout", "\"10ms\"");
    let host = builder.build().unwrap();
    // The probe's own table, with a check that is slow for one event.
    let slow = ["instr(hex(zeroblob(500000)), 'x')"; 64].join(" + ");
    let check = format!("CHECK (detail <> 'slow' OR {slow} = 0)");
    let table = format!("CREATE TABLE event (connection BIGINT, kind TEXT, detail TEXT {check})");
    host.database("main").unwrap().run(&table).unwrap();
    let (slow, quick) = (host.connect("/"), host.connect("/"));
    ok(&slow, &timer("slow", SECOND));
    ok(&quick, &timer("quick", Duration::from_millis(1005)));
    let began = host.now();
    host.advance(SECOND * 2);
    assert_eq!(host.now(), began + SECOND * 2);
    slow.expect_json(&json!({ "fired": "slow", "text": "" }));
    quick.expect_json(&json!({ "fired": "quick", "text": "" }));
    let found = host.database("main").unwrap().run("SELECT detail FROM event WHERE kind = 'timer' ORDER BY rowid");
    let details: Vec<_> = found.unwrap().rows.into_iter().flatten().collect();
    let expected = ["slow", "quick"].map(|detail| Value::Text(detail.to_owned()));
    assert_eq!(details, expected, "in the order of their times");
}

/// The host's own times are virtual too: a version is watched for `rollback.watch_for`, and not for longer.
#[test]
fn a_version_is_watched_for_as_long_as_the_config_says() {
    for (waits, served_by) in [(SECOND * 599, "v1"), (SECOND * 601, "v2")] {
        let (old, new) = (module_file(&marked("v1")), module_file(&marked("v2 third-traps")));
        let builder = TestHost::builder().module(old.path()).set("rollback.min_calls", "10");
        let host = builder.build().unwrap();
        host.swap(None, new.path()).unwrap();
        host.advance(waits);
        for _ in 0..30 {
            let victim = host.connect("/");
            victim.send_text("3");
            let _ = victim.receive();
        }
        let client = host.connect("/");
        client.send_text("who");
        assert_eq!(text(&client), format!("{served_by} who"), "after {waits:?}");
    }
}
