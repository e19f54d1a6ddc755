//! A transcript shows what another program publishes: it inserts the row.

use hassock_tests::{app, guest};

use super::{Folder, assert_said};

const TRANSCRIPT: &str = r#"
connect reader /probe?topic=news
connect writer /probe

# Another program.
sql main: INSERT INTO hassock_outbox (app, topic, message) VALUES ('probe', 'news', 'from a program')
reader < from a program

# The module, in a transaction.
writer > {"transaction": [{"enqueue": {"topic": "news", "text": "from a module"}}, "commit"]}
writer < {"ok": [{"ok": null}, {"ok": null}]}
reader < from a module

writer > {"transaction": [{"enqueue": {"topic": "news", "text": "never"}}, "rollback"]}
writer < {"ok": [{"ok": null}, {"ok": null}]}
sql main: SELECT COUNT(*) AS waiting FROM hassock_outbox
  | waiting |
  |---------|
  | 0       |
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_shows_what_an_outbox_publishes() {
    let main = "[databases.main]\nurl = \"mysql://${NOT_SET}@h/d\"\n[databases.main.outbox]\n";
    let config = format!("{main}{}databases.main = \"read-write\"\n", app("probe", &guest("probe")));
    let folder = Folder::new().with("hassock.toml", config).with("outbox.transcript", TRANSCRIPT);
    assert_said(&folder.test("--no-build .").await, 0, &["\n1 passed, 0 failed in "]);
}
