//! Calls of a module that cannot wait run on the stack of the session. They are bounded like others, and leave others their
//! turn.

use futures_util::{FutureExt, StreamExt};
use hassock_tests::{TestHost, app, guest};

/// A host with the module `raw`, which imports nothing that waits.
async fn host(limits: &str) -> TestHost {
    TestHost::start(&format!("{}[apps.raw.limits]\n{limits}\n", app("raw", &guest("raw")))).await
}

/// Invariant 4, with one thread for everything: while a call computes, all others are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_that_computes_leaves_its_thread_to_others() {
    let host = host("instances = 8\ncpu_time = \"3s\"\n").await;
    // The second time, the version is known to take long, and its calls have stacks of their own.
    for _ in 0..2 {
        let mut victim = host.connect("/raw").await;
        assert_eq!(victim.ask("well").await, "well");
        let mut bystander = host.connect("/raw").await;
        victim.send("spin").await;
        for number in 0..20 {
            assert_eq!(bystander.ask(number.to_string()).await, number.to_string());
        }
        assert!(victim.socket.next().now_or_never().is_none(), "the call has ended before the others had their turn");
        assert_eq!(victim.closed().await.code, 1011);
    }
}

/// `call_timeout` counts for calls that compute, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_computes_ends_in_time() {
    let host = host("cpu_time = \"1h\"\ncall_timeout = \"200ms\"\n").await;
    for _ in 0..2 {
        let mut client = host.connect("/raw").await;
        assert_eq!(client.ask("well").await, "well");
        client.send("spin").await;
        assert_eq!(client.closed().await.code, 1011);
        assert_eq!(host.connect("/raw").await.ask("well").await, "well");
    }
}
