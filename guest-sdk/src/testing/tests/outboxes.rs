//! What a client has not read yet.

use super::*;
use crate::ConnectionError;
use crate::testing::Limits;

const MIB: usize = 1 << 20;

#[test]
fn an_outbox_is_bounded_within_a_call_and_empty_after_it() {
    let host = host();
    let client = client(&host);
    for _ in 0..2 {
        within(&client, |own| {
            own.send("x".repeat(MIB / 2 - 64)).unwrap();
            assert_eq!(own.outbox_fullness().unwrap(), 50);
            own.send("x".repeat(MIB / 2 - 128)).unwrap();
            assert_eq!(own.outbox_fullness().unwrap(), 99);
            let two = ["", ""];
            assert_eq!(failed::<ConnectionError, _>(own.send_many(two)), ConnectionError::OutboxFull);
            own.send("").unwrap();
            assert_eq!(own.outbox_fullness().unwrap(), 100);
            let large = "x".repeat(MIB + 1);
            assert!(matches!(failed::<ConnectionError, _>(own.send(large)), ConnectionError::TooLarge(_)));
        });
        assert_eq!(client.messages().len(), 3);
    }
}

#[test]
fn a_full_outbox_refuses_until_the_client_reads() {
    let host = host();
    let client = client(&host);
    client.fill_outbox();
    let send = |own: Connection| own.send("x");
    assert_eq!(failed::<ConnectionError, _>(within(&client, send)), ConnectionError::OutboxFull);
    assert_eq!(failed::<ConnectionError, _>(within(&client, send)), ConnectionError::OutboxFull);
    assert_eq!(client.messages(), []);
    within(&client, send).unwrap();
    assert_eq!(texts(&client), ["x"]);
}

#[test]
fn who_reads_too_slowly_is_closed_by_a_publish_and_others_get_it() {
    let host = host();
    let (slow, fast) = (client(&host), client(&host));
    for client in [&slow, &fast] {
        within(client, |own| own.subscribe("t").unwrap());
    }
    slow.fill_outbox();
    assert_eq!(within(&fast, |_| topics::publish("t", "x").unwrap()), 1);
    assert_eq!(texts(&fast), ["x"]);
    assert_eq!(slow.closing().unwrap().code, 1013);
    assert_eq!(seen(), ["1 closed 1013 Host"]);
}

#[test]
fn limits_can_be_others() {
    let limits = Limits { outbox_bytes: 100, attachment_bytes: 3, ..Limits::default() };
    let host = builder().limits(limits).build();
    within(&client(&host), |own| {
        own.send("x".repeat(36)).unwrap();
        assert_eq!(own.outbox_fullness().unwrap(), 100);
        own.set_attachment_bytes(b"abc").unwrap();
        let text = own.set_attachment_bytes(b"abcd").unwrap_err().to_string();
        assert_eq!(text, "too large: 4 bytes; `attachment_bytes` is 3");
        assert_eq!(own.attachment_bytes().unwrap(), b"abc");
    });
}
