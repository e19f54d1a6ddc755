//! Recordings that do not end by themselves, and recordings that cannot begin.

use super::*;

/// Ctrl-C ends the recording, which has all traffic so far. The traffic goes on; another recording may begin.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_it_well() {
    let site = probe("");
    let host = site.serve().await;
    let process = record(&site, "probe", " --connections 2").await;
    let mut client = host.connect("/probe").await;
    assert_eq!(client.ask("before").await, "before");
    // The traffic is written as it comes.
    let is_there = || async { fs::read_to_string(site.file(FILE)).unwrap().ends_with("c1 < before\n") };
    eventually("the message to be in the file", is_there).await;
    process.ctrl_c();
    let finished = recorded(process).await;
    assert_eq!(finished.stdout, format!("recorded 1 connection, 2 messages to {FILE}; interrupted\n"));
    assert_eq!(client.ask("after").await, "after");
    let expected = "connect c1 /probe\n  @id: 1\nc1 > before\nc1 < before\n";
    assert_eq!(steps(&site, "probe", &guest("probe")), expected);
    // The host notices that the first has ended.
    let begins = || async {
        let next = Process::hassock(site.folder(), ["record", "probe", "next.transcript"]);
        let recording = || async { next.stderr().contains("recording probe: ") || next.stderr().contains("already") };
        eventually("an answer", recording).await;
        let begins = next.stderr().contains("recording probe: ");
        next.signal("TERM");
        next.ends().await;
        begins
    };
    eventually("another recording", begins).await;
    drop(client);
    host.stop().await;
}

/// When the host stops, the transcript has its closes and can be used.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_cuts_it_short() {
    let site = probe("");
    let host = site.serve().await;
    let process = record(&site, "probe", " --connections 2").await;
    let mut client = host.connect("/probe").await;
    assert_eq!(client.ask("hi").await, "hi");
    let ((), closed) = tokio::join!(async { drop(host.stop().await) }, client.closed());
    assert_eq!(closed.code, 1001);
    let finished = recorded(process).await;
    let remark = "cut short: the host stops, or no longer has the app";
    assert_eq!(finished.stdout, format!("recorded 1 connection, 2 messages to {FILE}; {remark}\n"));
    let expected = "connect c1 /probe\n  @id: 1\nc1 > hi\nc1 < hi\nc1 closed 1001 the host is stopping\n";
    assert_eq!(steps(&site, "probe", &guest("probe")), expected);
}

/// If the host is killed, the file has what came before, and the command says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_is_missed() {
    let site = probe("");
    let host = site.serve().await;
    let process = record(&site, "probe", "").await;
    host.process.signal("KILL");
    host.process.ends().await;
    let finished = process.ends().await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""));
    assert!(finished.stderr.contains("went away before the recording ended"), "{finished:?}");
    assert_eq!(steps(&site, "probe", &guest("probe")), "");
}

/// Invariant 5: a slow reader loses the recording; the clients do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_loses_the_recording_and_nobody_waits() {
    let site = site("probe", &guest("probe"), "");
    let config = fs::read_to_string(site.file("hassock.toml")).unwrap();
    site.put("hassock.toml", config.replace("[admin]\n", "[admin]\nrecord_bytes = \"256KiB\"\n"));
    let host = site.serve().await;
    let process = record(&site, "probe", "").await;
    let mut client = host.connect("/probe").await;
    assert_eq!(client.ask("first").await, "first");
    process.signal("STOP");
    let text = "x".repeat(64 << 10);
    for _ in 0..100 {
        assert_eq!(client.ask(text.clone()).await, text);
    }
    process.signal("CONT");
    let finished = process.ends().await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""));
    let expected = "more than `admin.record_bytes` = 256.0 KiB waited";
    assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    let steps = steps(&site, "probe", &guest("probe"));
    assert!(steps.starts_with("connect c1 /probe\n  @id: 1\nc1 > first\nc1 < first\nc1 > xxx"), "{}", &steps[..200]);
    assert!(steps.ends_with("x\n# the recording ended here: it was not read as fast as the traffic came\n"));
    assert_eq!(client.ask("still").await, "still");
    drop(client);
    host.stop().await;
}

/// A recording that cannot begin says why and changes no file.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_begin_leaves_nothing_behind() {
    let site = probe("");
    let host = site.serve().await;
    site.put("old", "what was there");
    for (line, expected) in [
        ("probe old", "old: the file exists already; give another name, or `--force` to overwrite it"),
        ("nobody new", "there is no app `nobody`; the config has `probe`"),
        ("nobody old --force", "there is no app `nobody`"),
        ("probe no/such/new", "cannot write the transcript no/such/new: No such file or directory"),
    ] {
        let finished = site.run(&format!("record {line}")).await;
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{line}: {finished:?}");
        assert!(finished.stderr.contains(expected), "{line}: {}", finished.stderr);
    }
    assert_eq!(fs::read_to_string(site.file("old")).unwrap(), "what was there");
    assert!(!site.file("new").exists());
    assert_eq!(site.run("record probe new --connections 0").await.code, Some(2));

    let process = record(&site, "probe", "").await;
    let second = site.run("record probe new").await;
    assert_eq!(second.code, Some(1));
    let expected =
        "`probe` is being recorded already, and an app can have only one recording at a time; wait for it or end it";
    assert!(second.stderr.contains(expected), "{}", second.stderr);
    assert!(!site.file("new").exists());
    drop(host.connect("/probe").await);
    recorded(process).await;

    // With `--force`, nothing is left of the old file.
    let process = Process::hassock(site.folder(), ["record", "probe", "old", "--force"]);
    process.complains("recording probe: 0 of 1 connection, 0 messages; Ctrl-C ends").await;
    drop(host.connect("/probe").await);
    recorded(process).await;
    let text = fs::read_to_string(site.file("old")).unwrap();
    assert!(text.starts_with("# recorded from probe ") && text.ends_with("c1 skips\nc1 vanishes\n"), "{text}");
    host.stop().await;
    let finished = site.run("record probe new").await;
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("no host answers at"), "{}", finished.stderr);
    assert!(!site.file("new").exists());
}
