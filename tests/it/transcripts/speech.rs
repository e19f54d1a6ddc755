//! Clients that speak `hassock.v1`, and programs that publish: the same transcript in this process and against a running host.

use hassock_tests::{Finished, Site, app, app_with_database, example, guest};

use super::{Folder, assert_said};

/// Topics that keep ten messages, two messages, and who is there.
const TOPICS: &str = "[apps.probe.topics.\"kept*\"]\nhistory = 10\n[apps.probe.topics.\"short*\"]\nhistory = 2\n\
    [apps.probe.topics.\"here*\"]\npresence = true\n";

/// A folder with the probe and a transcript.
fn site(more: &str, transcript: &str) -> Site {
    let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    let site = Site::new(&format!("[admin]\nlisten = \"unix:admin.sock\"\n{probe}{more}"));
    site.put("x.transcript", transcript);
    site
}

/// Play it in this process, and against a running host.
async fn play_both_ways(more: &str, transcript: &str) -> [Finished; 2] {
    let site = site(more, transcript);
    let inside = site.run("test hassock.toml x.transcript --no-build").await;
    let host = site.serve().await;
    let url = format!("--url ws://{} --config hassock.toml --wait 30s", host.address);
    let outside = site.run(&format!("test hassock.toml x.transcript {url}")).await;
    host.stop().await;
    [inside, outside]
}

async fn passes(more: &str, transcript: &str) {
    for finished in play_both_ways(more, transcript).await {
        assert_said(&finished, 0, &["ok x.transcript", "\n1 passed, 0 failed in "]);
    }
}

