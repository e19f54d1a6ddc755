//! The clock and the timers.

use std::time::{Duration, SystemTime};

use super::*;
use crate::TimerError;

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
        own.set_timer("late", 3 * SECOND, &"l").unwrap();
        timers::set("early", SECOND, &"e").unwrap();
        own.set_timer("same", SECOND, &()).unwrap();
        own.set_timer("cancelled", SECOND, &()).unwrap();
        own.set_timer("replaced", SECOND, &"old").unwrap();
        own.set_timer("replaced", 2 * SECOND, &"new").unwrap();
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
        own.set_timer("own", SECOND, &()).unwrap();
        timers::set("app", SECOND, &()).unwrap();
    });
    client.disconnect(Some((1000, "")));
    host.advance(SECOND);
    assert_eq!(seen(), ["1 closed 1000 Client", "app timer app "]);
}

#[test]
fn a_timer_that_fails_closes_its_connection() {
    let host = host();
    let client = client(&host);
    within(&client, |own| {
        timers::set("fail", SECOND, &()).unwrap();
        own.set_timer("fail", 2 * SECOND, &()).unwrap();
    });
    host.advance(SECOND);
    assert_eq!(client.closing(), None);
    host.advance(SECOND);
    assert_eq!(client.closing().unwrap().code, 1011);
    assert_eq!(log(&host), ["ERROR app-timer failed: told to fail", "ERROR connection-timer failed: told to fail"]);
}

#[test]
fn arguments_and_numbers_are_bounded() {
    let host = host();
    within(&client(&host), |own| {
        let invalid = |result| assert!(matches!(failed::<TimerError, _>(result), TimerError::Invalid(_)));
        invalid(own.set_timer("", SECOND, &()));
        invalid(own.set_timer(&"x".repeat(257), SECOND, &()));
        invalid(own.set_timer("x", 30 * 24 * 3600 * SECOND + SECOND, &()));
        invalid(own.set_timer("x", Duration::MAX, &()));
        invalid(own.set_timer("x", SECOND, &"x".repeat(64 << 10)));
        let nobody = Connection::from_id(9).set_timer("x", SECOND, &());
        assert_eq!(failed::<TimerError, _>(nobody), TimerError::UnknownConnection);
        for number in 0..16 {
            own.set_timer(&number.to_string(), SECOND, &()).unwrap();
        }
        assert_eq!(failed::<TimerError, _>(own.set_timer("more", SECOND, &())), TimerError::TooManyTimers);
        own.set_timer("0", 30 * 24 * 3600 * SECOND, &()).unwrap();
        timers::set("app", SECOND, &()).unwrap();
    });
}

/// As in the host, a delay is at least a millisecond.
#[test]
fn a_timer_that_always_sets_itself_again_lets_time_pass() {
    let host = host();
    within(&client(&host), |_| timers::set("again", SECOND, &()).unwrap());
    let before = host.now();
    host.advance(2 * SECOND);
    assert_eq!(host.now(), before + 2 * SECOND);
}

#[test]
fn a_timer_that_repeats_fires_until_it_is_cancelled() {
    let host = host();
    let client = client(&host);
    within(&client, |own| {
        own.set_timer("own", Schedule::after(SECOND).then_every(2 * SECOND), &"o").unwrap();
        timers::set("app", Schedule::every(2 * SECOND), &()).unwrap();
    });
    host.advance(5 * SECOND);
    assert_eq!(seen(), ["1 timer own o", "app timer app ", "1 timer own o", "app timer app ", "1 timer own o"]);
    within(&client, |own| {
        assert!(own.cancel_timer("own"));
        assert!(timers::cancel("app"));
        let forever = Schedule::after(SECOND).then_every(31 * 24 * 3600 * SECOND);
        assert!(matches!(failed::<TimerError, _>(own.set_timer("x", forever, &())), TimerError::Invalid(_)));
    });
    host.advance(60 * SECOND);
    assert_eq!(seen(), Vec::<String>::new());
}

#[test]
fn a_timer_that_is_there_is_not_put_off() {
    let host = host();
    let client = client(&host);
    let set = |own: Connection| (own.set_timer_if_absent("t", SECOND, &"c"), timers::set_if_absent("t", SECOND, &"a"));
    let outcome = move |own| {
        let (own, app) = set(own);
        (own.unwrap(), app.unwrap())
    };
    within(&client, |own| own.cancel_timer("t"));
    assert_eq!(within(&client, outcome), (true, true));
    host.advance(SECOND / 2);
    assert_eq!(within(&client, outcome), (false, false));
    within(&client, |own| own.cancel_timer("t"));
    host.advance(SECOND / 2);
    assert_eq!(seen(), ["app timer t a"]);
    assert_eq!(within(&client, outcome), (true, true), "the name is free once it has fired");
}
