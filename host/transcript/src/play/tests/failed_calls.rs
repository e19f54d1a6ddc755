//! Calls that failed, and the steps that expect them.

use super::double::{Double, Reaction, then};
use super::*;
use crate::backend::CallFault;
use crate::format::Fault;

/// A call of the app itself.
fn of_app(call: &str, error: &str) -> FailedCall {
    FailedCall {
        call: call.to_owned(),
        app: "chat".to_owned(),
        version: "0123".to_owned(),
        connection: None,
        close_code: None,
        error: error.to_owned(),
        backtrace: "inner <- outer".to_owned(),
    }
}

/// A call of alice's connection, which the host closes with 1011.
fn of_alice(call: &str, error: &str) -> FailedCall {
    FailedCall { connection: Some(1), close_code: Some(1011), ..of_app(call, error) }
}

fn failed(call: Option<&str>, error: Option<&str>) -> Action {
    let error = error.map(|error| TextPattern::Exact(error.to_owned()));
    Action::Failed { call: call.map(str::to_owned), error }
}

fn trapped(call: &str) -> Reaction {
    then([]).failing(of_app(call, "trapped"))
}

#[test]
fn a_failed_call_that_no_step_expects_fails_the_transcript() {
    let mut backend = Double::new([then([]), trapped("app-timer"), then([])]);
    let failure = verify(vec![connect("alice"), send("alice", "a"), send("alice", "b")], &mut backend).unwrap();
    assert_eq!((failure.line, failure.step.as_str()), (2, "alice > a"), "the step that caused it");
    let sentence = "the call `app-timer` of `chat` (version 0123) failed: trapped; no step expects that; if it should fail, \
                    add `failed app-timer`";
    assert_eq!(failure.reason.to_string(), sentence);
    let log: Vec<String> = failure.log.iter().map(ToString::to_string).collect();
    assert_eq!(log, ["ERROR trapped app=chat version=0123 call=app-timer backtrace=\"inner <- outer\""]);
}

#[test]
fn the_log_of_a_failed_call_is_that_of_its_step() {
    let reactions = || [trapped("closed").logging("ERROR", "trapped call=closed"), then([]).logging("ERROR", "later")];
    let failure = verify(vec![connect("alice"), send("alice", "a")], &mut Double::new(reactions())).unwrap();
    let log: Vec<String> = failure.log.iter().map(ToString::to_string).collect();
    assert_eq!(log, ["ERROR trapped call=closed"]);
}

#[test]
fn a_step_expects_a_failed_call() {
    for step in [
        failed(None, None),
        failed(Some("app-timer"), None),
        failed(Some("app-timer"), Some("trapped")),
        failed(None, Some("trapped")),
        Action::Failed { call: None, error: Some(TextPattern::Regex(regex("^trap"))) },
    ] {
        let mut backend = Double::new([trapped("app-timer")]);
        assert!(verify(vec![connect("alice"), step], &mut backend).is_none());
    }
}

#[test]
fn each_step_expects_one_failed_call() {
    let reaction = || trapped("app-timer").failing(of_app("closed", "trapped")).failing(of_app("app-timer", "told to"));
    let all = [failed(Some("closed"), None), failed(Some("app-timer"), Some("told to")), failed(None, None)];
    let actions = || [vec![connect("alice")], all.to_vec()].concat();
    assert!(verify(actions(), &mut Double::new([reaction()])).is_none());
    let mut fewer = actions();
    fewer.pop();
    let failure = verify(fewer, &mut Double::new([reaction()])).unwrap();
    assert!(failure.reason.to_string().starts_with("the call `app-timer` of `chat` (version 0123) failed: trapped; "));
    let mut more = actions();
    more.push(failed(None, None));
    assert_eq!(sentence(more, &mut Double::new([reaction()])), "5: no call has failed as expected");
}

#[test]
fn what_failed_instead_is_shown() {
    let step = failed(Some("app-timer"), Some("told to"));
    let failure = verify(vec![connect("alice"), step.clone()], &mut Double::new([trapped("app-timer")])).unwrap();
    let mismatch = failure.reason.mismatch().unwrap();
    assert_eq!(
        (mismatch.expected.as_str(), mismatch.got.as_str()),
        ("failed app-timer: told to", "failed app-timer: trapped")
    );
    let failure = verify(vec![connect("alice"), step], &mut Double::default()).unwrap();
    assert_eq!(failure.reason.mismatch().unwrap().got, "nothing");
}

