//! A process that may not open one more file: each connection is one.

use hassock_tests::raw::{text, upgrade};
use hassock_tests::{Events, Raw, Site, app, guest};

/// Clients that come when there is no room for all of them.
const LATE: usize = 30;

/// Those that are connected go on, the others wait in the kernel's queue, and each of them is served as soon as another
/// has left.
#[tokio::test(flavor = "multi_thread")]
async fn without_open_files_clients_wait_and_others_go_on() {
    let events = Events::new().await;
    // One session of the database, which has its files open.
    let database = format!("[databases.main]\nurl = \"{}\"\nmax_connections = 1\n", events.url());
    let app = app("probe", &guest("probe"));
    let site =
        Site::new(&format!("{database}{app}databases.main = \"read-write\"\n[apps.probe.settings]\nevents = true\n"));
    let host = site.serve().await;
    let mut early = Vec::new();
    for _ in 0..4 {
        early.push(host.connect("/probe").await);
    }
    host.process.more_files(LATE / 3);
    let mut late = Vec::new();
    for number in 0..LATE {
        let mut raw = Raw::connect(&host.address).await;
        raw.send([upgrade("/probe").into_bytes(), text(&number.to_string())].concat()).await;
        late.push(raw);
    }
    host.logs("cannot accept connections; the limit of open files may be too low", 1).await;
    for client in &mut early {
        assert_eq!(client.ask("unaffected").await, "unaffected");
    }
    for (number, mut raw) in late.into_iter().enumerate() {
        raw.accepted().await;
        assert_eq!(raw.text().await, number.to_string());
        // Its end makes room for another one.
        drop(raw);
    }
    for client in &mut early {
        assert_eq!(client.ask("still unaffected").await, "still unaffected");
    }
    assert_eq!(host.connect("/probe").await.ask("as before").await, "as before");
    drop(early);
    host.stop().await;
    assert_eq!(events.assert_each_closed_once().await, 4 + LATE + 1);
}
