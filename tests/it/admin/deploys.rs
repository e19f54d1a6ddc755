//! Modules that are sent to the host: too large, too slow, incomplete, or from a client that leaves.

use std::fs;
use std::path::Path;

use hassock::deploy::{Rollout, VersionStatus};
use hassock_tests::admin::answer;
use hassock_tests::{eventually, within};
use tokio::io::AsyncWriteExt;

use super::*;

const DEPLOY: &str = "POST /v1/apps/marked/versions";

/// `module_bytes` applies to an announced length, before the module is sent, and to chunks. One byte less is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_too_large_is_refused_before_and_while_it_comes() {
    let module = marked("v2");
    let most = module.len();
    let bench = Bench::with(&format!("module_bytes = {most}"), "").await;
    let operator = &bench.operator;
    let announced = operator.raw(operator.head(DEPLOY, &format!("content-length: {}\r\n", most + 1))).await;
    let head = operator.head(DEPLOY, "transfer-encoding: chunked\r\n");
    let chunks: Vec<u8> = module.chunks(1 << 14).flat_map(chunk).collect();
    let hidden = operator.raw([head.as_bytes(), &chunks, b"1\r\nx\r\n"].concat()).await;
    for answer in [announced, hidden] {
        assert_eq!((answer.status, answer.json()["kind"].as_str()), (413, Some("too-large")), "{answer:?}");
        assert!(answer.body.contains("the module is larger than `admin.module_bytes` = "), "{answer:?}");
    }
    assert_eq!(bench.host.report("marked").counts, Default::default(), "it did not reach the gate");
    let whole = operator.raw([head.as_bytes(), &chunks, b"0\r\n\r\n"].concat()).await;
    assert_eq!((whole.status, &whole.json()["version"]), (200, &json!(version_of("v2"))), "{whole:?}");
}

/// A client that is refused while it sends a long module can send the rest, and reads why it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_still_sending_reads_why_it_is_refused() {
    let long = vec![0; 8 << 20];
    for listen in ["", "listen = \"unix:admin.sock\"\n"] {
        let bench = Bench::with(&format!("{listen}module_bytes = \"1MiB\""), "").await;
        let stranger = Operator { token: "0123456789abcdef".to_owned(), ..Operator::of(&bench.host) };
        assert_eq!(bench.operator.send(DEPLOY, &long).await.json()["kind"], "too-large");
        assert_eq!(bench.operator.send("POST /v1/apps/marked/version", &long).await.json()["kind"], "unknown-route");
        assert_eq!(stranger.send(DEPLOY, &long).await.json()["kind"], "unauthorized");
        // A client that asks whether to send it gets the answer at once.
        let expect = format!("content-length: {}\r\nexpect: 100-continue\r\n", long.len());
        let answer = bench.operator.raw(bench.operator.head(DEPLOY, &expect)).await;
        assert_eq!((answer.status, &answer.json()["kind"]), (413, &json!("too-large")));
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The host waits at most `upload_timeout` for a module. Then the deploy that waited behind it has its turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_does_not_arrive_times_out() {
    let bench = Bench::with("upload_timeout = \"1s\"", "").await;
    let (module, next) = (marked("v2"), marked("v3"));
    let mut slow = bench.operator.connect().await;
    let head = bench.operator.head(DEPLOY, &format!("content-length: {}\r\n", module.len()));
    slow.write_all(&[head.as_bytes(), &module[..100]].concat()).await.unwrap();
    let (given_up, served) = tokio::join!(answer(slow), bench.operator.send(DEPLOY, &next));
    let given_up = given_up.expect("an answer");
    assert_eq!((given_up.status, given_up.json()["kind"].as_str()), (408, Some("timeout")));
    assert!(given_up.body.contains("did not arrive within `admin.upload_timeout` = 1s"), "{given_up:?}");
    assert_eq!((served.status, &served.json()["version"]), (200, &json!(version_of("v3"))));
    assert_eq!(bench.standings().len(), 2, "{:?}", bench.standings());
}

/// A client stops in the middle of its module: the part that arrived is thrown away, and the next client is served.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_module_is_thrown_away() {
    let bench = Bench::with("max_connections = 1", "").await;
    let module = marked("v2");
    let mut client = bench.operator.connect().await;
    let head = bench.operator.head(DEPLOY, &format!("content-length: {}\r\n", module.len()));
    client.write_all(&[head.as_bytes(), &module[..module.len() - 1]].concat()).await.unwrap();
    client.shutdown().await.unwrap();
    if let Some(answer) = answer(client).await {
        assert_eq!((answer.status, answer.json()["kind"].as_str()), (400, Some("broke-off")));
    }
    assert_eq!(bench.operator.ask("GET /health").await.status, 200);
    assert_eq!(bench.host.report("marked").counts, Default::default());
    assert_eq!(bench.standings(), [(version_of("v1"), VersionStatus::Serving)]);
}