#[test]
fn a_close_expects_the_call_that_caused_it_and_no_other() {
    let reaction = |call: FailedCall| then([("alice", close(1011, "failed"))]).failing(call);
    let actions = || vec![connect("alice"), closed("alice", 1011, None)];
    assert!(verify(actions(), &mut Double::new([reaction(of_alice("receive", "trapped"))])).is_none());
    let unrelated = [
        of_app("app-timer", "trapped"),
        FailedCall { connection: Some(1), ..of_app("closed", "trapped") },
        FailedCall { close_code: Some(1013), ..of_alice("receive", "busy") },
    ];
    for call in unrelated {
        let failure = verify(actions(), &mut Double::new([reaction(call.clone())])).unwrap();
        assert!(failure.reason.to_string().contains("no step expects that"), "{call}");
    }
    // Its error can be expected too, before or after the close.
    let step = || failed(Some("receive"), Some("trapped"));
    let before = vec![connect("alice"), step(), closed("alice", 1011, None)];
    let after = vec![connect("alice"), closed("alice", 1011, None), step()];
    for actions in [before, after] {
        assert!(verify(actions, &mut Double::new([reaction(of_alice("receive", "trapped"))])).is_none());
    }
}

#[test]
fn a_refusal_expects_the_open_that_failed() {
    let open = FailedCall { connection: Some(9), ..of_app("open", "trapped") };
    let mut backend = Double::new([Reaction::answer(500, &[], "").failing(open)]);
    let refused = Outcome::Refused { status: 500, body: None };
    assert!(verify(vec![connect_expecting("eve", refused)], &mut backend).is_none());
}

#[test]
fn a_fault_expects_the_failure_that_it_causes() {
    let fault = |app: Option<&str>| Action::Fail(Fault::Call { app: app.map(str::to_owned), error: CallFault::Trap });
    for app in [None, Some("chat")] {
        let actions = || vec![connect("alice"), fault(app), send("alice", "x")];
        let one = || [then([]), then([]), trapped("app-timer")];
        assert!(verify(actions(), &mut Double::new(one())).is_none());
        let two = [then([]), then([]), trapped("app-timer").failing(of_app("app-timer", "again"))];
        let failure = verify(actions(), &mut Double::new(two)).unwrap();
        assert!(failure.reason.to_string().contains("failed: again; no step expects that"));
        let named = [actions(), vec![failed(Some("app-timer"), None)]].concat();
        assert!(verify(named, &mut Double::new(one())).is_none());
    }
    let mut backend = Double::new([then([]), then([]), trapped("app-timer")]);
    let other_app = vec![connect("alice"), fault(Some("other")), send("alice", "x")];
    assert!(verify(other_app, &mut backend).is_some());
}

#[test]
fn failed_calls_are_blessed() {
    let mut backend = Double::new([then([]), trapped("app-timer"), then([]).failing(of_app("closed", "told to"))]);
    let actions = vec![
        connect("alice"),
        send("alice", "a"),
        send("alice", "b"),
        failed(Some("closed"), Some("trapped")),
        failed(Some("app-timer"), Some("never")),
        failed(Some("app-timer"), None),
    ];
    let expected = "connect alice /chat\nalice > a\nalice > b\nfailed closed: told to\nfailed app-timer: trapped\n";
    assert_eq!(bless(actions, &mut backend), expected);
    let mut backend = Double::new([then([]), trapped("app-timer"), then([])]);
    let blessed = bless(vec![connect("alice"), send("alice", "a"), leaves("alice")], &mut backend);
    assert_eq!(blessed, "connect alice /chat\nalice > a\nfailed app-timer: trapped\nalice disconnects\n");
    let mut backend = Double::new([then([("alice", close(1011, "x"))]).failing(of_alice("receive", "trapped"))]);
    assert_eq!(bless(vec![connect("alice")], &mut backend), "connect alice /chat\nalice closed 1011 x\n");
}

/// Another step expects the call as well, and the `failed` step is about its error.
#[test]
fn the_error_of_a_call_that_closes_is_blessed() {
    for order in [|steps: [Action; 2]| steps, |[one, other]: [Action; 2]| [other, one]] {
        let mut backend = Double::new([then([("alice", close(1011, "x"))]).failing(of_alice("receive", "told to"))]);
        let steps = order([closed("alice", 1011, None), failed(Some("receive"), Some("trapped"))]);
        let blessed = bless([vec![connect("alice")], steps.to_vec()].concat(), &mut backend);
        let mut lines: Vec<&str> = blessed.lines().skip(1).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["alice closed 1011", "failed receive: told to"]);
    }
}
