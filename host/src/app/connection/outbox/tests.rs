use hassock_frames::{Payload, Window};

use super::*;

fn outbox(limit: usize) -> Outbox {
    Outbox::new(limit, &Arc::default())
}

fn text(bytes: usize) -> Encoded {
    Encoded::text(&"x".repeat(bytes))
}

#[test]
fn the_limit_holds_until_the_bytes_are_written() {
    let outbox = outbox(1000);
    assert_eq!((outbox.push(text(436)), outbox.fullness()), (Ok(()), 50));
    assert_eq!((outbox.push(text(436)), outbox.fullness()), (Ok(()), 100));
    assert_eq!(outbox.push(text(0)), Err(SendError::Full));
    let mut taken = VecDeque::new();
    outbox.next(&mut taken);
    assert_eq!(taken.len(), 2);
    assert_eq!(outbox.push(text(0)), Err(SendError::Full), "what was taken is not written yet");
    taken.clear();
    outbox.next(&mut taken);
    assert_eq!((outbox.push(text(0)), outbox.fullness()), (Ok(()), 6));
}

#[test]
fn a_message_as_large_as_the_limit_fits_into_an_empty_outbox() {
    let outbox = outbox(1000);
    assert_eq!(outbox.push(text(1001)), Err(SendError::TooLarge));
    assert_eq!((outbox.push(text(1000)), outbox.fullness()), (Ok(()), 100));
    assert_eq!(outbox.push(text(0)), Err(SendError::Full));
}

#[test]
fn empty_messages_are_not_free() {
    let outbox = outbox(640);
    let sent = std::iter::repeat_with(|| outbox.push(text(0))).take_while(Result::is_ok).count();
    assert_eq!(sent, 10);
}

#[test]
fn a_filled_one_is_full_until_the_session_writes() {
    let outbox = outbox(1000);
    outbox.push(text(100)).unwrap();
    outbox.fill();
    assert_eq!(outbox.push(text(0)), Err(SendError::Full));
    let mut taken = VecDeque::new();
    outbox.next(&mut taken);
    taken.clear();
    outbox.next(&mut taken);
    assert_eq!((outbox.push(text(936)), outbox.fullness()), (Ok(()), 100));
}

#[test]
fn several_go_together_or_not_at_all() {
    let outbox = outbox(263);
    let long = "x".repeat(100);
    let two = Encoded::messages([Payload::text(&long), Payload::text(&long)].into_iter());
    assert_eq!(outbox.push(two), Err(SendError::TooLarge));
    assert!(!outbox.has_messages());
}

#[test]
fn promised_room_stays_whatever_others_send() {
    let outbox = outbox(1000);
    assert_eq!(outbox.room(), 1000);
    outbox.push(text(936)).unwrap();
    outbox.push_promised(text(936)).unwrap();
    assert_eq!((outbox.room(), outbox.fullness()), (0, 100));
    let mut taken = VecDeque::new();
    outbox.next(&mut taken);
    assert_eq!(taken, [text(936), text(936)]);
    outbox.close(Close::going_away()).unwrap();
    assert_eq!((outbox.push_promised(text(1)), outbox.room()), (Err(SendError::Closing), 0));
    taken.clear();
    assert!(matches!(outbox.next(&mut taken), Next::Close(_)));
}

/// What a module may send does not depend on its clients, and what is in memory does.
#[test]
fn the_limit_counts_what_was_sent_and_the_budget_what_is_kept() {
    let memory = MemoryBudget::new(64 << 20);
    let how = Deflate { window: Window::Full, level: 2, min_bytes: 100 };
    let outbox = Outbox::new(200_000, &memory).deflating(Some(how));
    outbox.push(text(100_000)).unwrap();
    outbox.push_promised(text(50_000)).unwrap();
    assert_eq!((outbox.fullness(), outbox.push(text(100_000))), (75, Err(SendError::Full)));
    assert_eq!(outbox.push(text(200_001)), Err(SendError::TooLarge));
    assert!(outbox.memory().0 < 1_000, "{} bytes", outbox.memory().0);
    let mut taken = VecDeque::new();
    outbox.next(&mut taken);
    assert!(taken.iter().all(Encoded::is_compressed) && taken.len() == 2);
    // The form of a published message is that of the publisher.
    outbox.push_published(text(500)).unwrap();
    taken.clear();
    outbox.next(&mut taken);
    assert_eq!(taken, [text(500)]);
}

#[test]
fn a_close_comes_after_what_was_queued_and_ends_sending() {
    let outbox = outbox(1000);
    outbox.push(text(1)).unwrap();
    outbox.close(Close::going_away()).unwrap();
    assert_eq!(outbox.push(text(1)), Err(SendError::Closing));
    assert!(matches!(outbox.next(&mut VecDeque::new()), Next::Messages));
    assert!(matches!(outbox.next(&mut VecDeque::new()), Next::Close(Close { code: 1001, .. })));
}
