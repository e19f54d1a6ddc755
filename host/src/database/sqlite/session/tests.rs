//! The threads of sessions.

#![cfg(target_os = "linux")]

use super::super::super::session::Permits;
use super::super::pool::Pool;
use super::*;
use crate::priority::LOW;
use std::fs;
use tokio::sync::{Semaphore, watch};

/// More than any statement takes here.
const LONG: Duration = Duration::from_hours(1);

fn pool() -> Pool {
    let opening = Opening {
        path: ":memory:".into(),
        flags: OpenFlags::default(),
        in_memory: false,
        max_pages: 100,
        setup: "",
        busy_timeout: LONG,
        idle_timeout: None,
        longest: None,
    };
    Pool::new(opening, 2, &watch::Sender::new(()))
}

/// What a call of another pool holds.
async fn permits() -> Permits {
    let permit = async || Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    [permit().await, permit().await]
}

/// The priority of the thread of a session, as the system says it.
fn priority(thread: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
    // The name, in parentheses, may contain anything. The priority is field 19, and what follows the name begins with
    // field 3.
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap()
}

fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// A statement may go on for a while after it was stopped: within one instruction of SQLite, nothing ends it.
#[tokio::test]
async fn a_statement_that_was_abandoned_leaves_the_cores_to_others() {
    let pool = pool();
    let before = priority(this_thread());
    let mut used = pool.acquire().await.unwrap();
    let thread = used.session.run(LONG, |_| this_thread()).await.unwrap();
    let (begin, begun) = oneshot::channel();
    let (end, until) = mpsc::channel::<()>();
    let endless = used.session.run(LONG, move |_| {
        begin.send(()).unwrap();
        until.recv()
    });
    tokio::select! {
        _ = endless => panic!("it has ended"),
        begun = begun => begun.unwrap(),
    }
    assert_eq!(priority(thread), before, "others may wait for it");
    used.discard(permits().await);
    drop(used);
    assert_eq!(priority(thread), LOW.max(before));
    let next = pool.acquire().await.unwrap();
    let other = next.session.run(LONG, |_| priority(this_thread())).await.unwrap();
    assert_eq!(other, before, "a session that is used is on another thread");
    drop(end);
}
