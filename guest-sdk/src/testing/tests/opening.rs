//! The handshake.

use super::*;

#[test]
fn an_acceptance_takes_effect() {
    let host = host();
    opening(|connection| {
        connection.send("welcome")?;
        let answer = Acceptance::new().topic("b").topic("a").attachment(&"who")?;
        Ok(answer.subprotocol("v2").header("X-Room", "lobby"))
    });
    let client = host.connect(Connect::to("/").subprotocol("v1").subprotocol("v2"));
    assert_eq!(texts(&client), ["welcome"]);
    assert_eq!(client.topics(), ["a", "b"]);
    assert_eq!(client.attachment::<String>().unwrap(), "who");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("Sec-WebSocket-Protocol")), (101, Some("v2")));
    assert_eq!((answer.headers.len(), answer.header("x-room")), (2, Some("lobby")));
}

/// A handler sees what the client sends, as it comes from a real host.
#[test]
fn a_request_is_what_the_test_says() {
    #[derive(Default)]
    struct Reader;
    impl Handler for Reader {
        type Message<'a> = MessageRef<'a>;
        fn on_open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
            connection.send(format!("{} {:?} {}", request.path(), request.query(), request.remote_address()))?;
            connection.send(format!("{:?} {}", request.headers().collect::<Vec<_>>(), request.secure()))?;
            Ok(Acceptance::new())
        }
        fn on_message(&self, _: Connection, _: MessageRef<'_>) -> Result<()> {
            Ok(())
        }
    }
    let host = MockHost::<Reader>::new();
    let plain = host.connect("/a");
    assert_eq!(texts(&plain), ["/a None 127.0.0.1:50000", "[] false"]);
    let request = Connect::to("/a?b=%20?").header("Origin", "https://x").subprotocol("v1").subprotocol("v2");
    let rich = host.connect(request.remote_address("192.0.2.1:7").secure());
    let headers = r#"[("origin", "https://x"), ("sec-websocket-protocol", "v1, v2")] true"#;
    assert_eq!(texts(&rich), [r#"/a Some("b=%20?") 192.0.2.1:7"#, headers]);
}

#[test]
fn a_refusal_is_the_answer_and_closed_is_not_called() {
    let host = host();
    opening(|connection| {
        connection.send("nobody reads this")?;
        Err(Refusal::new(403, "no").header("Retry-After", "5"))
    });
    let refused = host.request("/").unwrap_err();
    assert_eq!((refused.status, refused.body.as_str(), refused.header("retry-after")), (403, "no", Some("5")));
    assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(refused.to_string(), "403: no");
    assert_eq!(seen(), Vec::<String>::new());
    assert_eq!(client(&host).connection().id(), 2, "an id is never used twice");
}

#[test]
fn an_error_refuses_without_telling() {
    let host = host();
    opening(|_| Err(Error::msg("the table is missing"))?);
    let refused = host.request("/").unwrap_err();
    assert_eq!((refused.status, refused.body.as_str()), (500, "Internal Server Error"));
    assert_eq!(log(&host), ["ERROR open failed: the table is missing"]);
}

#[test]
fn a_refusal_that_can_not_be_is_a_500() {
    let host = host();
    for (status, header) in [(200, ("x", "y")), (600, ("x", "y")), (403, ("upgrade", "y")), (403, ("x", "a\nb"))] {
        opening(move |_| Err(Refusal::new(status, "no").header(header.0, header.1)));
        let refused = host.request("/").unwrap_err();
        assert_eq!((refused.status, refused.body.as_str()), (500, "the application failed\n"), "{status} {header:?}");
    }
    assert!(log(&host)[0].contains("the status 200 of a refusal is not 400 to 599"));
    assert_eq!(seen(), Vec::<String>::new());
}

/// The handler believes that it has a connection, so it is told that it ended.
#[test]
fn an_acceptance_that_can_not_be_is_a_500_and_closed_is_called() {
    let wrong: [fn(Acceptance) -> Acceptance; 6] = [
        |answer| answer.subprotocol("unoffered"),
        |answer| answer.header("Sec-WebSocket-Accept", "x"),
        |answer| answer.header("no name", "x"),
        |answer| answer.topic(""),
        |answer| (0..65).fold(answer, |answer, topic| answer.topic(topic.to_string())),
        |answer| answer.attachment_bytes(vec![0; (64 << 10) + 1]),
    ];
    let host = host();
    for change in wrong {
        opening(move |_| Ok(change(Acceptance::new().topic("t"))));
        assert_eq!(host.request(Connect::to("/").subprotocol("v1")).unwrap_err().status, 500);
        assert_eq!(seen().len(), 1);
    }
    let log = log(&host);
    assert!(log[0].ends_with("the client did not offer the subprotocol `unoffered`"), "{log:?}");
    assert_eq!(log.len(), 6);
    assert_eq!(within(&client(&host), |_| topics::subscribers("t")), []);
}

#[test]
fn a_connection_can_be_closed_while_it_opens() {
    let host = host();
    opening(|connection| {
        connection.send("go away")?;
        connection.close(4001, "full")?;
        Ok(Acceptance::new())
    });
    let client = client(&host);
    assert_eq!((texts(&client), client.closing().unwrap().code), (vec!["go away".to_owned()], 4001));
    assert_eq!(seen(), ["1 closed 4001 Module"]);
}
