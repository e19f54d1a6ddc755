//! From the first message to `closed`.

use super::*;
use crate::ConnectionError;

#[test]
fn messages_come_in_order_and_answers_go_out_in_order() {
    let host = host();
    let (one, two) = (client(&host), client(&host));
    assert_eq!((one.connection().id(), two.connection().id()), (1, 2));
    one.send("a");
    two.send_batch(["b", "c"]);
    assert_eq!(seen(), ["1 says a", "2 says b", "2 says c"]);
    let other = two.connection();
    within(&one, move |own| {
        own.send("1").unwrap();
        other.send("2").unwrap();
        own.send_many(["3", "4"]).unwrap();
    });
    assert_eq!((texts(&one), texts(&two)), (vec!["1".into(), "3".into(), "4".into()], vec!["2".into()]));
    assert_eq!(one.messages(), [], "it was asked before");
}

#[test]
fn json_goes_both_ways() {
    let host = host();
    let client = client(&host);
    client.send_json(&serde_json::json!({ "a": 1 }));
    assert_eq!(seen(), [r#"1 says {"a":1}"#]);
    within(&client, |own| own.send_json(&[1, 2])).unwrap();
    assert_eq!(client.messages_json(), [serde_json::json!([1, 2])]);
}

/// The messages before the failing one count, those after it are lost, and what was sent arrives.
#[test]
fn an_error_closes_the_connection_and_no_other() {
    let host = host();
    let (bad, good) = (client(&host), client(&host));
    bad.send_batch(["before", "fail", "after"]);
    assert_eq!(seen(), ["1 says before", "1 closed 1011 Host"]);
    let closed = Closing { code: 1011, reason: "the application failed".into(), by: ClosedBy::Host };
    assert_eq!(bad.closing(), Some(closed));
    assert_eq!(good.closing(), None);
    assert_eq!(log(&host), ["ERROR receive failed: told to fail"]);
    good.send("still here");
    assert_eq!(seen(), ["2 says still here"]);
}

#[test]
fn a_client_comes_back_to_its_connection() {
    let host = host();
    let client = client(&host);
    client.resume("/again");
    assert_eq!(seen(), ["1 resumed /again"]);
    assert_eq!(texts(&client), ["welcome back"]);
    client.resume("/fail");
    assert_eq!(seen(), ["1 resumed /fail", "1 closed 1011 Host"]);
    assert_eq!(log(&host), ["ERROR resumed failed: told to fail"]);
}

#[test]
fn closed_comes_exactly_once_whoever_closes() {
    let host = host();
    let clients: Vec<MockClient> = (0..4).map(|_| client(&host)).collect();
    clients[0].disconnect(Some((1001, "")));
    clients[1].vanish();
    let third = clients[2].connection();
    within(&clients[3], move |own| {
        third.close(4000, "out").unwrap();
        own.close(1000, "").unwrap();
        assert_eq!(failed::<ConnectionError, _>(own.close(1000, "")), ConnectionError::Closing);
    });
    for client in &clients {
        client.disconnect(Some((1000, "")));
        client.vanish();
    }
    assert_eq!(
        seen(),
        ["1 closed 1001 Client", "2 closed 1006 Transport", "3 closed 4000 Module", "4 closed 1000 Module"]
    );
    assert_eq!(clients[2].closing().unwrap().reason, "out");
}

#[test]
fn what_is_sent_before_a_close_arrives_and_nothing_after_it() {
    let host = host();
    let client = client(&host);
    within(&client, |own| {
        own.send("last words").unwrap();
        own.close(1000, "bye").unwrap();
        assert_eq!(failed::<ConnectionError, _>(own.send("too late")), ConnectionError::Closing);
    });
    assert_eq!(texts(&client), ["last words"]);
}

/// The first close counts, although the call fails afterwards.
#[test]
fn a_call_that_closes_and_fails_has_closed() {
    let host = host();
    let client = client(&host);
    MESSAGE.set(Some(Box::new(|own| {
        own.close(1000, "bye")?;
        bail!("and failed")
    })));
    client.send("");
    assert_eq!(client.closing().unwrap().code, 1000);
}

#[test]
fn in_closed_the_attachment_is_there_and_the_topics_are_gone() {
    let host = host();
    let (one, two) = (client(&host), client(&host));
    within(&one, |own| {
        own.set_attachment_bytes(b"mine").unwrap();
        own.subscribe("t").unwrap();
    });
    closing(|own| {
        assert_eq!(own.attachment_bytes().unwrap(), b"mine");
        assert_eq!(topics::subscribers("t"), []);
        assert_eq!(failed::<ConnectionError, _>(own.send("x")), ConnectionError::Closing);
        // Neither outlives the connection.
        own.subscribe("t").unwrap();
        own.set_timer("ghost", std::time::Duration::ZERO, &())
    });
    one.vanish();
    assert_eq!(seen(), ["1 closed 1006 Transport"]);
    host.advance(std::time::Duration::from_secs(1));
    assert_eq!(seen(), Vec::<String>::new());
    let gone = one.connection();
    within(&two, move |_| {
        assert_eq!(topics::subscribers("t"), []);
        assert_eq!(failed::<ConnectionError, _>(gone.send("x")), ConnectionError::UnknownConnection);
        assert_eq!(failed::<ConnectionError, _>(gone.attachment_bytes()), ConnectionError::UnknownConnection);
        assert_eq!(failed::<ConnectionError, _>(gone.close(1000, "")), ConnectionError::UnknownConnection);
    });
    assert_eq!(one.attachment_bytes(), b"mine", "the test may still look");
}

#[test]
fn close_codes_and_reasons_are_checked() {
    let host = host();
    let client = client(&host);
    within(&client, |own| {
        for code in [0, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000] {
            assert!(matches!(failed::<ConnectionError, _>(own.close(code, "")), ConnectionError::Invalid(_)), "{code}");
        }
        assert!(matches!(failed::<ConnectionError, _>(own.close(1000, &"x".repeat(124))), ConnectionError::Invalid(_)));
        own.close(4999, &"x".repeat(123)).unwrap();
    });
    assert_eq!(client.closing().unwrap().code, 4999);
}

#[test]
fn a_message_that_is_too_large_never_reaches_the_handler() {
    let host = host();
    let client = client(&host);
    client.send("x".repeat(1 << 20));
    assert_eq!(client.closing(), None);
    seen();
    client.send_batch(["before".to_owned(), "x".repeat((1 << 20) + 1), "after".to_owned()]);
    assert_eq!(client.closing().unwrap().code, 1009);
    assert_eq!(seen(), ["1 says before", "1 closed 1009 Host"]);
}

#[test]
#[should_panic(expected = "client 1 cannot send, the connection is closed: 1001")]
fn a_closed_client_cannot_send() {
    let client = client(&host());
    client.disconnect(Some((1001, "")));
    client.send("x");
}

/// What the handler keeps in itself is lost, what the host keeps stays.
#[test]
fn a_restart_drops_the_instance_and_nothing_else() {
    let host = host();
    let client = client(&host);
    within(&client, |own| own.set_attachment_bytes(b"kept").unwrap());
    client.send("a");
    assert_eq!(SEEN.take(), ["start", "1 says a"]);
    host.fail_instances();
    assert_eq!(within(&client, |own| own.attachment_bytes().unwrap()), b"kept");
    assert_eq!(SEEN.take(), ["start"]);
}

#[test]
fn attachments_migrate_within_their_bound() {
    let host = host();
    assert_eq!(host.migrate("v1", "data"), Ok(b"v1data".to_vec()));
    assert_eq!(host.migrate("fail", ""), Err("cannot read it".into()));
    assert_eq!(host.migrate("grow", ""), Err("the attachment is larger than `attachment_bytes` = 65536".into()));
}

#[test]
fn mistakes_of_the_client_are_answered_and_the_connection_stays() {
    let host = host();
    let client = client(&host);
    client.send_batch(["mistake", "after"]);
    client.expect_json(&serde_json::json!({ "error": "not that" }));
    client.expect_nothing();
    assert_eq!(seen(), ["1 says after"]);
    assert_eq!(log(&host), Vec::<String>::new());
}

/// A handler that closes the connection and then finds a mistake has closed it.
#[test]
fn a_mistake_of_a_client_that_was_closed_needs_no_reply() {
    let host = host();
    let client = client(&host);
    receiving(|own| {
        own.close(3000, "enough")?;
        bail!(ClientError::new("not that"))
    });
    client.send("");
    assert_eq!(client.closing().unwrap().code, 3000);
    assert_eq!((seen(), log(&host)), (vec!["1 closed 3000 Module".to_owned()], vec![]));
}

#[test]
fn an_error_of_on_close_is_a_line_of_the_log() {
    let host = host();
    closing(|_| Err(Error::msg("the cause").context("not told")));
    client(&host).vanish();
    assert_eq!(log(&host), ["ERROR closed failed: not told: the cause"]);
}

/// The functions that the host's testkit also has.
#[test]
fn a_client_takes_what_came_in_order() {
    let host = host();
    let client = client(&host);
    within(&client, |own| {
        own.send("text").unwrap();
        own.send(vec![1_u8]).unwrap();
        own.send_json(&[1]).unwrap();
        own.close(4000, "out").unwrap();
    });
    client.expect_text("text");
    client.expect_binary(&[1]);
    assert_eq!(client.receive(), Some(Received::Message("[1]".into())));
    assert!(!client.is_open());
    assert_eq!(client.closed(), (4000, "out".to_owned()));
    client.expect_nothing();
}

#[test]
#[should_panic(expected = r#"expected the text "a", got the end of the connection, 1011 "the application failed""#)]
fn an_expectation_says_what_was_there_instead() {
    let client = client(&host());
    client.send_text("fail");
    client.expect_text("a");
}
