//! The clock and the timers.

use std::time::{Duration, SystemTime};

use super::*;
use crate::timers::Error as TimerError;

const SECOND: Duration = Duration::from_secs(1);

fn now() -> u64 {
    clock::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn time_stands_still_until_the_test_moves_it() {
    let host = host();
    let client = client(&host);
    assert_eq!(within(&client, |_| now()), 1_735_689_600);
    host.advance(SECOND);
    assert_eq!(within(&client, |_| now()), 1_735_689_601);
    let host = builder().now(SystemTime::UNIX_EPOCH + SECOND).build();
    assert_eq!(host.now(), SystemTime::UNIX_EPOCH + SECOND);
    assert!(now() > 1_735_689_601, "outside of a host it is the system's");
}

#[test]
fn timers_fire_in_their_order_at_their_time() {
    let host = host();
    let client = client(&host);
    within(&client, |own| {
        own.set_timer("late", 3 * SECOND, "l").unwrap();
        timers::set("early", SECOND, "e").unwrap();
        own.set_timer("same", SECOND, []).unwrap();
        own.set_timer("cancelled", SECOND, []).unwrap();
        own.set_timer("replaced", SECOND, "old").unwrap();
        own.set_timer("replaced", 2 * SECOND, "new").unwrap();
        assert!(own.cancel_timer("cancelled"));
        assert!(!own.cancel_timer("cancelled"));
        assert!(!timers::cancel("late"), "it is the connection's");
    });
    host.advance(SECOND - Duration::from_millis(1));
    assert_eq!(seen(), Vec::<String>::new());
    host.advance(2 * SECOND);
    assert_eq!(seen(), ["app timer early e", "1 timer same ", "1 timer replaced new"]);
    host.advance(SECOND);
    assert_eq!(seen(), ["1 timer late l"]);
}

#[test]
fn timers_end_with_their_connection() {
    let host = host();
    let client = client(&host);
    within(&client, |own| {
        own.set_timer("own", SECOND, []).unwrap();
        timers::set("app", SECOND, []).unwrap();
    });
    client.disconnect(1000);
    host.advance(SECOND);
    assert_eq!(seen(), ["1 closed 1000 Client", "app timer app "]);
}

#[test]
fn a_timer_that_fails_closes_its_connection() {
    let host = host();
    let client = client(&host);
    within(&client, |own| {
        timers::set("fail", SECOND, []).unwrap();
        own.set_timer("fail", 2 * SECOND, []).unwrap();
    });
    host.advance(SECOND);
    assert_eq!(client.closed(), None);
    host.advance(SECOND);
    assert_eq!(client.closed().unwrap().code, 1011);
    assert_eq!(host.log().len(), 2);
}

#[test]
fn arguments_and_numbers_are_bounded() {
    let host = host();
    within(&client(&host), |own| {
        let invalid = |result| assert!(matches!(result, Err(Error::Timer(TimerError::Invalid(_)))));
        invalid(own.set_timer("", SECOND, []));
        invalid(own.set_timer(&"x".repeat(257), SECOND, []));
        invalid(own.set_timer("x", 30 * 24 * 3600 * SECOND + SECOND, []));
        invalid(own.set_timer("x", Duration::MAX, []));
        invalid(own.set_timer("x", SECOND, vec![0; (64 << 10) + 1]));
        let nobody = Connection::from_id(9).set_timer("x", SECOND, []);
        assert!(matches!(nobody, Err(Error::Timer(TimerError::UnknownConnection))));
        for number in 0..16 {
            own.set_timer(&number.to_string(), SECOND, []).unwrap();
        }
        assert!(matches!(own.set_timer("more", SECOND, []), Err(Error::Timer(TimerError::TooManyTimers))));
        own.set_timer("0", 30 * 24 * 3600 * SECOND, []).unwrap();
        timers::set("app", SECOND, []).unwrap();
    });
}

/// As in the host, a delay is at least a millisecond.
#[test]
fn a_timer_that_always_sets_itself_again_lets_time_pass() {
    let host = host();
    within(&client(&host), |_| timers::set("again", SECOND, []).unwrap());
    let before = host.now();
    host.advance(2 * SECOND);
    assert_eq!(host.now(), before + 2 * SECOND);
}
