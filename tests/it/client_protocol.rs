//! The client protocol `hassock.v1`, and the histories of topics, over real sockets.

mod ends;
mod histories;
mod interruptions;
mod messages;
mod presence;
mod resumption;

use hassock_tests::TestHost;

/// A host with the probe, whose topics that begin with `kept` keep ten messages for a minute.
async fn host(more: &str) -> TestHost {
    TestHost::probe(&format!("[apps.probe.topics.\"kept*\"]\nhistory = 10\nkeep = \"60s\"\n{more}")).await
}
