//! `swap = "pin"`: open connections stay with the version that they have, for at most `pin_for`.

use std::time::Duration;

use hassock::deploy::{Pin, PinOutcome, VersionStatus};
use hassock_tests::{Client, Marked, Talkers, eventually, version_of};

const PIN: &str = "swap = \"pin\"\n";

/// So short that a test can wait for its end.
const PIN_SHORTLY: &str = "swap = \"pin\"\npin_for = \"300ms\"\n";

/// Wait until a version answers a connection.
async fn moves(client: &mut Client, name: &str) {
    let client = tokio::sync::Mutex::new(client);
    eventually(name, || async { client.lock().await.served_by().await == name }).await;
}

/// The state of each version and how many connections it has, the newest first.
fn standing(marked: &Marked) -> Vec<(VersionStatus, u64)> {
    let report = marked.host.report("marked");
    report.versions.iter().map(|version| (version.state, version.connections)).collect()
}

/// Open connections stay with the version that they have, also through two further deploys; new ones get the newest.
/// The report says how many each version has.
#[tokio::test(flavor = "multi_thread")]
async fn connections_stay_with_their_version_and_new_ones_get_the_newest() {
    let marked = Marked::start("v1", PIN).await;
    let mut clients = Vec::new();
    for name in ["v1", "v2", "v3"] {
        if name != "v1" {
            assert_eq!(marked.deploy(name).await.state, VersionStatus::Serving);
        }
        clients.push((name, marked.connect().await));
        for (name, client) in &mut clients {
            assert_eq!(client.served_by().await, *name);
            assert_eq!(client.ask("again").await, format!("{name} again"));
        }
    }
    let report = marked.host.report("marked");
    assert_eq!(report.swap, "pin");
    assert_eq!(
        standing(&marked),
        [(VersionStatus::Serving, 1), (VersionStatus::Draining, 1), (VersionStatus::Draining, 1)]
    );
}

/// "For at most `pin_for`": then they move, both those that talk and silent ones, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn connections_move_when_their_time_is_over() {
    let marked = Marked::start("v1", PIN_SHORTLY).await;
    let mut client = marked.connect().await;
    let talkers = Talkers::start(marked.connect_all(10).await);
    let silent = marked.connect_all(10).await;
    marked.deploy("v2").await;
    moves(&mut client, "v2").await;
    marked.serves("v2", 21).await;
    assert_eq!(standing(&marked), [(VersionStatus::Serving, 21), (VersionStatus::Kept, 0)]);
    for mut talked in talkers.stop().await {
        assert!(talked.closed.is_none() && talked.names.is_sorted(), "{:?}", talked.names);
        assert_eq!(talked.client.served_by().await, "v2");
    }
    drop(silent);
}

/// Each deploy has its own time: a connection that is pinned to an older version moves to the newest, past those
/// between.
#[tokio::test(flavor = "multi_thread")]
async fn connections_move_to_the_newest_past_those_between() {
    let marked = Marked::start("v1", PIN_SHORTLY).await;
    let mut first = marked.connect().await;
    marked.host.host.control().pin("marked", Pin::For(Duration::from_secs(3600))).unwrap();
    marked.deploy("v2").await;
    let mut second = marked.connect().await;
    marked.host.host.control().pin("marked", Pin::Default).unwrap();
    marked.deploy("v3").await;
    moves(&mut second, "v3").await;
    assert_eq!(first.served_by().await, "v1");
    assert_eq!(
        standing(&marked),
        [(VersionStatus::Serving, 1), (VersionStatus::Kept, 0), (VersionStatus::Draining, 1)]
    );
}

/// A version without connections is only kept from then on, and unloaded if there are too many.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_goes_with_its_last_connection() {
    for (keep, left) in [("", Some(VersionStatus::Kept)), ("keep_versions = 0\n", None)] {
        let marked = Marked::start("v1", &format!("{PIN}{keep}")).await;
        let (one, other) = (marked.connect().await, marked.connect().await);
        marked.deploy("v2").await;
        assert_eq!(standing(&marked), [(VersionStatus::Serving, 0), (VersionStatus::Draining, 2)]);
        one.close().await;
        marked.serves("v1", 1).await;
        assert_eq!(marked.version("v1").state, VersionStatus::Draining);
        other.close().await;
        eventually("the end of v1", || async { marked.find("v1").map(|version| version.state) == left }).await;
        assert_eq!(marked.host.serving("marked"), version_of("v2"));
    }
}

/// A version that has no connections when it is replaced is kept at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_without_connections_is_not_drained() {
    let marked = Marked::start("v1", PIN).await;
    marked.deploy("v2").await;
    assert_eq!(standing(&marked), [(VersionStatus::Serving, 0), (VersionStatus::Kept, 0)]);
}

