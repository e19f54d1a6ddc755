//! A canary: a version that a share of the connections gets, until it is promoted or taken back.

use hassock::deploy::{DeployError, Rollout, VersionStatus};
use hassock_tests::{Client, Marked, Silent, Talkers, TestHost, eventually, guest, version_of};
use serde_json::json;
use tokio::task::JoinSet;

/// How many connections are open at the same time.
const AT_ONCE: usize = 250;

/// The names of the versions that serve some connections.
async fn sides(clients: &mut [Client]) -> Vec<String> {
    let mut sides = Vec::new();
    for client in clients {
        sides.push(client.served_by().await);
    }
    sides
}

/// The places of the connections that a version serves.
fn places(sides: &[String], name: &str) -> Vec<usize> {
    (0..sides.len()).filter(|place| sides[*place] == name).collect()
}

/// "A share of the connections": over 10,000 with consecutive ids, it is within two points of what was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenth_of_ten_thousand_connections_get_a_canary_of_ten_percent() {
    let marked = Marked::start("v1", "").await;
    marked.canary("v2", "10%").await;
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let address = marked.host.address();
        tasks.spawn(async move {
            let mut on_canary = 0;
            for _ in 0..10_000 / AT_ONCE {
                let mut client = Client::connect(&address, "/marked").await;
                match client.served_by().await.as_str() {
                    "v1" => {}
                    "v2" => on_canary += 1,
                    other => panic!("{other}"),
                }
                // A reset, so that no port stays taken for a minute.
                client.socket.get_ref().set_zero_linger().unwrap();
            }
            on_canary
        });
    }
    let on_canary: usize = tasks.join_all().await.into_iter().sum();
    assert!((800..=1200).contains(&on_canary), "{on_canary} of 10,000");
}

/// "The same connection always is, or is not" one of the share, whichever version has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_stays_on_its_side() {
    let marked = Marked::start("v1", "").await;
    let mut clients = marked.connect_all(200).await;
    marked.canary("v2", "20%").await;
    let first = sides(&mut clients).await;
    let chosen = places(&first, "v2");
    assert!(!chosen.is_empty() && chosen.len() < 200, "{first:?}");
    assert_eq!(sides(&mut clients).await, first, "asked again");
    marked.canary("v2", "20%").await;
    assert_eq!(sides(&mut clients).await, first, "deployed again");
    marked.roll_back().unwrap();
    marked.canary("v3", "20%").await;
    assert_eq!(places(&sides(&mut clients).await, "v3"), chosen, "another version");
}

/// "One that is in a share is also in each larger one."
#[tokio::test(flavor = "multi_thread")]
async fn a_larger_share_keeps_those_that_were_in() {
    let marked = Marked::start("v1", "").await;
    let mut clients = marked.connect_all(200).await;
    let mut before = Vec::new();
    for share in ["5%", "20%", "60%"] {
        assert_eq!(marked.canary("v2", share).await.state, VersionStatus::Canary);
        let sides = sides(&mut clients).await;
        let chosen = places(&sides, "v2");
        assert!(chosen.len() > before.len(), "{share}: {chosen:?}");
        assert!(before.iter().all(|place| chosen.contains(place)), "{share}: {before:?}, then {chosen:?}");
        before = chosen;
    }
    marked.canary("v2", "5%").await;
    let chosen = places(&sides(&mut clients).await, "v2");
    assert!(chosen.len() < before.len() && chosen.iter().all(|place| before.contains(place)), "{chosen:?}");
    assert_eq!(marked.host.report("marked").counts.deploys, 1, "another share is not another version");
}

/// "Serve the canary to all": connections that talk, silent ones, and new ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_moves_all() {
    let marked = Marked::start("v1", "").await;
    let mut clients = marked.connect_all(40).await;
    let silent = Silent::start(marked.connect_all(40).await);
    marked.canary("v2", "50%").await;
    assert_eq!(places(&sides(&mut clients).await, "v1").len() + places(&sides(&mut clients).await, "v2").len(), 40);
    let outcome = marked.promote().unwrap();
    assert_eq!((outcome.version, outcome.previous), (version_of("v2"), Some(version_of("v1"))));
    assert_eq!((outcome.state, outcome.canary_percent), (VersionStatus::Serving, None));
    assert_eq!(places(&sides(&mut clients).await, "v2").len(), 40);
    assert_eq!(marked.connect().await.served_by().await, "v2");
    marked.serves("v1", 0).await;
    assert_eq!((marked.version("v1").state, marked.host.serving("marked")), (VersionStatus::Kept, version_of("v2")));
    drop(silent);
    // Both have served all, so a rollback can go back to both.
    marked.deploy("v3").await;
    for name in ["v2", "v1"] {
        marked.roll_back().unwrap();
        assert_eq!(places(&sides(&mut clients).await, name).len(), 40);
    }
}