/// The host deploys modules one after the other. Each of them serves, and the last one stays.
#[tokio::test(flavor = "multi_thread")]
async fn deploys_at_the_same_time_are_all_done() {
    let bench = Bench::with("", "keep_versions = 10").await;
    let marks = ["v2", "v3", "v4", "v5"].map(marked);
    let answers = futures_util::future::join_all(marks.iter().map(|module| bench.operator.send(DEPLOY, module))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(bench.host.report("marked").counts.deploys, 4);
    // Each answer names the version that served before, so together they are one chain.
    let mut before: Vec<Value> = answers.iter().map(|answer| answer.json()["previous"].clone()).collect();
    before.push(json!(bench.host.serving("marked")));
    before.sort_by_key(Value::to_string);
    let mut all = ["v1", "v2", "v3", "v4", "v5"].map(|mark| json!(version_of(mark)));
    all.sort_by_key(Value::to_string);
    assert_eq!(before, all);
}

/// What the client of a deploy sends.
fn deploy(bench: &Bench, module: &[u8]) -> Vec<u8> {
    let head = bench.operator.head(DEPLOY, &format!("content-length: {}\r\n", module.len()));
    [head.as_bytes(), module].concat()
}

/// Wait until a version is compiled: its deploy has begun.
async fn compiled(code: &Path, mark: &str) {
    let name = version_of(mark);
    let files = || fs::read_dir(code).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_there = || files().any(|file| file.starts_with(&name) && file.ends_with(".hassock-code"));
    eventually("the compiled code", || async { is_there() }).await;
}

/// "What has begun is done and logged even if the client goes away meanwhile." Another deploy, with a self-test that
/// does not end, delays it until its client is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_is_finished_without_its_client() {
    let code = tempfile::tempdir().unwrap();
    let bench = Bench::keeping(code.path(), "max_connections = 1", "limits.call_timeout = \"3s\"").await;
    let control = bench.host.host.control().clone();
    let endless = marked("endless check-sleep");
    let holder = tokio::spawn(async move { control.deploy("marked", endless, Rollout::Full).await });
    compiled(code.path(), "endless check-sleep").await;
    let mut client = bench.operator.connect().await;
    client.write_all(&deploy(&bench, &marked("v2"))).await.unwrap();
    compiled(code.path(), "v2").await;
    drop(client);
    // With one connection at a time, this is answered when the host has seen that the client is gone.
    assert_eq!(bench.operator.ask("GET /health").await.status, 200);
    eventually("the deploy to be done", || async { bench.host.serving("marked") == version_of("v2") }).await;
    assert!(holder.await.unwrap().is_err(), "the other was refused");
}

/// The host ends without waiting for a deploy that runs: the listener is closed, and the deploy gets no answer.
#[tokio::test(flavor = "multi_thread")]
async fn stopping_does_not_wait_for_a_deploy() {
    let code = tempfile::tempdir().unwrap();
    let bench = Bench::keeping(code.path(), "", "limits.call_timeout = \"10m\"").await;
    let mut client = bench.operator.connect().await;
    client.write_all(&deploy(&bench, &marked("endless check-sleep"))).await.unwrap();
    compiled(code.path(), "endless check-sleep").await;
    let Bench { host, operator, .. } = bench;
    assert_eq!(within("the end of the host", host.drain()).await, 0);
    assert!(operator.try_connect().await.is_err(), "the listener is still open");
    assert!(answer(client).await.is_none());
}