/// An operator's pin counts more than the config: for a time, for the time of the config, or not at all, which also
/// ends earlier pins.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_pins_and_unpins() {
    let marked = Marked::start("v1", "pin_for = \"20m\"\n").await;
    let pin = |pin| marked.host.host.control().pin("marked", pin).unwrap();
    let outcome =
        |swap: &str, pin_for_seconds| PinOutcome { app: "marked".to_owned(), swap: swap.to_owned(), pin_for_seconds };
    let mut client = marked.connect().await;
    assert_eq!(marked.host.report("marked").swap, "live");

    assert_eq!(pin(Pin::For(Duration::from_secs(90))), outcome("pin", Some(90)));
    marked.deploy("v2").await;
    assert_eq!(pin(Pin::Default), outcome("pin", Some(1200)));
    let mut second = marked.connect().await;
    marked.deploy("v3").await;
    assert_eq!((client.served_by().await, second.served_by().await), ("v1".to_owned(), "v2".to_owned()));
    assert_eq!(marked.host.report("marked").swap, "pin");

    let silent = marked.connect_all(5).await;
    marked.deploy("v4").await;
    assert_eq!(pin(Pin::Off), outcome("live", None));
    assert_eq!((client.served_by().await, second.served_by().await), ("v4".to_owned(), "v4".to_owned()));
    marked.serves("v4", 7).await;
    drop(silent);
    marked.deploy("v5").await;
    assert_eq!((client.served_by().await, second.served_by().await), ("v5".to_owned(), "v5".to_owned()));

    pin(Pin::For(Duration::from_millis(300)));
    marked.deploy("v6").await;
    moves(&mut client, "v6").await;
    assert!(marked.host.host.control().pin("nobody", Pin::Off).is_err());
}

/// When an operator unpins an app that the config pins, the next deploys move all.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_unpins_what_the_config_pins() {
    let marked = Marked::start("v1", PIN).await;
    let mut client = marked.connect().await;
    marked.host.host.control().pin("marked", Pin::Off).unwrap();
    marked.deploy("v2").await;
    assert_eq!(client.served_by().await, "v2");
    assert_eq!(marked.connect().await.served_by().await, "v2");
}

/// No connection stays with a version that was taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_moves_pinned_connections_of_the_bad_version() {
    let marked = Marked::start("v1", PIN).await;
    let mut first = marked.connect().await;
    marked.deploy("v2").await;
    let (mut second, silent) = (marked.connect().await, marked.connect_all(5).await);
    assert_eq!((first.served_by().await, second.served_by().await), ("v1".to_owned(), "v2".to_owned()));
    marked.roll_back().unwrap();
    assert_eq!((first.served_by().await, second.served_by().await), ("v1".to_owned(), "v1".to_owned()));
    marked.serves("v1", 7).await;
    assert_eq!(standing(&marked), [(VersionStatus::RolledBack, 0), (VersionStatus::Serving, 7)]);
    drop(silent);
}

/// The same if the host takes it back by itself: connections that are pinned to the good version never notice.
#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_rollback_moves_pinned_connections_of_the_bad_version() {
    let marked = Marked::start("v1", &format!("{PIN}[apps.marked.rollback]\nmin_calls = 10\n")).await;
    let talkers = Talkers::start(marked.connect_all(20).await);
    let bad = "v2 third-traps";
    marked.deploy(bad).await;
    let mut survivors = marked.connect_all(5).await;
    for _ in 0..20 {
        if marked.version(bad).state == VersionStatus::RolledBack {
            break;
        }
        assert_eq!(marked.connect().await.try_ask("3").await.unwrap_err().code, 1011);
    }
    for client in &mut survivors {
        assert_eq!(client.served_by().await, "v1");
    }
    for talked in talkers.stop().await {
        assert_eq!((talked.closed, talked.names), (None, vec!["v1".to_owned()]));
    }
    assert_eq!(marked.host.report("marked").counts.automatic_rollbacks, 1);
}

/// A canary only takes new connections; those of the canary stay with it when it is promoted, ended or replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_canary_only_takes_new_connections() {
    let marked = Marked::start("v1", PIN).await;
    let mut old = marked.connect_all(30).await;
    marked.canary("v2", "50%").await;
    let mut new = marked.connect_all(30).await;
    let mut sides = Vec::new();
    for client in &mut new {
        sides.push(client.served_by().await);
    }
    let on_canary = sides.iter().filter(|side| *side == "v2").count();
    assert!(0 < on_canary && on_canary < 30, "{sides:?}");
    marked.canary("v2", "99.99%").await;
    marked.promote().unwrap();
    marked.deploy("v3").await;
    for (client, side) in new.iter_mut().zip(&sides) {
        assert_eq!(client.served_by().await, *side);
    }
    for client in &mut old {
        assert_eq!(client.served_by().await, "v1");
    }
    let on_canary = on_canary as u64;
    let expected =
        [(VersionStatus::Serving, 0), (VersionStatus::Draining, on_canary), (VersionStatus::Draining, 60 - on_canary)];
    assert_eq!(standing(&marked), expected);
}

/// A canary that is taken back keeps no connection, pinned or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_of_a_canary_moves_its_connections() {
    let marked = Marked::start("v1", PIN).await;
    marked.canary("v2", "99.99%").await;
    let mut client = marked.connect().await;
    assert_eq!(client.served_by().await, "v2");
    marked.roll_back().unwrap();
    assert_eq!(client.served_by().await, "v1");
}

/// Invariant 5, `pinned_versions`: when connections would be pinned to more versions than that, those of the oldest
/// move early; the others stay.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_pinned_to_so_many_versions_at_most() {
    let marked = Marked::start("v1", "swap = \"pin\"\npinned_versions = 1\n").await;
    let mut first = marked.connect().await;
    marked.deploy("v2").await;
    let mut second = marked.connect().await;
    assert_eq!((first.served_by().await, second.served_by().await), ("v1".to_owned(), "v2".to_owned()));
    marked.deploy("v3").await;
    assert_eq!((first.served_by().await, second.served_by().await), ("v3".to_owned(), "v2".to_owned()));
}