/// "Take back the canary": it does not serve any more, and the serving version goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_of_a_canary_moves_all_back() {
    let marked = Marked::start("v1", "").await;
    let mut clients = marked.connect_all(40).await;
    let silent = Silent::start(marked.connect_all(40).await);
    marked.canary("v2", "50%").await;
    assert!(places(&sides(&mut clients).await, "v2").len() > 1);
    let outcome = marked.roll_back().unwrap();
    assert_eq!((outcome.version, outcome.previous), (version_of("v1"), Some(version_of("v2"))));
    assert_eq!(places(&sides(&mut clients).await, "v1").len(), 40);
    marked.serves("v2", 0).await;
    drop(silent);
    let version = marked.version("v2");
    assert_eq!((version.state, version.canary_percent), (VersionStatus::RolledBack, None));
    assert_eq!(version.reason.as_deref(), Some("an operator took it back"));
    let counts = marked.host.report("marked").counts;
    assert_eq!((counts.operator_rollbacks, counts.automatic_rollbacks), (1, 0));
    assert_eq!(places(&sides(&mut marked.connect_all(20).await).await, "v1").len(), 20);
}

/// A deploy to all ends the canary, also one of the version that serves already.
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_ends_a_canary() {
    let marked = Marked::start("v1", "").await;
    let mut clients = marked.connect_all(40).await;
    for (deployed, serving) in [("v1", "v1"), ("v3", "v3"), ("v2", "v2")] {
        marked.canary("v2", "50%").await;
        assert!(!places(&sides(&mut clients).await, "v2").is_empty());
        assert_eq!(marked.deploy(deployed).await.state, VersionStatus::Serving);
        assert_eq!(places(&sides(&mut clients).await, serving).len(), 40, "{deployed}");
        let report = marked.host.report("marked");
        assert!(report.versions.iter().all(|version| version.state != VersionStatus::Canary), "{report:?}");
    }
}

/// There is one canary at most, and a rollback does not go back to one that was ended without a promotion.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_canary_replaces_the_first() {
    let marked = Marked::start("v1", "").await;
    let mut clients = marked.connect_all(40).await;
    marked.canary("v2", "50%").await;
    let chosen = places(&sides(&mut clients).await, "v2");
    marked.canary("v3", "50%").await;
    let second = sides(&mut clients).await;
    assert_eq!(places(&second, "v3"), chosen);
    assert_eq!(places(&second, "v1").len(), 40 - chosen.len());
    marked.serves("v2", 0).await;
    assert_eq!((marked.version("v2").state, marked.version("v3").state), (VersionStatus::Kept, VersionStatus::Canary));
    marked.promote().unwrap();
    assert_eq!(places(&sides(&mut clients).await, "v3").len(), 40);
    // Not v2, which was deployed between them and has never served all.
    assert_eq!(marked.roll_back().unwrap().version, version_of("v1"));
    assert_eq!(places(&sides(&mut clients).await, "v1").len(), 40);
    assert!(matches!(marked.roll_back(), Err(DeployError::NoPrevious { .. })));
}

/// The same if the canary was ended by deploying the serving version again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_back_to_a_canary_that_was_ended() {
    let marked = Marked::start("v1", "").await;
    marked.canary("v2", "50%").await;
    marked.deploy("v1").await;
    assert!(matches!(marked.roll_back(), Err(DeployError::NoPrevious { .. })));
    assert_eq!(marked.host.serving("marked"), version_of("v1"));
}

/// Without a canary there is nothing to promote, and the error says how to get one.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_without_a_canary_says_how_to_get_one() {
    let marked = Marked::start("v1", "").await;
    let before = marked.host.report("marked");
    let error = marked.promote().unwrap_err();
    assert!(matches!(error, DeployError::NoCanary { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("`hassock module deploy marked FILE --canary 10%`"), "{error}");
    assert_eq!(marked.host.report("marked").versions.len(), before.versions.len());
    marked.canary("v2", "10%").await;
    marked.promote().unwrap();
    assert!(matches!(marked.promote(), Err(DeployError::NoCanary { .. })), "it is not a canary any more");
    assert_eq!(marked.host.serving("marked"), version_of("v2"));
}

/// A canary of the serving version changes nothing, and the outcome says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_canary_of_the_version_that_serves_changes_nothing() {
    let marked = Marked::start("v1", "").await;
    let mut clients = marked.connect_all(20).await;
    for beside in [None, Some("v2")] {
        if let Some(canary) = beside {
            marked.canary(canary, "50%").await;
        }
        let before = (sides(&mut clients).await, marked.host.report("marked").counts);
        let outcome = marked.canary("v1", "50%").await;
        assert_eq!((outcome.state, outcome.canary_percent), (VersionStatus::Serving, None));
        assert!(outcome.notes.iter().any(|note| note.contains("nothing has changed")), "{:?}", outcome.notes);
        assert_eq!((sides(&mut clients).await, marked.host.report("marked").counts), before);
    }
}