async fn fails(more: &str, transcript: &str, said: &[&str]) {
    for finished in play_both_ways(more, transcript).await {
        assert_said(&finished, 1, said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_drops_and_returns_has_missed_nothing() {
    let transcript = "
connect ann /probe?topic=kept hassock.v1
ann < (subscribed kept at ${p0=string})
publish (kept at ${p1=string}) one
ann < (kept at ${p1}) one

ann vanishes
publish (kept at ${p2=string}) two
publish (kept) hex 00ff
ann returns
ann < (subscribed kept at ${p1} recovered)
ann < (kept at ${p2}) two
ann < (kept) hex 00ff
publish (kept) live
ann < (kept) live

# Once more, from further back than it has to.
ann disconnects
ann returns
  @since: kept ${p0}
ann < (subscribed kept at ${p0} recovered)
ann < (kept at ${p1}) one
ann < (kept at ${p2}) two
ann skips

# By a message of its own.
ann > (subscribe kept since ${p2})
ann < (subscribed kept at ${p2} recovered)
ann < (kept) hex 00ff
ann < (kept) live
ann > (subscribe kept last 1)
ann < (subscribed kept)
ann < (kept) live
ann > (unsubscribe kept)
ann < (unsubscribed kept)
publish (kept) to nobody
ann nothing

# Messages of the module are as without the protocol.
ann > hello
ann < hello
ann > {\"subscribers\": \"kept\"}
ann < {\"ok\": []}
";
    passes(TOPICS, transcript).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_returns_in_time_has_its_connection_again() {
    let transcript = r#"
connect ann /probe?topic=kept hassock.v1
ann < (subscribed kept)
ann > {"attach": {"has": "been here"}}
ann < {"ok": "${any}"}
ann vanishes
publish (kept at ${p1=string}) one
ann returns resumed
ann < (kept at ${p1}) one
ann > "attachment"
ann < {"ok": {"has": "been here"}}
ann > (request) "attachment"
ann < (reply) {"has": "been here"}

# Not after its own close frame.
ann disconnects
ann returns
ann < (subscribed kept at ${p1} recovered)
ann > "attachment"
ann < {"ok": {"opened": "${number}"}}

# And not later.
ann vanishes
publish (kept) two
advance 3s
ann returns
ann < (subscribed kept at ${p1} recovered)
ann < (kept) two
"#;
    passes(&format!("{TOPICS}[apps.probe.limits]\nresume_for = \"2s\"\n"), transcript).await;
}

const TOO_LONG: &str = "
connect ann /probe?topic=short hassock.v1
ann < (subscribed short)
ann vanishes
publish (short) one
publish (short) two
publish (short) three
ann returns
";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_away_for_too_long_is_told_so() {
    let told = "ann < (subscribed short gap count)\nann < (short) two\nann < (short) three\nann nothing\n";
    passes(TOPICS, &format!("{TOO_LONG}{told}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_expectation_shows_what_came() {
    let wrong = "ann < (subscribed short recovered)\n";
    let said = [
        "x.transcript:9: `ann` got another message than expected",
        "| ann < (subscribed short recovered)",
        "expected: (subscribed short recovered)",
        "got:      (subscribed short at ",
        " gap count)",
    ];
    fails(TOPICS, &format!("{TOO_LONG}{wrong}"), &said).await;
    let wrong = "publish (kept at ${p=string}) a\npublish (kept at ${p}) b\n";
    fails(TOPICS, wrong, &["x.transcript:2: the message that was published has another position than expected"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_an_id_is_published_once() {
    let transcript = "
connect ann /probe?topic=kept-once hassock.v1
ann < (subscribed kept-once)
publish (kept-once at ${p=string} id order-7) paid
publish probe (kept-once at ${p} id order-7) paid
publish (kept-once) next
ann < (kept-once at ${p} id order-7) paid
ann < (kept-once) next
ann nothing
";
    passes(TOPICS, transcript).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_says_who_has_dropped() {
    let transcript = r#"
connect ann /probe hassock.v1
ann > {"presence": "ann"}
ann < {"ok": "${any}"}
ann > (subscribe here)
ann < (subscribed here)
advance 300ms
ann < (presence here) {"count": 1, "members": [{"connection": "${number}", "data": "\"ann\""}]}
# That she herself has come.
ann skips

connect bob /probe hassock.v1
bob > {"presence": "bob"}
bob < {"ok": "${any}"}
bob > (subscribe here)
bob < (subscribed here)
advance 300ms
ann < (presence here) {"count": 2, "joined": [{"connection": "${bob=number}", "data": "\"bob\""}], "left": []}
bob < (presence here) {"count": 2, "members": "${array}"}
bob skips

bob vanishes
advance 300ms
ann < (presence here) {"count": 1, "joined": [], "left": ["${bob}"]}
"#;
    passes(TOPICS, transcript).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_and_subscriptions_refused() {
    let transcript = r#"
connect ann /probe?open=greet hassock.v1
  sec-websocket-protocol: v2, v1
  < sec-websocket-protocol: v2
ann < welcome
ann > (request) "attachment"
ann < (reply) {"opened": "${number}"}
ann > (request) hex 00ff
ann < (reply) hex 00ff
ann > (request) what?
ann < (error refused)
ann > (subscribe secret)
ann < (error refused) not this one
ann > (subscribe "")
ann < (error invalid-topic)
ann > (subscribe "a (b)")
ann < (subscribed "a (b)")
publish ("a (b)") to one
ann < ("a (b)") to one
ann > {"close": {"code": 4403, "reason": "go"}}
ann < (closing)
ann closed 4403 go
ann returns
ann < welcome
ann > {"close": {"code": 3000, "reason": "later"}}
ann < (closing reconnect after 1s)
ann closed 3000 later
"#;
    passes("", transcript).await;
}

/// A client that did not answer would be closed.
#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_answered_and_not_shown() {
    let transcript = "connect ann /probe hassock.v1\nadvance 4s\nann nothing\nann > x\nann < x\n";
    passes("[apps.probe.limits]\nkeepalive = \"1s\"\n", transcript).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_key_of_a_topic_can_be_set() {
    let transcript = "
set topics.\"short*\".history = 3
connect ann /probe?topic=short hassock.v1
ann < (subscribed short)
ann vanishes
publish (short) one
publish (short) two
publish (short) three
ann returns
ann < (subscribed short recovered)
ann skips
";
    let finished = site(TOPICS, transcript).run("test hassock.toml x.transcript --no-build").await;
    assert_said(&finished, 0, &["\n1 passed, 0 failed in "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_told_where_to_publish_gets_nothing() {
    let site = site("", "connect ann /probe\nann > x\npublish (a) hi\n");
    let host = site.serve().await;
    let url = format!("--url ws://{}", host.address);
    let finished = site.run(&format!("test hassock.toml x.transcript {url}")).await;
    let said = "x.transcript:3: `publish` needs the admin listener of the running host: name the config that the host was started \
        with, `--config FILE`";
    assert_said(&finished, 2, &[said]);
    let finished = site.run(&format!("test hassock.toml x.transcript {url} --config other.toml")).await;
    assert_said(&finished, 2, &["other.toml"]);
    let finished = site.run("test hassock.toml x.transcript --no-build --config hassock.toml").await;
    assert_said(&finished, 2, &["--url"]);
    site.put("x.transcript", "publish nobody (a) hi\n");
    let finished = site.run(&format!("test hassock.toml x.transcript {url} --config hassock.toml")).await;
    assert_said(&finished, 1, &["x.transcript:1: the step cannot be played: ", "`nobody`"]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_published_is_said() {
    let two = format!("{}{}", app("one", &example("echo")), app("two", &example("echo")));
    let folder = Folder::new().with("hassock.toml", two);
    for (step, said) in [
        ("publish (a) hi", "say which app: there are `one`, `two`"),
        ("publish three (a) hi", "there is no app `three`; there is `one`, `two`"),
        ("publish one (\"\") hi", "a topic has 1 to 256 bytes, and not 0"),
        ("publish one (a id \"\") hi", "the id of a message has 1 to 128 bytes"),
    ] {
        folder.put("x.transcript", step);
        let finished = folder.test("--no-build . x.transcript").await;
        assert_said(&finished, 1, &[&format!("x.transcript:1: the step cannot be played: {said}")]);
    }
}
