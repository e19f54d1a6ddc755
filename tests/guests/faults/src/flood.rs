//! Calls of the host without end: until it refuses, or as many as fit into a call.

use std::time::Duration;

use hassock_sdk::prelude::*;

/// More than the host lets anything have.
const MANY: usize = 1_000_000;

/// Send until the host refuses; the close that follows says how much the host took.
pub fn sends(connection: Connection) {
    let sent = (0..MANY).take_while(|_| connection.send("x".repeat(1000)).is_ok()).count();
    // The outbox is full, so an answer could not be queued: close with it instead.
    let _ = connection.close(3000, &format!("{sent} of 1000 bytes each"));
}

/// Publish until nobody is reached, which includes this connection; the close that follows says how often.
pub fn publishes(connection: Connection) {
    let text = "x".repeat(1000);
    let reached = (0..MANY).take_while(|_| topics::publish("faults", &*text).is_ok_and(|reached| reached > 0)).count();
    let _ = connection.close(3000, &format!("{reached} publishes"));
}

/// Set timers of the app that fire as often as the host lets them, until it refuses more. Those of a call before this
/// one are set again.
pub fn timers() -> Result<String> {
    let soon = Schedule::after(Duration::ZERO).then_every(Duration::ZERO);
    let set = (0..MANY).take_while(|number| timers::set(&format!("{number}"), soon, &"").is_ok()).count();
    Ok(format!("{set} timers"))
}

/// Subscribe until the host refuses, and end it all again, many times.
pub fn subscriptions(connection: Connection) -> Result<String> {
    let mut subscribed = 0;
    for round in 0..10 {
        let name = |number: usize| format!("{round}, {number}");
        let count = (0..MANY).take_while(|number| connection.subscribe(&name(*number)).is_ok()).count();
        for number in 0..count {
            connection.unsubscribe(&name(number))?;
        }
        subscribed += count;
    }
    Ok(format!("{subscribed} subscriptions"))
}

/// Try to store attachments of 64 KiB, of more, and of much more.
pub fn attachment(connection: Connection) -> Result<String> {
    let bytes = vec![b'x'; 8 << 20];
    let sizes = [64 << 10, 128 << 10, bytes.len()].into_iter();
    let stored = sizes.filter(|size| connection.set_attachment_bytes(&bytes[..*size]).is_ok()).max();
    Ok(format!("{} bytes at most", stored.unwrap_or_default()))
}

/// Ask for random bytes, as many at a time as the memory has room for, until the call is ended.
pub fn random() -> String {
    let mut sum = 0_u64;
    loop {
        let bytes = wasip2::random::random::get_random_bytes(4 << 20);
        sum = sum.wrapping_add(bytes.iter().map(|byte| u64::from(*byte)).sum());
        if std::hint::black_box(sum) == u64::MAX {
            return "never".to_owned();
        }
    }
}