/// The report says which version is a canary, its share, and how many connections it has.
#[tokio::test(flavor = "multi_thread")]
async fn the_report_says_what_a_canary_is_and_has() {
    let marked = Marked::start("v1", "").await;
    let mut clients = marked.connect_all(100).await;
    let outcome = marked.canary("v2", "12.5%").await;
    assert_eq!((outcome.version, outcome.previous), (version_of("v2"), Some(version_of("v1"))));
    assert_eq!((outcome.state, outcome.canary_percent), (VersionStatus::Canary, Some(12.5)));
    let sides = sides(&mut clients).await;
    let on_canary = places(&sides, "v2").len();
    marked.serves("v2", on_canary).await;
    marked.serves("v1", 100 - on_canary).await;
    let report = marked.host.report("marked");
    assert_eq!(report.file_version, version_of("v1"), "a restart serves the file");
    let [canary, serving] = &report.versions[..] else { panic!("{report:?}") };
    assert_eq!((canary.state, canary.canary_percent), (VersionStatus::Canary, Some(12.5)));
    assert_eq!((serving.state, serving.canary_percent), (VersionStatus::Serving, None));
    drop(clients);
    marked.serves("v2", 0).await;
    assert_eq!(marked.version("v2").state, VersionStatus::Canary, "new ones may come");
}

/// A host with the app `probe` and a canary of it, which does the same.
async fn probe_with_canary(share: &str) -> TestHost {
    let host = TestHost::probe("").await;
    // A custom section that is not used makes it another version.
    let canary = [std::fs::read(guest("probe")).unwrap(), vec![0, 3, 1, b'v', 1]].concat();
    host.host.control().deploy("probe", canary, Rollout::Canary(share.parse().unwrap())).await.unwrap();
    host
}

/// A canary is for connections: the timers of the app itself fire in the serving version.
#[tokio::test(flavor = "multi_thread")]
async fn timers_of_the_app_are_not_the_canarys() {
    let host = probe_with_canary("99.99%").await;
    let mut client = host.connect("/probe?topic=timers").await;
    let calls = || host.report("probe").versions.iter().map(|version| version.calls).collect::<Vec<_>>();
    assert_eq!(host.report("probe").versions[0].connections, 1, "the connection is on the canary");
    let before = calls();
    for name in ["a", "b", "c"] {
        client.probe(json!({ "app-timer": { "name": name, "after_ms": 1, "text": name } })).await;
        assert_eq!(client.json().await, json!({ "fired": name, "text": name }));
    }
    // What a call sends is there before the call is counted.
    let expected = [before[0] + 3, before[1] + 3];
    eventually("three calls of each", || async { calls() == expected }).await;
}

/// Invariant 3: topics are the app's, so they reach from one side to the other.
#[tokio::test(flavor = "multi_thread")]
async fn topics_reach_from_one_side_to_the_other() {
    let host = probe_with_canary("50%").await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(host.connect("/probe?topic=news").await);
    }
    let connections: Vec<_> = host.report("probe").versions.iter().map(|version| version.connections).collect();
    assert!(connections[0] > 0 && connections[1] > 0, "{connections:?}");
    let published = json!({ "publish": { "topic": "news", "text": "for all" } });
    clients[0].send(published.to_string()).await;
    for client in &mut clients {
        assert_eq!(client.text().await, "for all");
    }
    assert_eq!(clients[0].json().await, json!({ "ok": 20 }));
}

/// Invariant 7: connections that talk all the time see a canary come, grow, be promoted and be taken back
/// without a message lost, repeated or reordered.
#[tokio::test(flavor = "multi_thread")]
async fn a_canarys_life_loses_and_reorders_nothing() {
    let marked = Marked::start("v1", "").await;
    let talkers = Talkers::start(marked.connect_all(30).await);
    for (canary, next) in [("v2", "v3"), ("v4", "v5"), ("v6", "v7")] {
        for share in ["30%", "60%"] {
            marked.canary(canary, share).await;
            eventually(canary, || async { marked.version(canary).calls > 100 }).await;
        }
        marked.promote().unwrap();
        marked.serves(canary, 30).await;
        marked.canary(next, "50%").await;
        eventually(next, || async { marked.version(next).calls > 100 }).await;
        marked.roll_back().unwrap();
        marked.serves(canary, 30).await;
    }
    for mut talked in talkers.stop().await {
        assert_eq!(talked.closed, None, "after {:?}", talked.names);
        assert_eq!(talked.client.served_by().await, "v6");
    }
}
